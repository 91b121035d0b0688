"""Measure how often hair and neck begin or end where a crop does, though nothing changes there.

`python -m tests.benchmarks.faces --only edges`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtseg.backends.base import Backend
from rtseg.faces import TrackedFace
from rtseg.frames import Image, LabelMap, Probabilities
from rtseg.geometry.crop import Crop, crop_around, cut
from rtseg.labels import FACE_PARTS
from rtseg.postprocess import paste
from rtseg.postprocess.beyond_crop import beyond_crop, wider_crop
from rtseg.postprocess.checkerboard import remove_checkerboard
from rtseg.postprocess.crop_edges import settle as settle_edges
from rtseg.postprocess.labelled_map import LabelledMap
from tests.benchmarks.faces.report import Cell, Report, percent
from training.data.base import Sample
from training.recipes import recipe_of

_FACTOR = 1.25  # a crop's side in heights of the face, so that it ends between chin and collar


def close_crop(truth: LabelMap) -> Crop | None:
    """A crop around the face alone, which ends inside the portrait; None without a face."""
    cells = np.isin(truth, FACE_PARTS.groups["face"])
    rows, columns = np.flatnonzero(cells.any(1)), np.flatnonzero(cells.any(0))
    if not len(rows):
        return None
    return crop_around(
        float(columns[0] + columns[-1] + 1) / 2,
        float(rows[0] + rows[-1] + 1) / 2,
        _FACTOR * float(rows[-1] + 1 - rows[0]),
        1.0,
    )


def changes_at_edges(
    crop: Crop, predicted: LabelMap, truth: LabelMap, ids: tuple[int, ...]
) -> tuple[int, int]:
    """Pixels along a crop's edges where labels begin or end, but the truth does not; and those
    where some class of `ids` is labelled on either side."""
    box = crop.box
    reach = max(2, round(box.height / 64))
    along = (np.arange(round(box.width)) + 0.5) / box.width - 0.5
    height, width = predicted.shape
    x0, y0 = box.centre
    wrong = labelled = 0
    for side in range(4):
        seen: list[np.ndarray] = []
        real: list[np.ndarray] = []
        known = np.ones(len(along), bool)
        for step in (-reach, reach):
            across = 0.5 + step / box.height
            x, y = ((along, across), (along, -across), (across, along), (-across, along))[side]
            x, y = crop.to_frame(
                np.broadcast_to(x0 + np.asarray(x) * box.width, along.shape),
                np.broadcast_to(y0 + np.asarray(y) * box.height, along.shape),
            )
            known &= (x >= 0) & (x < width) & (y >= 0) & (y < height)
            column = np.clip(x, 0, width - 1).astype(int)
            row = np.clip(y, 0, height - 1).astype(int)
            seen.append(np.isin(predicted[row, column], ids))
            real.append(np.isin(truth[row, column], ids))
        changes = (seen[0] != seen[1]) & (real[0] == real[1])
        wrong += int(np.count_nonzero(changes & known))
        labelled += int(np.count_nonzero((seen[0] | seen[1]) & known))
    return wrong, labelled


def measure(backend: Backend, data: Path, *, count: int) -> Report:
    """Measure with the wider crop's verdict at the edges and without."""
    samples = recipe_of("face-parts").evaluation(data, "celebamask-val")
    chosen = np.linspace(0, len(samples) - 1, min(count, len(samples))).round().astype(int)
    totals = {settle: np.zeros((2, 4), np.int64) for settle in (False, True)}
    looked_at = 0
    for index in chosen:
        sample = samples[int(index)]
        maps = _maps(backend, sample)
        if maps is None:
            continue
        looked_at += 1
        for settle, total in totals.items():
            labels = _labels(maps, sample.labels.shape, settle=settle)
            for row, ids in enumerate((FACE_PARTS.hair, FACE_PARTS.neck)):
                seen, real = np.isin(labels, ids), np.isin(sample.labels, ids)
                edges = changes_at_edges(maps.face.crop, labels, sample.labels, ids)
                total[row] += (np.sum(seen & real), np.sum(seen | real), *edges)
    return Report(
        name="edges",
        title="Straight edges",
        headings=("labels", "hair: IoU", "begins or ends", "neck: IoU", "begins or ends"),
        rows=[
            ["each crop as it is", *_cells(totals[False])],
            ["settled at the edges", *_cells(totals[True])],
        ],
        notes=(
            f"{looked_at} validation portraits of CelebAMask-HQ with a crop of {_FACTOR} times the "
            "face's height, at the edges of which hair or neck seems to go on. Begins or ends: "
            "of the pixels along the crop's edges at which the class is labelled on either side, "
            "those where the labels change and the truth does not.",
        ),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Maps:
    """What the network says of one portrait in the crop around its face and in the wider one."""

    face: TrackedFace
    wide: Probabilities
    wide_crop: Crop


def _maps(backend: Backend, sample: Sample) -> _Maps | None:
    """None without a face, or if the crop needs no wider one."""
    crop = close_crop(sample.labels)
    if crop is None:
        return None
    height, width = sample.labels.shape
    tight = _infer(backend, sample.image, crop)
    wide_crop = wider_crop(tight, crop, FACE_PARTS, height=height, width=width)
    if wide_crop is None:
        return None
    face = TrackedFace(
        track_id=1, head=crop.box, face=crop.box, score=1.0, crop=crop, probabilities=tight
    )
    return _Maps(face=face, wide=_infer(backend, sample.image, wide_crop), wide_crop=wide_crop)


def _infer(backend: Backend, image: Image, crop: Crop) -> Probabilities:
    model = backend.model
    picture = np.empty((1, model.input_height, model.input_width, 3), np.uint8)
    cut(image, crop, out=picture[0])
    return remove_checkerboard(backend.infer(picture)[0], model)


def _labels(maps: _Maps, shape: tuple[int, ...], *, settle: bool) -> LabelMap:
    height, width = shape
    labels = np.zeros((height, width), np.uint8)
    beyond = beyond_crop(maps.wide, maps.wide_crop, maps.face, FACE_PARTS, others=[])
    if beyond is not None:
        paste(labels, beyond, maps.wide_crop, transparent=0)
    probabilities = maps.face.probabilities
    if settle:
        labelled = LabelledMap(probabilities)
        settle_edges(
            labelled,
            maps.face.crop,
            FACE_PARTS,
            wide=maps.wide,
            wide_crop=maps.wide_crop,
            height=height,
            width=width,
        )
        probabilities = labelled.probabilities
    paste(labels, probabilities, maps.face.crop, transparent=0)
    return labels


def _cells(total: np.ndarray) -> list[Cell]:
    cells: list[Cell] = []
    for shared, joined, wrong, labelled in total:
        cells.append(f"{shared / max(1, joined):.3f}")
        cells.append(f"{percent(wrong / max(1, labelled))} of {labelled}")
    return cells
