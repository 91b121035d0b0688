"""Measure how many faces a stream shows in its very first frames.

`python -m tests.benchmarks.faces.first_frame --data DIR` holds each of the composites of `photos`
still for a few frames. A face is found where a box overlaps its own by half; *followed* are those
found in the first frame whose tracks are shown in the last one, wherever the boxes end by then.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path

import click

from rtseg import Segmenter
from rtseg.frames import Frame
from rtseg.settings import FaceSettings
from tests.benchmarks.faces.detectors import MOST_FACES
from tests.benchmarks.faces.photos import COMPOSITES, composites

HIT = 0.5
SHARES = (0.05, 0.08, 0.12, 0.2, 0.4)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--finder", type=Path, help="a finder's checkpoint; the shipped one")
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    heads = " | ".join(f"frame {index + 1}" for index in range(options.frames))
    click.echo(
        f"| height | faces | {heads} | followed |\n| --- | --- {'| --- ' * options.frames}| --- |"
    )
    with Segmenter(
        threads=options.threads,
        faces=FaceSettings(max_faces=MOST_FACES),
        finder=options.finder or "auto",
    ) as segmenter:
        for share in SHARES:
            total, followed, found = 0, 0, [0] * options.frames
            for image, truths in composites(options.data, share, count=COMPOSITES):
                segmenter.reset()
                total += len(truths)
                at_first: set[int | None] = set()
                for index in range(options.frames):
                    frame = Frame(image=image, index=index, pts=index, time_base=Fraction(1, 30))
                    faces = segmenter(frame).faces
                    for truth in truths:
                        best = max(
                            faces, key=lambda face: face.face_box.overlap(truth), default=None
                        )
                        if best is not None and best.face_box.overlap(truth) >= HIT:
                            found[index] += 1
                            at_first |= set() if index else {best.track_id}
                followed += len(at_first & {face.track_id for face in faces})
            counts = " | ".join(map(str, found))
            click.echo(f"| {share:.0%} | {total} | {counts} | {followed} |")


if __name__ == "__main__":
    main()
