"""`rtseg demo`: generate a clip of a real face and segment it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import click

from rtseg.cli.options import with_settings
from rtseg.cli.progress import reporting, set_up_logging
from rtseg.cli.signals import ending_in_order
from rtseg.errors import OutputExistsError
from rtseg.settings import (
    EncodeSettings,
    FaceSettings,
    ModelSettings,
    ReadSettings,
    ViewSettings,
)

SECONDS = 10
DEFAULT_OUTPUT = "demo.mp4"
FRAME_RATE = Fraction(30)


@click.command(short_help="Segment a generated clip of a moving face.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help=f"The segmented clip; by default {DEFAULT_OUTPUT}, which is replaced if it exists.",
)
@click.option("--overwrite/--no-overwrite", default=False, help="Replace -o FILE if it exists.")
@with_settings(
    view=ViewSettings, model=ModelSettings, faces=FaceSettings, defaults={"legend": True}
)
def command(
    output: str | None,
    overwrite: bool,
    view: ViewSettings,
    model: ModelSettings,
    faces: FaceSettings,
) -> int:
    """Generate a ten-second 1280x720 clip in which the camera moves over a portrait (the face
    grows from small to large, leaves the picture once and comes back), run `rtseg video` on it, and
    print where the result is and how fast it was.

    The portrait is NASA's public-domain photo of Eileen Collins, from scikit-image.
    """
    from rtseg.cli.video import segment_video

    set_up_logging(verbose=False, quiet=False)
    target = Path(output or DEFAULT_OUTPUT)
    clip = target.with_name(f"{target.stem}-input{target.suffix}")
    for path in (target, clip):
        if output is not None and path.exists() and not overwrite:
            raise OutputExistsError(f"{path} exists; --overwrite replaces it")
    click.echo(f"1/2  {clip}: {SECONDS} s of a camera moving over a portrait, 1280x720", err=True)
    code = make_clip(clip, threads=model.threads)
    if code:
        return code
    click.echo(f"2/2  rtseg video {clip} -o {target} --overwrite --legend", err=True)
    code = segment_video(
        source=str(clip),
        output=str(target),
        view=view,
        read=ReadSettings(),
        encode=EncodeSettings(overwrite=True),
        model=model,
        faces=faces,
    )
    if code == 0:
        click.echo(
            f"\nOpen {target}. Then try:\n"
            f"  rtseg video {clip} -o blurred.mp4 --view blur --classes face\n"
            f"  rtseg video {clip} --labels masks.mkv --json masks.jsonl\n"
            f"  rtseg camera\n"
            f"  rtseg bench",
            err=True,
        )
    return code


def make_clip(path: Path, *, threads: int = 0) -> int:
    """Encode the moving face to a file; return the exit code (not 0 if interrupted)."""
    import numpy as np

    from rtseg.frames import Frame, Segmentation
    from rtseg.labels import HELEN
    from rtseg.sinks import open_sink
    from rtseg.sources.synthetic import MovingFaceSource
    from rtseg.wiring import wire

    count = int(SECONDS * FRAME_RATE)
    with MovingFaceSource(
        width=1280, height=720, frame_count=count, frame_rate=FRAME_RATE
    ) as source:
        nothing = np.zeros((source.info.height, source.info.width), np.uint8)

        def segment(_frame: Frame) -> Segmentation:
            return Segmentation(labels=nothing, label_set=HELEN)

        sink = open_sink(str(path), settings=EncodeSettings(overwrite=True), threads=threads)
        run = wire(source, segment, [sink], view=None)
        with (
            ending_in_order(run.stop) as interruption,
            reporting(frame_count=count, quiet=False, title=path.name) as report,
        ):
            run.run(on_progress=report)
        return interruption.exit_code
