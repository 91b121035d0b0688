"""The clips that benchmarks of decoding and encoding run on."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from rtseg.frames import Frame, Segmentation
from rtseg.labels import HELEN
from rtseg.runtime.pipeline import Pipeline
from rtseg.settings import EncodeSettings
from rtseg.sinks import open_sink
from rtseg.sources.synthetic import MovingFaceSource


def make_clip(path: Path, *, width: int, height: int, frames: int) -> None:
    """Encode the moving face."""

    def segment(frame: Frame) -> Segmentation:
        return Segmentation(labels=np.zeros((frame.height, frame.width), np.uint8), label_set=HELEN)

    with MovingFaceSource(width=width, height=height, frame_count=frames) as source:
        Pipeline(
            source=source,
            segment=segment,
            sink=open_sink(str(path), settings=EncodeSettings(overwrite=True)),
            render=lambda frame, _segmentation: frame.image,
            width=width,
            height=height,
        ).run()


def clip_parser(description: str | None, *, frames: int) -> argparse.ArgumentParser:
    """A parser with the options `--input` and `--frames`."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--input", type=Path, help="a clip; the moving face at 1280x720 if not given"
    )
    parser.add_argument("--frames", type=int, default=frames)
    return parser


@contextmanager
def given_or_made_clip(given: Path | None, *, frames: int) -> Iterator[Path]:
    """The given clip, or else the moving face with that many frames, until the block ends."""
    if given is not None:
        yield given
        return
    with TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        make_clip(clip, width=1280, height=720, frames=frames)
        yield clip
