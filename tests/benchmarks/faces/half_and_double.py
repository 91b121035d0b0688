"""Measure what finding loses with a threshold halved or doubled.

`python -m tests.benchmarks.faces.half_and_double --data DIR` prints a row for each threshold that
was set by hand: faces found, face-free pictures with a detection, and crops labelled a picture, at
half its value, as it is, and at twice its value. A small count of pictures, so that a row takes
seconds: it shows whether a value is near a cliff, not which is best.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import click
import numpy as np

from rtseg import Segmenter
from rtseg.backends import open_backend
from rtseg.frames import Box, Frame, Image
from rtseg.settings import FaceSettings
from tests.benchmarks.faces.metered import Metered
from tests.benchmarks.faces.photos import busts, composites, photo_of
from training.data.face_busts import faceless

HIT = 0.5
FRAMES = 12
_PORTRAITS, _FACELESS = 3, 12  # portraits of each data set; pictures without a face
_COMPOSITES = ((0.08, 4), (0.12, 3))  # of stills: faces' heights, views
_PANNED = ((0.08, 5), (0.12, 1))  # of streams
_EMPTY_STREAMS, _LEAST_SIDE = 4, 300  # pictures without a face, and their shorter side
_TURNED = (0, 45, 90)
_STEP = 5  # pixels between two frames of a stream
_MARGIN = 60  # pixels around a stream's window

Thresholds = dict[str, tuple[str, ...]]
"""Names of constants by their module in `rtseg.faces`."""

_PARSING: Thresholds = {
    "parsing_finder": ("_SEEN", "_MOST", "_MOST_EXHAUSTIVE", "_MIN_HEAD", "_EXHAUSTIVE_REGIONS"),
    "refine": (
        *("_ROLL_OFF_DEGREES", "_ROLL_FROM_AFAR_DEGREES", "_SIDEWAYS_DEGREES"),
        *("_CORRECTIONS", "_BEYOND"),
    ),
    "scoring": ("_CLEAR", "_LEAST_REACH", "_LEAST_DOWN", "_LEAST_EYE_GAP", "_LEAST_CELLS"),
    "tiles": ("_FINE_SHARE",),
}
_STILLS: Thresholds = {
    "tiles": ("_STEP",),
    "whole_face": ("_COVERED", "_AGREES"),
    "candidates": ("_CORRECTIONS", "_FOUND_AGAIN"),
    "still_search": ("_MORE", "_TURNED", "_SIZES"),
    "scoring": ("_CLEAR", "_LEAST_DOWN", "_LEAST_EYE_GAP"),
}
_STREAMS: Thresholds = {
    "neighbours": ("_SUGGESTED",),
    "newcomers": ("NEW_A_FRAME", "_MAY_BE_ONE", "_WEAK"),
    "evidence": ("_CORRELATION", "_PRIOR", "_HALF_FRAMES", "_PROMISING"),
}

Shown = tuple[Image, list[Box]]
"""A picture and its faces; an empty list if it shows none."""


@dataclass
class Tally:
    """Counts of one pass over the pictures."""

    found: int = 0
    faces: int = 0
    false: int = 0
    pictures: int = 0
    crops: int = 0
    _empty: int = field(default=0, repr=False)

    def add(self, boxes: Sequence[Box], truths: Sequence[Box]) -> None:
        """Add what was found in a picture."""
        self.pictures += 1
        self.faces += len(truths)
        self.found += sum(any(box.overlap(truth) >= HIT for box in boxes) for truth in truths)
        if not truths:
            self._empty += 1
            self.false += bool(boxes)

    def __str__(self) -> str:
        crops = self.crops / max(1, self.pictures)
        return f"{self.found}/{self.faces}, {self.false}/{self._empty}, {crops:.1f}"


def stills(data: Path) -> list[Shown]:
    """Portraits at several rotations, composites, and pictures without a face, all of `val`."""
    shown: list[Shown] = []
    for people, _ in busts(data, "val"):
        for bust, turn in zip(people[:_PORTRAITS], _TURNED, strict=False):
            photo = photo_of(bust, turn)
            assert photo.truth is not None
            shown.append((photo.image, [photo.truth]))
    for share, count in _COMPOSITES:
        shown += composites(data, share, count=count)
    nobody = faceless(data, "val")
    shown += [(image, []) for image in nobody[:: max(1, len(nobody) // _FACELESS)]]
    return shown


def panned_over(data: Path) -> list[Shown]:
    """Composites of several people, and pictures without a face, all of `val`."""
    shown: list[Shown] = []
    for share, count in _PANNED:
        shown += composites(data, share, count=count)
    nobody = [one for one in faceless(data, "val")[::7] if min(one.shape[:2]) >= _LEAST_SIDE]
    return shown + [(image, []) for image in nobody[:_EMPTY_STREAMS]]


def stream(picture: Shown) -> Iterator[tuple[Frame, list[Box]]]:
    """A camera that pans over a composite, with the faces of each frame."""
    image, truths = picture
    height, width = image.shape[0] - _MARGIN, image.shape[1] - _MARGIN
    for index in range(FRAMES):
        offset = _STEP * index
        part = np.ascontiguousarray(image[offset : offset + height, offset : offset + width])
        moved = [
            Box(
                left=box.left - offset,
                top=box.top - offset,
                right=box.right - offset,
                bottom=box.bottom - offset,
            )
            for box in truths
        ]
        inside = [
            box
            for box in moved
            if box.left >= 0 and box.top >= 0 and box.right <= width and box.bottom <= height
        ]
        yield Frame(image=part, index=index, pts=index, time_base=Fraction(1, 30)), inside


def of_stills(backend: Metered, shown: Sequence[Shown], *, finder: Any) -> Tally:
    """Search every picture."""
    tally = Tally()
    segmenter = Segmenter(backend=backend, faces=FaceSettings(max_faces=32), finder=finder)
    backend.restart()
    for image, truths in shown:
        tally.add([face.face_box for face in segmenter(image).faces], truths)
    tally.crops = backend.crops
    return tally


def of_streams(backend: Metered, shown: Sequence[Shown]) -> Tally:
    """Follow the faces of the composites."""
    tally = Tally()
    backend.restart()
    for picture in shown:
        segmenter = Segmenter(backend=backend, faces=FaceSettings(max_faces=16))
        for frame, truths in stream(picture):
            tally.add([face.face_box for face in segmenter(frame).faces], truths)
    tally.crops = backend.crops
    return tally


def halved(value: float) -> float:
    """Half of a threshold, rounded down if it is a count."""
    return value // 2 if isinstance(value, int) else value / 2


def row(module: str, name: str, measure: Callable[[], Tally], now: Tally) -> str:
    """A threshold's row: measured with half and twice its value."""
    loaded = importlib.import_module(f"rtseg.faces.{module}")
    value = getattr(loaded, name)
    results = []
    for changed in (halved(value), 2 * value):
        setattr(loaded, name, changed)
        try:
            results.append(str(measure()))
        finally:
            setattr(loaded, name, value)
    half, double = results
    return f"| `{module}.{name}` | {value:g} | {half} | {now} | {double} |"


def main() -> None:
    """Print a table for each kind of search."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", default="parsing,stills,streams")
    parser.add_argument("--match", default="", help="rows whose name contains this")
    options = parser.parse_args()
    shown = stills(options.data)
    panned = panned_over(options.data)
    with open_backend("openvino", precision="fp32", threads=1) as opened:
        backend = Metered(opened)
        kinds: dict[str, tuple[Thresholds, Callable[[], Tally]]] = {
            "parsing": (_PARSING, lambda: of_stills(backend, shown, finder="parsing")),
            "stills": (_STILLS, lambda: of_stills(backend, shown, finder="auto")),
            "streams": (_STREAMS, lambda: of_streams(backend, panned)),
        }
        for kind in options.only.split(","):
            thresholds, measure = kinds[kind]
            click.echo(
                f"\n{kind}: faces found, face-free pictures with a detection, crops a picture\n\n"
                "| threshold | value | half | as it is | double |\n| --- | --- | --- | --- | --- |"
            )
            now = measure()
            pairs = ([(module, name) for name in names] for module, names in thresholds.items())
            for module, name in itertools.chain.from_iterable(pairs):
                if options.match in f"{module}.{name}":
                    click.echo(row(module, name, measure, now))


if __name__ == "__main__":
    main()
