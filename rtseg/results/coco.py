"""COCO annotations and compressed run-length masks.

The format is that of the COCO API (Lin et al., ECCV 2014; `pycocotools.mask`): run lengths down the
columns, starting with zeros. From the fourth on, each is stored as its difference from the one two
places earlier, in groups of five bits with a sign, as characters starting at "0".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from rtseg.frames import LabelMap, Segmentation
from rtseg.labels import LabelSet
from rtseg.results.instances import labels_by_face

_BITS, _MORE, _SIGN, _FIRST = 5, 0x20, 0x10, 48
_MOST_GROUPS = 7
"""Groups of five bits: enough for every difference of two 32-bit lengths."""


def class_run_lengths(labels: LabelMap) -> dict[int, dict[str, Any]]:
    """Encode every class of a label map in one pass, byte for byte as `pycocotools`.

    Args:
        labels: uint8 (height, width).

    Returns:
        By class id: `{"size": [height, width], "counts": str}`.
    """
    height, width = labels.shape
    flat = np.ascontiguousarray(labels.T).reshape(-1)
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))
    ends = np.concatenate((starts[1:], [flat.size]))
    values = flat[starts]
    encoded = {}
    for label_id in np.unique(values):
        is_label = values == label_id
        edges = np.column_stack((starts[is_label], ends[is_label])).reshape(-1)
        counts = np.diff(edges, prepend=0)
        if edges[-1] < flat.size:
            counts = np.append(counts, flat.size - edges[-1])
        encoded[int(label_id)] = {"size": [height, width], "counts": _compressed(counts)}
    return encoded


def _compressed(counts: npt.NDArray[np.int64]) -> str:
    values = counts.astype(np.int64)
    values[3:] -= counts[1:-2]
    groups = np.zeros((len(values), _MOST_GROUPS), np.uint8)
    used = np.zeros((len(values), _MOST_GROUPS), np.bool_)
    going = np.ones(len(values), np.bool_)
    for place in range(_MOST_GROUPS):
        bits = values & 0x1F
        values >>= _BITS
        # only the sign remains, which the group shows already
        ends = np.where(bits & _SIGN, values == -1, values == 0)
        used[:, place] = going
        groups[:, place] = bits + np.where(ends, 0, _MORE) + _FIRST
        going = going & ~ends
        if not going.any():
            break
    return groups[used].tobytes().decode("ascii")


def coco_categories(label_set: LabelSet) -> list[dict[str, Any]]:
    """COCO categories: every class except the background, by label id."""
    return [
        {"id": i, "name": label_set.names[i], "supercategory": label_set.name}
        for i in label_set.foreground
    ]


def coco_annotations(
    segmentation: Segmentation, *, image_id: int = 1, first_id: int = 1
) -> Iterator[dict[str, Any]]:
    """Make COCO annotations, one for each class of each face.

    In addition to COCO's keys, `score` and `track_id` are the face's.

    Args:
        segmentation: labels and faces.
        image_id: the annotations' `image_id`.
        first_id: the first annotation's id; the others count up from it.
    """
    import cv2

    number = first_id
    for face, labels in labels_by_face(segmentation):
        runs = class_run_lengths(labels)
        for label_id in segmentation.label_set.foreground:
            if label_id not in runs:
                continue
            mask = (labels == label_id).view(np.uint8)
            annotation: dict[str, Any] = {
                "id": number,
                "image_id": image_id,
                "category_id": label_id,
                "segmentation": runs[label_id],
                "area": cv2.countNonZero(mask),
                "bbox": [float(edge) for edge in cv2.boundingRect(mask)],
                "iscrowd": 0,
            }
            if face is not None:
                annotation["score"] = round(face.score, 4)
                annotation["track_id"] = face.track_id
            number += 1
            yield annotation
