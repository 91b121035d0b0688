"""Split a segmentation into one mask per class and face."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtseg.errors import SettingError
from rtseg.frames import Face, LabelMap, Segmentation

Mask = npt.NDArray[np.bool_]
"""bool (height, width) of a frame."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Instance:
    """The pixels of one class on one face.

    Attributes:
        label_id, name: the class.
        face: the face that it belongs to; None if the model processes whole frames.
        mask: bool (height, width) of the frame.
        area: number of pixels.
        box: left, top, width and height of the pixels, as integers.
    """

    label_id: int
    name: str
    face: Face | None
    mask: Mask
    area: int
    box: tuple[int, int, int, int]


def face_mask(segmentation: Segmentation, face: Face, ids: Sequence[int]) -> Mask:
    """The mask of certain classes of one face: bool (height, width).

    A pixel belongs to the face whose box contains it or is nearest. If it is in several boxes, it
    belongs to the one whose centre is nearest, relative to the box's size.

    Raises:
        SettingError: the face is not one of the segmentation's.
    """
    if face not in segmentation.faces:
        raise SettingError(f"track {face.track_id}: is not a face of this segmentation")
    mask: Mask = np.isin(segmentation.labels, ids)
    if len(segmentation.faces) < 2:
        return mask
    rows, columns = np.nonzero(mask)
    distances = [_distance(other, rows, columns) for other in segmentation.faces]
    is_nearest = np.argmin(distances, axis=0) == segmentation.faces.index(face)
    mask[rows[~is_nearest], columns[~is_nearest]] = False
    return mask


def _distance(
    face: Face, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    x, y = face.box.centre
    across = np.abs(columns + 0.5 - x) / face.box.width
    down = np.abs(rows + 0.5 - y) / face.box.height
    farther: npt.NDArray[np.float64] = np.maximum(across, down)
    return farther


def labels_by_face(segmentation: Segmentation) -> Iterator[tuple[Face | None, LabelMap]]:
    """Each face with the labels of its own pixels, 255 elsewhere; for a whole frame, no face."""
    if not segmentation.faces:
        yield None, segmentation.labels
    for face in segmentation.faces:
        if len(segmentation.faces) == 1:
            yield face, segmentation.labels
        else:
            face_pixels = face_mask(segmentation, face, segmentation.label_set.foreground)
            yield face, np.where(face_pixels, segmentation.labels, np.uint8(255))


def instances(segmentation: Segmentation) -> Iterator[Instance]:
    """Every class with at least one pixel, in the order of faces and ids."""
    import cv2

    for face, labels in labels_by_face(segmentation):
        for label_id in segmentation.label_set.foreground:
            mask = labels == label_id
            pixels = mask.view(np.uint8)
            area = cv2.countNonZero(pixels)
            if area:
                left, top, width, height = cv2.boundingRect(pixels)
                yield Instance(
                    label_id=label_id,
                    name=segmentation.label_set.names[label_id],
                    face=face,
                    mask=mask,
                    area=area,
                    box=(left, top, width, height),
                )
