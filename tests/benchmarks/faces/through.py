"""Compare `rtseg` on portraits with the network's own pass over the whole picture.

`python -m tests.benchmarks.faces.through --data DIR`: F1 on CelebAMask-HQ and Helen* at the
pictures' own size (Helen* at twice its size, so that its labels' offset of half a pixel is a whole
one), for one pass over the whole picture and for `Segmenter`, over the photos in which a face is
found. Labels farther from the annotated person's head than half its size belong to bystanders, whom
neither data set annotates, and are not counted for either.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import cv2
import numpy as np

from rtseg import Segmenter
from rtseg.backends import open_backend
from rtseg.backends.base import Backend
from rtseg.frames import Image, LabelMap
from rtseg.labels import FACE_PARTS, IGNORED
from training.data.base import Sample
from training.evaluation.markdown import share, table
from training.evaluation.metrics import Matrix, confusion_matrix, f1_of, mean_of, without_sets
from training.recipes import recipe_of

SETS = ("celebamask", "helen")
_CLASSES = len(FACE_PARTS)


def photos(data: Path, split: str, *, count: int) -> Iterator[Sample]:
    """Evenly chosen photos of a split; Helen*'s are enlarged until its labels are aligned."""
    dataset = recipe_of("face-parts").evaluation(data, split)
    chosen = np.linspace(0, len(dataset) - 1, min(count, len(dataset))).round().astype(int)
    for index in chosen:
        sample = dataset[int(index)]
        yield _enlarged(sample) if sample.label_offset else sample


def _enlarged(sample: Sample) -> Sample:
    """Enlarge twofold, and shift the labels by their offset, now a whole pixel."""
    height, width = sample.labels.shape
    image = cv2.resize(sample.image, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC)
    labels = np.repeat(np.repeat(sample.labels, 2, axis=0), 2, axis=1)
    shift = round(2 * sample.label_offset)
    moved = np.full_like(labels, IGNORED)
    moved[: 2 * height - shift, : 2 * width - shift] = labels[shift:, shift:]
    return Sample(name=sample.name, image=image, labels=moved, sets=sample.sets)


def near(labels: LabelMap) -> np.ndarray:
    """The area of the annotated person: the head's box, enlarged by half its size."""
    known = np.isin(labels, FACE_PARTS.groups["head"])
    rows, columns = np.flatnonzero(known.any(1)), np.flatnonzero(known.any(0))
    inside = np.zeros(labels.shape, bool)
    if len(rows):
        tall, wide = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
        top, left = max(0, rows[0] - tall // 4), max(0, columns[0] - wide // 4)
        inside[top : rows[-1] + tall // 4, left : columns[-1] + wide // 4] = True
    return inside


def measure(
    whole: Segmenter, faces: Segmenter, data: Path, split: str, *, count: int
) -> tuple[Matrix, Matrix, int, int]:
    """Both confusion matrices, and in how many of how many photos a face was found."""
    matrices = [np.zeros((_CLASSES, _CLASSES), np.int64) for _ in range(2)]
    found_count = total = 0
    for sample in photos(data, split, count=count):
        total += 1
        result = faces(sample.image)
        if not result.faces:
            continue
        found_count += 1
        nothing = np.zeros_like(sample.labels)
        counted = near(without_sets(sample.labels, nothing, sets=sample.sets)[0])
        for matrix, labels in zip(
            matrices, (_whole(whole, sample.image), result.labels), strict=True
        ):
            truth, predicted = sample.labels, labels
            if sample.sets:
                truth, predicted = without_sets(truth, predicted, sets=sample.sets)
            truth = np.where(counted, truth, IGNORED).astype(np.uint8)
            matrix += confusion_matrix(truth, predicted, classes=_CLASSES)
    return matrices[0], matrices[1], found_count, total


def _whole(whole: Segmenter, image: Image) -> LabelMap:
    return whole(image).labels


def main() -> int:
    """Measure, print Markdown."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.faces.through", description=__doc__
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", help="model file; the built-in one if not given")
    parser.add_argument("--finder", type=Path, help="finder's model; the built-in one if not given")
    parser.add_argument("--split", default="val", choices=("val", "report"))
    parser.add_argument("--count", type=int, default=1000, help="photos a data set at most")
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args()
    with open_backend(
        "auto", model=options.model, precision=options.precision, threads=1
    ) as backend:
        from tests.benchmarks.faces.metered import Around

        whole = Segmenter(backend=Around(backend, view="frame"))
        with Segmenter(backend=backend, finder=options.finder or "auto") as faces:
            _print(whole, faces, backend, options)
    return 0


def _print(
    whole: Segmenter, faces: Segmenter, backend: Backend, options: argparse.Namespace
) -> None:
    names = {name: [index] for index, name in enumerate(FACE_PARTS.names) if index}
    groups = {name: FACE_PARTS.groups[name] for name in ("brows", "eyes", "lips", "parts", "ears")}
    for name in SETS:
        split = f"{name}-{options.split}"
        one, other, found_count, total = measure(
            whole, faces, options.data, split, count=options.count
        )
        rows = [
            [
                label,
                share(f1_of(one, ids)),
                share(f1_of(other, ids)),
                f"{f1_of(other, ids) - f1_of(one, ids):+.4f}",
            ]
            for label, ids in (names | groups).items()
        ]
        means = [mean_of([f1_of(matrix, ids) for ids in names.values()]) for matrix in (one, other)]
        rows.append(["mean", *map(share, means), f"{means[1] - means[0]:+.4f}"])
        click.echo(
            f"{split}: a face found in {found_count} of {total} photos ({backend.precision})\n"
        )
        click.echo(table(["class", "whole picture", "rtseg", "difference"], rows))


if __name__ == "__main__":
    sys.exit(main())
