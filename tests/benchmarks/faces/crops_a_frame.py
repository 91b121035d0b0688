"""Count the crops per frame of clips: `python -m tests.benchmarks.faces.crops_a_frame CLIP…`.

Prints a row for each clip with the crops per frame, the faces summed over all frames, and the frame
in which each face appears first; without a clip, for the moving face.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from rtseg import Segmenter, open_source
from rtseg.backends import open_backend
from rtseg.frames import Frame
from rtseg.sources.base import Source
from rtseg.sources.synthetic import MovingFaceSource
from tests.benchmarks.faces.metered import Metered


def main() -> None:
    """Process every clip, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="*", type=Path, metavar="CLIP")
    parser.add_argument("--frames", type=int, default=90)
    options = parser.parse_args()
    click.echo("| clip | crops a frame | faces | first seen in frame |\n| --- | --- | --- | --- |")
    with open_backend("openvino", precision="fp32", threads=1) as backend:
        metered = Metered(backend)
        for clip in options.clips or [None]:
            click.echo(row(metered, clip, frames=options.frames))


def row(backend: Metered, clip: Path | None, *, frames: int) -> str:
    """One clip's row."""
    backend.restart()
    faces, first, count = 0, dict[int, int](), 0
    with opened(clip) as source, Segmenter(backend=backend) as segmenter:
        for frame in source:
            if count == frames:
                break
            if not isinstance(frame, Frame):
                continue
            count += 1
            found = segmenter(frame).faces
            faces += len(found)
            for face in found:
                first.setdefault(face.track_id or 0, frame.index)
    name = "the moving face" if clip is None else clip.stem
    appeared = ", ".join(map(str, first.values())) or "–"
    return f"| {name} | {backend.crops / max(1, count):.2f} | {faces} | {appeared} |"


@contextmanager
def opened(clip: Path | None) -> Iterator[Source]:
    """A clip, or the moving face."""
    if clip is None:
        with MovingFaceSource(width=1280, height=720, frame_count=300) as moving:
            yield moving
        return
    with open_source(str(clip)) as source:
        yield source


if __name__ == "__main__":
    main()
