"""`rtseg serve`: a page that segments each visitor's own camera."""

from __future__ import annotations

import time

import click

from rtseg.cli.options import with_settings
from rtseg.cli.progress import set_up_logging
from rtseg.cli.signals import ending_in_order
from rtseg.settings import (
    FaceSettings,
    ModelSettings,
    ServeSettings,
    ViewSettings,
    WebSettings,
)

_LOOK_EVERY_SECONDS = 0.2


@click.command(short_help="Serve a page that segments each visitor's own camera.")
@click.option(
    "--web",
    default="8000",
    show_default=True,
    metavar="[HOST:]PORT",
    help="Where; HOST is this machine alone if not given. Browsers give their camera to https "
    "pages and to localhost only.",
)
@with_settings(
    serve=ServeSettings,
    page=WebSettings,
    view=ViewSettings,
    model=ModelSettings,
    faces=FaceSettings,
    # Each visitor is the only one who watches, and nothing runs without visitors.
    omit=("max_viewers", "always"),
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="Say more.")
def command(
    web: str,
    serve: ServeSettings,
    page: WebSettings,
    view: ViewSettings,
    model: ModelSettings,
    faces: FaceSettings,
    quiet: bool,
    verbose: bool,
) -> int:
    """Serve a page to which visitors give their camera, and get it back segmented.

    All share one network; each has an own view. Pictures are kept nowhere.

    \b
    rtseg serve
    rtseg serve --web 0.0.0.0:8443 --ssl-cert cert.pem --ssl-key key.pem --max-visitors 2
    """
    from rtseg.sinks.web import check_web_installed, parse_address

    set_up_logging(verbose=verbose, quiet=quiet)
    check_web_installed()
    address = parse_address(web)
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
                    time.sleep(_LOOK_EVERY_SECONDS)
        finally:
            visitors.close()
            streams.close()
    return 0 if interruption.exit_code == 130 else interruption.exit_code
