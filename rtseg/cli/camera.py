"""`rtseg camera`: segment a live source into a window, a file, or both."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from rtseg.cli.companions import OF_THE_PAGE, OF_THE_VIRTUAL_CAMERA, refuse_without
from rtseg.cli.live_outputs import LiveOutputs, virtual_camera_option, web_option
from rtseg.cli.options import with_effects, with_settings
from rtseg.cli.progress import print_summary, reporting, set_up_logging
from rtseg.cli.signals import ending_in_order
from rtseg.cli.values import Place
from rtseg.errors import DisplayError, TruncatedError
from rtseg.settings import (
    CameraSettings,
    EncodeSettings,
    FaceSettings,
    ModelSettings,
    ReadSettings,
    StreamSettings,
    ViewSettings,
    VirtualCameraSettings,
    WebSettings,
)

if TYPE_CHECKING:
    from rtseg.media.info import SourceInfo
    from rtseg.runtime.statistics import Progress
    from rtseg.sinks.base import Sink
    from rtseg.sources.base import Source


@click.command(short_help="Segment a camera live.")
@click.argument("source", default="0", metavar="[SOURCE]", type=Place())
@click.option(
    "-o",
    "--output",
    metavar="OUTPUT",
    type=Place(),
    help="Record to OUTPUT, which is anything that `rtseg video` writes.",
)
@click.option(
    "--display/--no-display",
    "--show/--no-show",
    default=None,
    help="Show a window; the default, except with --web or --virtual-camera.",
)
@click.option(
    "--list",
    "list_only",
    is_flag=True,
    help="List this machine's cameras and exit.",
)
@web_option
@virtual_camera_option
@click.option("--duration", type=float, metavar="X", help="Stop after this many seconds.")
@with_settings(
    camera=CameraSettings,
    page=WebSettings,
    virtual=VirtualCameraSettings,
    read=ReadSettings,
    stream=StreamSettings,
    view=ViewSettings,
    encode=EncodeSettings,
    model=ModelSettings,
    faces=FaceSettings,
    defaults={"legend": True, "hud": True},
    # A network output includes the source's audio; a file gets a live source's pictures only.
    omit=("subtitles", "start", "end", "keep_timestamps", "hardware_decoding"),
)
@with_effects
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@click.option("-v", "--verbose", is_flag=True, help="Print more.")
def command(
    source: str,
    output: str | None,
    display: bool | None,
    list_only: bool,
    web: str | None,
    virtual_camera: str | None,
    duration: float | None,
    camera: CameraSettings,
    page: WebSettings,
    virtual: VirtualCameraSettings,
    read: ReadSettings,
    stream: StreamSettings,
    view: ViewSettings,
    effects: tuple[str, ...],
    encode: EncodeSettings,
    model: ModelSettings,
    faces: FaceSettings,
    quiet: bool,
    verbose: bool,
) -> int:
    """Segment SOURCE live. The newest frame is always the one shown, so the picture does not lag.

    SOURCE is a camera's index (0), a device path, a URL, or a video file, which is played in real
    time. Keys in the window: q or Esc quit, space pause, s snapshot, v next view, +/- opacity,
    h HUD, l legend, r start/stop recording, ? help.

    \b
    rtseg camera
    rtseg camera --list
    rtseg camera 1 --width 1920 --height 1080 --flip --view blur
    rtseg camera --effect lips=#b0122a --effect skin=0.4
    rtseg camera rtsp://host/stream --no-display -o record.mkv --duration 60
    rtseg camera --web 8000
    rtseg camera --virtual-camera --view blur
    rtseg camera --no-display -o rtmp://host/live/key
    """
    set_up_logging(verbose=verbose, quiet=quiet)
    if list_only:
        return _list_cameras()
    refuse_without("--web", OF_THE_PAGE, given=web)
    refuse_without("--virtual-camera", OF_THE_VIRTUAL_CAMERA, given=virtual_camera)
    live = LiveOutputs(
        web=web, virtual_camera=virtual_camera, page=page, camera=virtual, model=model, quiet=quiet
    )
    if display is None:
        display = not live.makers
    display = _can_display(display, recording=output is not None or bool(live.makers))
    if display:
        # Both wheels contain X11 libraries of the same name, and the first one loaded wins; a
        # window of OpenCV's hangs with PyAV's.
        import cv2 as _  # noqa: F401
    from rtseg.controls import Controls
    from rtseg.process import open_run
    from rtseg.run_outputs import video_sink
    from rtseg.sinks.window import WindowSink

    windows: list[WindowSink] = []

    def open_window(info: SourceInfo) -> Sink:
        windows.append(WindowSink(f"rtseg: {info.name}"))
        return windows[0]

    with open_run(
        source,
        output,
        more_sinks=[*live.makers, *([open_window] if display else [])],
        view=view,
        effects=effects,
        model=model,
        faces=faces,
        read=read,
        reconnect=stream,
        camera=camera,
        encode=encode,
        real_time=True,
        max_seconds=duration,
        on_open=partial(_print_negotiated, quiet=quiet),
    ) as run:
        controls = Controls(
            run,
            record=partial(video_sink, encode=encode.for_view(view.view), model=model),
            show=windows[0].show if windows else None,
        )
        live.connect(controls)
        with (
            ending_in_order(run.stop) as interruption,
            reporting(frame_count=None, quiet=quiet, title=run.source.info.name) as report,
        ):

            def on_progress(progress: Progress) -> None:
                report(progress)
                controls.show_status()

            try:
                summary = run.run(on_progress=on_progress, on_event=controls.handle)
            except TruncatedError:
                if run.summary is not None and not quiet:
                    print_summary(run.summary, run.outputs)
                raise
        if not quiet:
            print_summary(summary, run.outputs)
    # Ctrl-C is the normal way to end a live run; other signals change the exit code.
    return 0 if interruption.signal_number == signal.SIGINT else interruption.exit_code


def _list_cameras() -> int:
    from rtseg.sources.camera import list_cameras

    cameras = list_cameras()
    for camera in cameras:
        click.echo(camera)
    if not cameras:
        click.echo("no camera is connected", err=True)
    return 0


def _can_display(is_requested: bool, *, recording: bool) -> bool:
    """Whether a window can be shown; without a display, recording continues without one."""
    if not is_requested:
        if not recording:
            raise DisplayError("--no-display without -o OUTPUT would do nothing; give -o OUTPUT")
        return False
    if not sys.platform.startswith("linux") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    ):
        return True
    if recording:
        click.echo("no display (DISPLAY is not set): recording without a window", err=True)
        return False
    raise DisplayError(
        "no display (neither DISPLAY nor WAYLAND_DISPLAY is set); "
        "record with -o OUTPUT --no-display, or run it on a desktop"
    )


def _print_negotiated(source: Source, *, quiet: bool) -> None:
    """Print what was requested from the camera, and what it delivers."""
    negotiated = getattr(source, "negotiated", None)
    if negotiated is not None and not quiet:
        click.echo(negotiated.describe(), err=True)
