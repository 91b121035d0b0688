"""Measure whether labelled hair ends where the true hair does, or where the crop does.

`python -m tests.benchmarks.faces --only hair`.
"""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

import rtseg.picture_pass
from rtseg import Segmenter
from rtseg.backends.base import Backend
from rtseg.faces import TrackedFace
from rtseg.frames import Image
from tests.benchmarks.faces.report import Cell, Report, percent
from training.data.base import Sample, samples_of
from training.data.listed import open_celebamask

_HEIGHT, _WIDTH = 720, 1280
_HAIR = 13  # its id in CelebAMask-HQ
_BOTTOM_SHARE = 0.12  # the least share of hair in a picture's lowest row
_FACE_SHARE = 0.2  # of the frame's height
_GREY = 96
_CLOTH, _CLOTH_ID = (52, 60, 92), 18


def long_haired(sample: Sample, *, lengths: float = 1.2) -> tuple[Image, npt.NDArray[np.bool_]]:
    """Place a bust in a 720p frame and extend its hair below its picture: (frame, true hair).

    The picture's lowest third is mirrored repeatedly, with the person in it, except for the hair,
    painted as cloth.

    Args:
        sample: of CelebAMask-HQ, its hair down to the picture's lower edge.
        lengths: how far the hair extends, in heights of the face.
    """
    image, labels = sample.image, sample.labels
    rows = np.nonzero(np.isin(labels, range(1, 13)))[0]
    face, third = int(np.ptp(rows)), image.shape[0] // 3
    strip, strip_labels = image[-third:].copy(), labels[-third:].copy()
    is_cloth = (strip_labels != _HAIR) & (strip_labels != 0)
    strip[is_cloth] = _CLOTH
    strip_labels[is_cloth] = _CLOTH_ID
    parts, masks = [image], [labels]
    for index in range(math.ceil(lengths * face / max(1, len(strip)))):
        step = -1 if index % 2 == 0 else 1
        parts.append(strip[::step])
        masks.append(strip_labels[::step])
    tall, tall_labels = np.vstack(parts), np.vstack(masks)
    scale = _FACE_SHARE * _HEIGHT / face
    size = (round(tall.shape[1] * scale), round(tall.shape[0] * scale))
    small = cv2.resize(tall, size, interpolation=cv2.INTER_AREA)
    small_labels = cv2.resize(tall_labels, size, interpolation=cv2.INTER_NEAREST_EXACT)
    frame = np.full((_HEIGHT, _WIDTH, 3), _GREY, np.uint8)
    hair = np.zeros((_HEIGHT, _WIDTH), bool)
    top, left = 60, (_WIDTH - size[0]) // 2
    shown = min(size[1], _HEIGHT - top)
    person = small_labels[:shown] > 0
    frame[top : top + shown, left : left + size[0]][person] = small[:shown][person]
    hair[top : top + shown, left : left + size[0]] = small_labels[:shown] == _HAIR
    return frame, hair


def _ends_at_crop(
    face: TrackedFace, predicted: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_]
) -> tuple[int, int]:
    """Pixels just beyond the crop's edges where true hair continues labelled hair: those where
    the labels end, and all of them."""
    box = face.crop.box
    reach = max(3, round(box.height / 48))
    ended = total = 0
    left, right = max(0, round(box.left)), min(predicted.shape[1], round(box.right))
    for row, step in ((round(box.bottom), 1), (round(box.top) - 1, -1)):
        inside, beyond = row - step * reach, row + step * reach
        if not (0 <= inside < predicted.shape[0] and 0 <= beyond < predicted.shape[0]):
            continue
        goes_on = (
            predicted[inside, left:right] & truth[inside, left:right] & truth[beyond, left:right]
        )
        total += int(np.count_nonzero(goes_on))
        ended += int(np.count_nonzero(goes_on & ~predicted[beyond, left:right]))
    return ended, total


def _is_long(sample: Sample) -> bool:
    """Whether hair reaches the picture's lower edge, well below the chin."""
    rows = np.nonzero(np.isin(sample.labels, range(1, 13)))[0]
    return bool(
        (sample.labels[-1] == _HAIR).mean() >= _BOTTOM_SHARE
        and rows.max() < sample.labels.shape[0] - 20
    )


def measure(backend: Backend, data: Path, *, count: int) -> Report:
    """Measure with the wider crop and without."""
    samples = [sample for sample in samples_of(open_celebamask(data, "val")) if _is_long(sample)][
        :count
    ]
    rows: list[list[Cell]] = []
    kept = rtseg.picture_pass.wider_crop  # type: ignore[attr-defined]
    for name, chosen in (("crop alone", lambda *_, **__: None), ("with a wider crop", kept)):
        rtseg.picture_pass.wider_crop = chosen  # type: ignore[attr-defined]
        try:
            rows.append([name, *_row(backend, samples)])
        finally:
            rtseg.picture_pass.wider_crop = kept  # type: ignore[attr-defined]
    return Report(
        name="hair",
        title="Hair beyond the crop",
        headings=("hair", "faces", "IoU of hair", "edge pixels where it ends too early", "of"),
        rows=rows,
        notes=(
            f"Validation busts of CelebAMask-HQ with hair to the picture's lower edge, which goes "
            f"on below it, mirrored, in a 720p frame; the face {_FACE_SHARE:.0%} of its height.",
        ),
    )


def _row(backend: Backend, samples: list[Sample]) -> list[Cell]:
    overlaps: list[float] = []
    ended, total = 0, 0
    segmenter = Segmenter(backend=backend, smoothing=0.0)
    tracked: list[TrackedFace] = []
    follow = segmenter._new_follower

    def watched() -> object:
        follower = follow()
        step = follower.step

        def noting(*args: object, **options: object) -> tuple[TrackedFace, ...]:
            faces = step(*args, **options)  # type: ignore[arg-type]
            tracked[:] = faces[:1]
            return faces

        follower.step = noting  # type: ignore[method-assign]
        return follower

    segmenter._new_follower = watched  # type: ignore[method-assign, assignment]
    for sample in samples:
        frame, truth = long_haired(sample)
        result = segmenter(frame)
        if not result.faces:
            continue
        predicted = np.isin(result.labels, result.label_set.hair)
        overlaps.append(
            float(np.count_nonzero(predicted & truth))
            / max(1, int(np.count_nonzero(predicted | truth)))
        )
        early, edge = _ends_at_crop(tracked[0], predicted, truth)
        ended, total = ended + early, total + edge
    return [
        f"{len(overlaps)} of {len(samples)}",
        f"{float(np.mean(overlaps)):.3f}" if overlaps else "-",
        percent(ended / total) if total else "-",
        total,
    ]
