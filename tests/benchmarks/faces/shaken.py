"""Measure streams that are hard to be sure of: shaky, noisy, fading in or losing their contrast.

`python -m tests.benchmarks.faces.shaken --data DIR` holds a shaky camera in front of `val`
composites and of `val` pictures without a face, and prints how many faces are found, in how many of
their frames, how often one gets another id, how many ids go from one to another, and what is taken
for a face.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import click
import cv2
import numpy as np

from rtseg import Segmenter
from rtseg.backends import open_backend
from rtseg.frames import Box, Frame, Image
from rtseg.geometry.crop import box_around
from rtseg.settings import FaceSettings
from tests.benchmarks.faces.metered import Metered
from tests.benchmarks.faces.photos import busts
from training.augment.face_scenes import FaceScenes, SceneSettings
from training.data.face_busts import faceless

HIT = 0.5
SECOND = 30
"""Frames in a second."""
_ASIDE = 0.1  # overlap with a face below which a detection is somebody or something else
_SEED = 77
_NOISE = 3.0  # standard deviation, in grey levels
_MOVES, _ZOOMS, _ROLLS = 0.02, 0.03, 1.5  # of the picture's size; of its scale; degrees
_GREY = 110.0  # what a picture fades in from, and out to


@dataclass
class Tally:
    """What was seen of the faces of some streams, and what else."""

    faces: int = 0
    first: int = 0
    found: int = 0
    shown: int = 0
    seen: int = 0
    frames: int = 0
    crops: int = 0
    false_frames: int = 0
    false_places: int = 0
    changes: int = 0
    taken: int = 0

    def row(self, name: str) -> str:
        """The tally as a row of a table."""
        return (
            f"| {name} | {self.first} of {self.faces} | {self.found} of {self.faces} | "
            f"{self.seen} of {self.shown} | {self.changes} | {self.taken} | {self.false_places} | "
            f"{self.false_frames} of {self.frames} | {self.crops / max(1, self.frames):.2f} |"
        )


def contrast(index: int, frames: int, kind: str) -> float:
    """The share of a picture's contrast that a frame has left."""
    progress = index / max(1, frames - 1)
    if kind == "fading in":
        return 0.3 + 0.7 * min(1.0, 2 * progress)
    if kind == "fading out":
        return 1 - 0.8 * progress
    return 1.0


def shaken(
    image: Image, faces: Sequence[Box], *, frames: int, seed: int, kind: str = "steady"
) -> Iterator[tuple[Frame, list[Box]]]:
    """The frames of a hand-held camera in front of a picture, with its faces in each."""
    rng = np.random.default_rng((_SEED, seed))
    height, width = image.shape[:2]
    phases, periods = rng.uniform(0, 2 * math.pi, 4), rng.uniform(20, 60, 4)
    for index in range(frames):
        x, y, zoom, roll = np.sin(phases + 2 * math.pi * index / periods)
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), _ROLLS * roll, 1 + _ZOOMS * zoom)
        matrix[:, 2] += _MOVES * x * width, _MOVES * y * height
        moved = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
        share = contrast(index, frames, kind)
        noise = rng.standard_normal(image.shape, np.float32) * _NOISE
        shown = share * moved.astype(np.float32) + (1 - share) * _GREY + noise
        truths = []
        for box in faces:
            centre_x, centre_y = matrix @ [*box.centre, 1.0]
            scale = 1 + _ZOOMS * zoom
            truths.append(
                box_around(float(centre_x), float(centre_y), scale * box.width, scale * box.height)
            )
        pixels = np.clip(shown, 0, 255).astype(np.uint8)
        yield Frame(image=pixels, index=index, pts=index, time_base=Fraction(1, SECOND)), truths


def follow(
    backend: Metered,
    tally: Tally,
    stream: Iterator[tuple[Frame, list[Box]]],
    *,
    doubtful: Sequence[Box] = (),
    finder: Path | None = None,
) -> None:
    """Follow the faces of a stream, and add what was seen to a tally.

    Args:
        backend: runs the labelling network.
        tally: is added to.
        stream: frames with their faces.
        doubtful: where faces are hidden so far that they need not be found, but may be.
        finder: a finder's checkpoint; the shipped one if None.
    """
    segmenter = Segmenter(
        backend=backend, faces=FaceSettings(max_faces=16), finder=finder or "auto"
    )
    backend.restart()
    seen: dict[int, list[int]] = {}
    false: set[int | None] = set()
    ids: dict[int, list[int | None]] = {}
    for frame, truths in stream:
        boxes = segmenter(frame).faces
        tally.frames += 1
        tally.shown += len(truths)
        for index, truth in enumerate(truths):
            seen.setdefault(index, [])
            best = max(boxes, key=lambda face: face.face_box.overlap(truth), default=None)
            if best is not None and best.face_box.overlap(truth) >= HIT:
                seen[index].append(frame.index)
                ids.setdefault(index, []).append(best.track_id)
        elsewhere = [
            face.track_id
            for face in boxes
            if all(face.face_box.overlap(box) <= _ASIDE for box in (*truths, *doubtful))
        ]
        tally.false_frames += bool(elsewhere)
        false.update(elsewhere)
    tally.faces += len(seen)
    tally.first += sum(0 in found for found in seen.values())
    tally.found += sum(any(at < SECOND for at in found) for found in seen.values())
    tally.seen += sum(map(len, seen.values()))
    tally.false_places += len(false)
    tally.crops += backend.crops
    for one in ids.values():
        tally.changes += sum(before != after for before, after in pairwise(one))
    owners = [track_id for one in ids.values() for track_id in set(one)]
    tally.taken += len(owners) - len(set(owners))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--finder", type=Path, help="a finder's checkpoint; the shipped one")
    parser.add_argument("--scenes", type=int, default=24, help="composites of each kind of stream")
    parser.add_argument("--empty", type=int, default=1000, help="pictures without a face, at most")
    parser.add_argument("--frames", type=int, default=60)
    options = parser.parse_args()
    nobody = faceless(options.data, "val")
    composed = FaceScenes(
        busts=busts(options.data, "val"),
        backgrounds=nobody,
        settings=SceneSettings(
            height=720, width=1280, empty=0.0, whole=0.1, touching=0.3, passing=0.15, at_edge=0.1
        ),
        seed=_SEED,
    )
    click.echo(
        "| streams | found at once | within a second | frames with the face | other ids | ids taken"
        " over | false faces | frames with one | crops a frame |\n|" + 9 * " --- |"
    )
    with open_backend("openvino", precision="fp32", threads=1) as opened:
        backend = Metered(opened)
        kinds = ("steady", "fading in", "fading out") if options.scenes else ()
        for number, kind in enumerate(kinds):
            tally = Tally()
            for index in range(options.scenes):
                seed = number * options.scenes + index
                image, faces, hidden = composed.scene(seed)
                boxes, doubtful = (
                    [Box(left=a, top=b, right=c, bottom=d) for a, b, c, d in (f.box for f in some)]
                    for some in (faces, hidden)
                )
                stream = shaken(image, boxes, frames=options.frames, seed=seed, kind=kind)
                follow(backend, tally, stream, doubtful=doubtful, finder=options.finder)
            click.echo(tally.row(kind))
        tally = Tally()
        for index, image in enumerate(nobody[: options.empty]):
            stream = shaken(image, [], frames=options.frames, seed=index)
            follow(backend, tally, stream, finder=options.finder)
        if options.empty:
            click.echo(tally.row("nobody"))


if __name__ == "__main__":
    main()
