"""Measure finding faces in photos, and false faces: `python -m tests.benchmarks.faces.photos`.

Columns: portraits not used in training (one labelled face per photo), profiles, portraits rotated
by 45 degrees and more, photos of Figaro-1k (faces whose boxes were drawn by eye, and heads from
behind), composites by face height, a collage of small portraits, and face-free pictures. A hit
overlaps the true face box (forehead to chin, ear to ear) by half; MediaPipe's boxes begin lower, at
the brows, so `--hit` may be lowered for it.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rtseg.frames import Box, Image
from tests.benchmarks.faces.detectors import NAMES, Detector, detector
from training.augment.busts import Bust
from training.augment.face_scenes import FaceScenes, SceneSettings
from training.data import face_busts
from training.data.backgrounds import Backgrounds
from training.data.base import read_split
from training.data.face_busts import faceless
from training.data.listed import open_figaro
from training.data.percent_boxes import read_percent_boxes

busts = functools.lru_cache(maxsize=4)(face_busts.busts)

SHARES = (0.05, 0.08, 0.12, 0.2, 0.4, 0.8)
TURNS = (0, 45, 90, 135, 180)
HELD_OUT = ("val", "report")
SHOWS_A_FACE = ("in_trimaran",)
"""Pictures listed as face-free in which a face is seen after all: a sailor's, 12 pixels wide."""

_HEIGHT, _WIDTH = 720, 1280
COMPOSITES, _TURNED = 40, 60  # views at each height, portraits at each rotation


@dataclass(frozen=True, kw_only=True, eq=False)
class Photo:
    """A picture with one labelled face, or none.

    Attributes:
        image: RGB uint8.
        truth: the face's box; None if there is no face.
        roll_degrees: the face's rotation, clockwise.
    """

    image: Image
    truth: Box | None
    roll_degrees: float = 0.0


@dataclass
class Count:
    """Counts how often something was true, of how many."""

    hits: int = 0
    total: int = 0

    def add(self, hit: bool) -> None:
        """Add one result."""
        self.hits += hit
        self.total += 1

    def __str__(self) -> str:
        return f"{self.hits} of {self.total}"


def portraits(data: Path, kind: int) -> Iterator[Photo]:
    """The held-out photos of one kind of busts, unmodified."""
    for split in HELD_OUT:
        kinds = busts(data, split)
        if kind < len(kinds):
            yield from (photo_of(bust) for bust in kinds[kind][0])


def photo_of(bust: Bust, degrees: float = 0.0) -> Photo:
    """A bust's own picture, rotated clockwise about its centre, enlarged if necessary."""
    image = np.ascontiguousarray(bust.levels[0][..., :3])
    outline = bust.outline
    if degrees:
        rows, columns = image.shape[:2]
        side = int(np.hypot(rows, columns)) + 1
        matrix = cv2.getRotationMatrix2D((columns / 2, rows / 2), -degrees, 1)
        matrix[:, 2] += (side / 2 - columns / 2, side / 2 - rows / 2)
        image = cv2.warpAffine(
            image, matrix, (side, side), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
        )
        outline = outline @ matrix[:, :2].T + matrix[:, 2]
    (left, top), (right, bottom) = outline.min(0), outline.max(0)
    return Photo(
        image=image,
        truth=Box(left=left, top=top, right=right, bottom=bottom),
        roll_degrees=bust.roll_degrees + degrees,
    )


def figaro(data: Path) -> Iterator[tuple[Image, Box | None]]:
    """Validation photos of Figaro-1k with one face, and its box, and with a head from behind.

    A third of the faces look aside or down, or are cut by the picture's edge.
    """
    boxes = read_percent_boxes("figaro-val-faces")
    backs = set(read_split("figaro-val-backs"))
    pictures = open_figaro(data, "val")
    for sample in (pictures[index] for index in range(len(pictures))):
        height, width = sample.image.shape[:2]
        if sample.name in backs:
            yield sample.image, None
        for place in boxes.get(sample.name, ()):
            yield (
                sample.image,
                Box(
                    left=max(0, place.left) * width / 100,
                    top=max(0, place.top) * height / 100,
                    right=min(100, place.right) * width / 100,
                    bottom=min(100, place.bottom) * height / 100,
                ),
            )


def collage(people: Sequence[Bust], *, columns: int = 6, rows: int = 4) -> tuple[Image, list[Box]]:
    """Small portraits side by side, with their faces' boxes."""
    width, height = _WIDTH // columns, _HEIGHT // rows
    picture = np.full((height * rows, width * columns, 3), 114, np.uint8)
    truths = []
    for index, bust in enumerate(people[: rows * columns]):
        photo = photo_of(bust)
        assert photo.truth is not None
        scale = min(width / photo.image.shape[1], height / photo.image.shape[0])
        size = (round(photo.image.shape[1] * scale), round(photo.image.shape[0] * scale))
        small = cv2.resize(photo.image, size, interpolation=cv2.INTER_AREA)
        x, y = index % columns * width, index // columns * height
        picture[y : y + size[1], x : x + size[0]] = small
        truths.append(
            Box(
                left=x + photo.truth.left * scale,
                top=y + photo.truth.top * scale,
                right=x + photo.truth.right * scale,
                bottom=y + photo.truth.bottom * scale,
            )
        )
    return picture, truths


def composites(data: Path, share: float, *, count: int) -> Iterator[tuple[Image, list[Box]]]:
    """720p frames with people's faces of given heights, as shares of the frame's height."""
    settings = SceneSettings(
        height=_HEIGHT,
        width=_WIDTH,
        smallest=share,
        largest=share,
        empty=0.0,
        whole=0.0,
        upside=0.0,
        degraded=0.3,
    )
    scenes = FaceScenes(
        busts=busts(data, "val"), backgrounds=faceless(data, "val"), settings=settings, seed=77
    )
    for index in range(count):
        image, faces, _ = scenes.scene(index)
        boxes = []
        for face in faces:
            if face.visible < 0.75:
                continue
            left, top, right, bottom = face.box
            boxes.append(Box(left=left, top=top, right=right, bottom=bottom))
        yield image, boxes


class _Told(dict[str, Any]):
    """Prints figures as soon as they are known."""

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        sys.stdout.write(f"{name:44} {value}\n")
        sys.stdout.flush()


def measure(
    find: Detector, data: Path, *, count: int, hit: float, only: Sequence[str]
) -> dict[str, Any]:
    """Measure every requested column."""
    result = _Told()

    def find_face(image: Image, truth: Box) -> tuple[bool, int]:
        boxes = find(image)
        return any(box.overlap(truth) >= hit for box in boxes), len(boxes)

    for kind, name in enumerate(("CelebAMask-HQ", "Helen*", "masked", "profiles")):
        if "portraits" not in only:
            continue
        missed, more, seconds = Count(), Count(), []
        for photo in list(portraits(data, kind))[:count]:
            assert photo.truth is not None
            before = time.perf_counter()
            is_hit, number = find_face(photo.image, photo.truth)
            seconds.append(time.perf_counter() - before)
            missed.add(not is_hit)
            more.add(number > 1)
        result[f"{name}: not found"] = str(missed)
        result[f"{name}: more than one"] = str(more)
        result[f"{name}: ms a photo"] = round(1000 * float(np.median(seconds)), 1)
    if "turned" in only:
        people = busts(data, "val")[0][0]
        for turn in TURNS:
            hits = Count()
            for index, bust in enumerate(people[: min(count, _TURNED)]):
                photo = photo_of(bust, turn if index % 2 else -turn)
                assert photo.truth is not None
                hits.add(find_face(photo.image, photo.truth)[0])
            result[f"turned by {turn}: found"] = str(hits)
    if "figaro" in only:
        missed, wrong = Count(), Count()
        for image, truth in list(figaro(data))[:count]:
            boxes = find(image)
            if truth is None:
                wrong.add(bool(boxes))
            else:
                missed.add(not any(box.overlap(truth) >= hit for box in boxes))
        result["Figaro-1k: not found"] = str(missed)
        result["heads from behind: a face is seen in"] = str(wrong)
    if "composites" in only:
        for share in SHARES:
            hits = Count()
            for image, truths in composites(data, share, count=max(1, min(count, COMPOSITES))):
                boxes = find(image)
                for truth in truths:
                    hits.add(any(box.overlap(truth) >= hit for box in boxes))
            result[f"{share:.0%} of the height: found"] = str(hits)
    if "collage" in only:
        picture, truths = collage(busts(data, "val")[0][0])
        before = time.perf_counter()
        boxes = find(picture)
        hits = Count()
        for truth in truths:
            hits.add(any(box.overlap(truth) >= hit for box in boxes))
        result["collage of 24: found"] = str(hits)
        result["collage of 24: ms"] = round(1000 * (time.perf_counter() - before), 1)
    if "faceless" in only:
        for split in HELD_OUT:
            wrong = Count()
            names = Backgrounds(root=data, split=split).names
            for name, image in zip(names, faceless(data, split), strict=True):
                if name not in SHOWS_A_FACE:
                    wrong.add(bool(find(image)))
            result[f"no face ({split}): a face is seen in"] = str(wrong)
    return result


COLUMNS = ("portraits", "turned", "figaro", "composites", "collage", "faceless")


def main() -> int:
    """Measure one detector, and print a list and JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.faces.photos")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--detector", choices=NAMES, default="segmenter")
    parser.add_argument("--finder", type=Path, help="a finder's checkpoint; the shipped one")
    parser.add_argument("--model", help="a labelling model; the shipped one")
    parser.add_argument("--min-score", type=float, default=0.5)
    parser.add_argument("--hit", type=float, default=0.5, help="overlap that counts")
    parser.add_argument("--count", type=int, default=10_000, help="at most so many of a kind")
    parser.add_argument("--only", default=",".join(COLUMNS))
    parser.add_argument("--mediapipe-python", default="python", help="one with mediapipe 0.10.14")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    only = options.only.split(",")
    if not set(only) <= set(COLUMNS):
        parser.error(f"--only takes some of {', '.join(COLUMNS)}")
    find = detector(
        options.detector,
        threads=options.threads,
        min_score=options.min_score,
        finder=options.finder,
        model=options.model,
        python=options.mediapipe_python,
    )
    result = measure(find, options.data, count=options.count, hit=options.hit, only=only)
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
