"""`rtseg serve`: many streams through one network, from visitors' cameras or a file's sources."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from rtseg.cli.options import with_options_named, with_settings
from rtseg.cli.progress import set_up_logging
from rtseg.cli.signals import ending_in_order
from rtseg.cli.values import Place
from rtseg.errors import RtsegError, SettingError
from rtseg.settings import (
    FaceSettings,
    ModelSettings,
    ServeSettings,
    ViewSettings,
    WebSettings,
)

if TYPE_CHECKING:
    from rtseg.serving.stream_server import StreamServer
    from rtseg.serving.streams_file import StreamsFile
    from rtseg.serving.wall import WallPage
    from rtseg.sinks.web import WebAddress

_POLL_SECONDS = 0.2

_FOR_VISITORS = ("max_visitors",)
_FOR_STREAMS = ("max_viewers", "always")

_RELOAD = "SIGHUP"

MOST_STREAMS = 64


@click.command(short_help="Serve visitors' cameras, or the streams of a file, through one network.")
@click.argument("streams", required=False, metavar="[STREAMS.TOML]", type=Place())
@click.option(
    "--web",
    default="8000",
    show_default=True,
    metavar="[HOST:]PORT",
    help="Where to serve the page; without HOST, only to this machine. Browsers give a page the "
    "camera only over https or on localhost.",
)
@with_settings(
    serve=ServeSettings,
    page=WebSettings,
    view=ViewSettings,
    model=ModelSettings,
    faces=FaceSettings,
)
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@click.option("-v", "--verbose", is_flag=True, help="Print more.")
def command(
    streams: str | None,
    web: str,
    serve: ServeSettings,
    page: WebSettings,
    view: ViewSettings,
    model: ModelSettings,
    faces: FaceSettings,
    quiet: bool,
    verbose: bool,
) -> int:
    """Serve a page that segments each visitor's own camera.

    With STREAMS.TOML, run the file's streams instead: each goes from its source to its outputs,
    and one page shows them all. They share one network, and each has its own view and faces. On
    SIGHUP the file is read again: changed streams are restarted, and the others continue.

    --max-visitors is for the visitors' page, --max-viewers and --always are for the streams' page.

    \b
    rtseg serve
    rtseg serve --web 0.0.0.0:8443 --ssl-cert cert.pem --ssl-key key.pem
    rtseg serve streams.toml
    """
    from rtseg.backends import label_set_of
    from rtseg.serving.streams_file import read_streams
    from rtseg.sinks.web import check_web_installed, parse_address
    from rtseg.wiring import check_choices

    set_up_logging(verbose=verbose, quiet=quiet)
    _check_goes_with(streams)
    check_web_installed()
    address = parse_address(web)
    label_set = label_set_of(model.model)
    check_choices(label_set, view=view)
    if streams is None:
        return _serve_visitors(
            address, serve=serve, page=page, view=view, model=model, faces=faces, quiet=quiet
        )
    read = partial(read_streams, streams, view=view, faces=faces, label_set=label_set)
    return _serve_streams(streams, read, address, page=page, model=model, quiet=quiet)


def _check_goes_with(streams: str | None) -> None:
    """Refuse an option that would have no effect."""
    context = click.get_current_context()
    without = _FOR_VISITORS if streams is not None else _FOR_STREAMS
    for name in without:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            with_what = "a file of streams" if streams is None else "visitors, without a file"
            raise SettingError(f"`{name}`: goes with {with_what}")


def _serve_visitors(
    address: WebAddress,
    *,
    serve: ServeSettings,
    page: WebSettings,
    view: ViewSettings,
    model: ModelSettings,
    faces: FaceSettings,
    quiet: bool,
) -> int:
    from rtseg.backends import open_backend_for
    from rtseg.runtime.channel import StopFlag
    from rtseg.serving.stream_server import StreamServer
    from rtseg.serving.visitors import VisitorPage
    from rtseg.system.threads import half, shares_processor

    over = StopFlag()
    with open_backend_for(model) as backend:
        streams = StreamServer(backend, faces=faces, most_streams=serve.max_visitors)
        threads = half(model.threads) if shares_processor(model) else model.threads
        visitors = VisitorPage(address, streams, settings=page, view=view, threads=threads)
        try:
            with ending_in_order(over.set) as interruption:
                visitors.open()
                if not quiet or page.token is None:
                    click.echo(f"live at {visitors.url}", err=True)
                while not over.is_set():
                    time.sleep(_POLL_SECONDS)
        finally:
            visitors.close()
            streams.close()
    return 0 if interruption.exit_code == 130 else interruption.exit_code


def _serve_streams(
    path: str,
    read: Callable[[], StreamsFile],
    address: WebAddress,
    *,
    page: WebSettings,
    model: ModelSettings,
    quiet: bool,
) -> int:
    from rtseg.backends import open_backend_for
    from rtseg.runtime.channel import StopFlag
    from rtseg.serving.stream_server import StreamServer
    from rtseg.serving.wall import WallPage

    streams_file = read()
    _tell(streams_file.problems)
    if not streams_file.definitions:
        raise SettingError(f"{path}: none of its streams can be served")
    over = StopFlag()
    with (
        open_backend_for(model) as backend,
        StreamServer(backend, most_streams=MOST_STREAMS) as server,
    ):
        wall = WallPage(address, server, settings=page)
        wall.problems = streams_file.problems
        try:
            with (
                ending_in_order(over.set, but=(_RELOAD,)) as interruption,
                _noting_reloads() as reload,
            ):
                wall.open()
                server.replace(streams_file.definitions)
                if not quiet or page.token is None:
                    click.echo(f"live at {wall.url}", err=True)
                while not over.is_set():
                    time.sleep(_POLL_SECONDS)
                    if reload.take():
                        _read_again(path, read, server, wall, quiet=quiet)
        finally:
            server.close()
            wall.close()
    return 0 if interruption.exit_code == 130 else interruption.exit_code


class _Reload:
    """Whether the file should be read again. Set by a signal handler, so it takes no lock."""

    def __init__(self) -> None:
        self.is_wanted = False

    def take(self) -> bool:
        """Whether a reload was requested since the last call."""
        was_wanted, self.is_wanted = self.is_wanted, False
        return was_wanted


@contextmanager
def _noting_reloads() -> Iterator[_Reload]:
    """Within the block, SIGHUP requests that the file be read again. Windows has no SIGHUP."""
    reload = _Reload()
    number = getattr(signal, _RELOAD, None)
    if number is None:
        yield reload
        return

    def note(_number: int, _frame: FrameType | None) -> None:
        reload.is_wanted = True

    before = signal.signal(number, note)
    try:
        yield reload
    finally:
        signal.signal(number, before)


def _read_again(
    path: str,
    read: Callable[[], StreamsFile],
    server: StreamServer,
    wall: WallPage,
    *,
    quiet: bool,
) -> None:
    """Change the streams to those in the file; if the file is invalid, they all continue."""
    try:
        streams_file = read()
        # a stream whose entry is now invalid continues unchanged
        kept = [s.definition for s in server.started if s.name in streams_file.problems]
        done = server.replace([*streams_file.definitions, *kept])
    except RtsegError as error:
        click.echo(
            f"error: {with_options_named(str(error))}; all streams continue unchanged", err=True
        )
        return
    wall.problems = streams_file.problems
    _tell(streams_file.problems)
    if not quiet:
        parts = [f"{len(names)} {what}" for what, names in done.items() if names]
        click.echo(f"{path}, read again: {', '.join(parts) or 'no stream'}", err=True)


def _tell(problems: Mapping[str, str]) -> None:
    for problem in problems.values():
        click.echo(f"error: {problem}", err=True)
