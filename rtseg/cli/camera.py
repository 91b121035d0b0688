"""`rtseg camera`: live, in a window, a file, or both."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import click

from rtseg.cli.controls import Controls
from rtseg.cli.options import with_settings
from rtseg.cli.paths import check_outputs
from rtseg.cli.progress import print_summary, reporting, set_up_logging
from rtseg.cli.signals import ending_in_order
from rtseg.cli.view import LiveView
from rtseg.errors import DisplayError, TruncatedError
from rtseg.settings import (
    CameraSettings,
    EncodeSettings,
    FaceSettings,
    ModelSettings,
    ReadSettings,
    StreamSettings,
    ViewSettings,
)

if TYPE_CHECKING:
    from rtseg.runtime.pipeline import Progress
    from rtseg.sinks.base import Sink
    from rtseg.sinks.window import WindowSink
    from rtseg.sources.base import Source


@click.command(short_help="Segment a camera live.")
@click.argument("source", default="0", metavar="[SOURCE]")
@click.option("-o", "--output", metavar="OUTPUT", help="Record: any output of `rtseg video`.")
@click.option("--display/--no-display", default=True, help="Show a window.")
@click.option("--duration", type=float, metavar="X", help="Stop after this many seconds.")
@with_settings(
    camera=CameraSettings,
    stream=StreamSettings,
    view=ViewSettings,
    encode=EncodeSettings,
    model=ModelSettings,
    faces=FaceSettings,
    defaults={"legend": True, "hud": True},
    # Only the pictures of a live source are recorded.
    omit=("audio", "subtitles"),
)
@click.option(
    "--timeout", default=10.0, show_default=True, help="Seconds to wait for a silent camera."
)
@click.option("--allow-nested-urls", is_flag=True, help="Read playlists (HLS …) of a trusted host.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="Say more.")
def command(
    source: str,
    output: str | None,
    display: bool,
    duration: float | None,
    camera: CameraSettings,
    stream: StreamSettings,
    view: ViewSettings,
    encode: EncodeSettings,
    model: ModelSettings,
    faces: FaceSettings,
    timeout: float,
    allow_nested_urls: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Segment SOURCE as it happens: the newest frame is shown, the picture never lags.

    SOURCE is a camera's index (0), a device path, a URL, or a video file, which is played in real
    time. Keys in the window: q or Esc quit, space pause, s snapshot, v next view, +/- opacity,
    h HUD, l legend, r start/stop recording, ? help.

    \b
    rtseg camera
    rtseg camera 1 --width 1920 --height 1080 --flip --view blur
    rtseg camera rtsp://host/stream --no-display -o record.mkv --duration 60
    """
    from rtseg.backends import open_backend_for
    from rtseg.runtime.pipeline import Pipeline
    from rtseg.segmenter import Segmenter
    from rtseg.sinks import open_sink
    from rtseg.sinks.tee import TeeSink
    from rtseg.sources import open_source
    from rtseg.system.threads import decoder_threads, shares_processor
    from rtseg.timing import StageTimes
    from rtseg.views import check_view, rendered_size

    set_up_logging(verbose=verbose, quiet=quiet)
    display = _can_display(display, recording=output is not None)
    if display:
        # Both wheels bring X11 libraries of the same names, and the first one loaded wins: a
        # window of OpenCV's hangs with PyAV's.
        import cv2 as _  # noqa: F401
    check_outputs([source, model.model], {"-o": output}, allow_nested_urls=allow_nested_urls)
    times = StageTimes()
    with ExitStack() as stack:
        frames = stack.enter_context(
            open_source(
                source,
                settings=ReadSettings(timeout=timeout, allow_nested_urls=allow_nested_urls),
                real_time=True,
                camera=camera,
                stream=stream,
                threads=decoder_threads(model),
            )
        )
        _print_negotiated(frames, quiet=quiet)
        record = partial(
            open_sink,
            settings=encode.for_view(view.view),
            threads=model.threads,
            shared=shares_processor(model),
        )
        sinks: list[Sink] = []
        window: WindowSink | None = None
        if output is not None:
            sinks.append(record(output))
        if display:
            from rtseg.sinks.window import WindowSink

            window = WindowSink(f"rtseg: {frames.info.name}")
            sinks.append(window)
        backend = stack.enter_context(open_backend_for(model))
        segmenter = Segmenter(backend=backend, faces=faces, times=times)
        check_view(view, segmenter.label_set, alpha=False)
        sink = TeeSink(sinks)
        width, height = rendered_size(view, frames.info.width, frames.info.height)
        controls = Controls(
            frames,
            sink,
            record=record,
            width=width,
            height=height,
            window=window,
        )
        shown = LiveView(
            view,
            alpha=False,
            statistics=lambda: pipeline.statistics,
            notice=controls.notice,
        )
        controls.view = shown
        pipeline = Pipeline(
            source=frames,
            segment=segmenter,
            sink=sink,
            render=shown,
            width=width,
            height=height,
            times=times,
            max_seconds=duration,
        )
        outputs = [part.describe() for part in sinks if part.describe()]
        with (
            ending_in_order(pipeline.stop) as interruption,
            reporting(frame_count=None, quiet=quiet, title=frames.info.name) as report,
        ):

            def on_progress(progress: Progress) -> None:
                report(progress)
                controls.show_status()

            try:
                summary = pipeline.run(on_progress=on_progress, on_event=controls.handle)
            except TruncatedError:
                if pipeline.summary is not None and not quiet:
                    print_summary(pipeline.summary, outputs)
                raise
        if not quiet:
            print_summary(summary, outputs)
    # Ctrl-C is how a live run ends; other signals are said.
    return 0 if interruption.signal_number == signal.SIGINT else interruption.exit_code


def _can_display(wanted: bool, *, recording: bool) -> bool:
    """Whether a window can be shown; without a display a recording goes on without one."""
    if not wanted:
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
    """What the camera was asked for, and what it gave."""
    negotiated = getattr(source, "negotiated", None)
    if negotiated is not None and not quiet:
        click.echo(negotiated.describe(), err=True)
