"""Select a view's classes: their ids, colours, and regions of the frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from rtseg.frames import Image, LabelMap, Segmentation
from rtseg.labels import Colour, LabelSet

Region = tuple[slice, slice]
"""A rectangle as slices of a frame's rows and columns."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Chosen:
    """The classes of a label set that a view shows.

    Attributes:
        ids: the label ids, sorted.
        names, colours: their names and colours.
        background: the colour of everything else in views that paint it.
        membership: uint8 (256,), 255 at the chosen ids, else 0.
        palette: uint8 (1, 256, 3), the chosen ids' colours, `background` elsewhere.
    """

    ids: tuple[int, ...]
    names: tuple[str, ...]
    colours: tuple[Colour, ...]
    background: Colour
    membership: npt.NDArray[np.uint8]
    palette: npt.NDArray[np.uint8]

    def where(self, labels: LabelMap) -> LabelMap:
        """A mask of the chosen classes, 255 or 0: uint8, the labels' shape."""
        import cv2

        return np.asarray(cv2.LUT(labels, self.membership), np.uint8)

    def paint(self, labels: LabelMap) -> Image:
        """Paint each label in its colour: uint8 (height, width, 3)."""
        import cv2

        # twice as fast as a table with three channels; the channel order does not matter
        return np.asarray(cv2.applyColorMap(labels, self.palette.reshape(256, 1, 3)), np.uint8)


def choose(label_set: LabelSet, classes: Sequence[str]) -> Chosen:
    """Look up the named classes of a label set.

    Raises:
        SettingError: a name is unknown, or there are no names.
    """
    background = (
        (0, 0, 0) if label_set.background is None else label_set.colours[label_set.background]
    )
    return _choose(label_set.names, label_set.colours, background, label_set.select(classes))


@lru_cache(maxsize=64)
def _choose(
    names: tuple[str, ...], colours: tuple[Colour, ...], background: Colour, ids: tuple[int, ...]
) -> Chosen:
    membership = np.zeros(256, np.uint8)
    membership[list(ids)] = 255
    palette = np.empty((1, 256, 3), np.uint8)
    palette[:] = background
    for i in ids:
        palette[0, i] = colours[i]
    return Chosen(
        ids=ids,
        names=tuple(names[i] for i in ids),
        colours=tuple(colours[i] for i in ids),
        background=background,
        membership=membership,
        palette=palette,
    )


def labelled_regions(segmentation: Segmentation, *, margin: int = 0) -> tuple[Region, ...]:
    """Non-overlapping boxes that together contain every pixel that is not background.

    One box per face if that covers less than a single box around everything. If the faces' boxes
    miss a pixel, a single box is returned. Empty if everything is background.

    Args:
        segmentation: labels and faces.
        margin: pixels to add on every side, within the frame.
    """
    import cv2

    labels, background = segmentation.labels, segmentation.label_set.background
    height, width = labels.shape
    if background is None:
        return ((slice(0, height), slice(0, width)),)
    if background != 0:
        labels = (labels != background).view(np.uint8)
    left, top, box_width, box_height = cv2.boundingRect(labels)
    if box_width == 0:
        return ()
    whole = (left, top, left + box_width, top + box_height)
    boxes = [whole]
    if len(segmentation.faces) > 1:
        apart = _merged(_face_boxes(segmentation, margin))
        covered = sum(cv2.countNonZero(labels[t:b, l:r]) for l, t, r, b in apart)  # noqa: E741
        if covered == cv2.countNonZero(labels):
            boxes = apart
    grown = (_grown(box, margin, width, height) for box in boxes)
    return tuple((slice(t, b), slice(l, r)) for l, t, r, b in grown)  # noqa: E741


_Bounds = tuple[int, int, int, int]


def _grown(box: _Bounds, margin: int, width: int, height: int) -> _Bounds:
    left, top, right, bottom = box
    return (
        max(left - margin, 0),
        max(top - margin, 0),
        min(right + margin, width),
        min(bottom + margin, height),
    )


def _face_boxes(segmentation: Segmentation, margin: int) -> list[_Bounds]:
    """The faces' boxes in whole pixels, clipped to the frame, and at least two margins apart."""
    height, width = segmentation.labels.shape
    boxes = []
    for face in segmentation.faces:
        box = face.box
        bounds = (int(box.left) - 1, int(box.top) - 1, int(box.right) + 2, int(box.bottom) + 2)
        left, top, right, bottom = _grown(bounds, 2 * margin, width, height)
        if right > left and bottom > top:
            boxes.append((left, top, right, bottom))
    return boxes


def _merged(boxes: list[_Bounds]) -> list[_Bounds]:
    """Merge overlapping boxes until none overlap."""
    done: list[_Bounds] = []
    for box in boxes:
        while True:
            hit = next((other for other in done if _overlap(box, other)), None)
            if hit is None:
                break
            done.remove(hit)
            box = (
                min(box[0], hit[0]),
                min(box[1], hit[1]),
                max(box[2], hit[2]),
                max(box[3], hit[3]),
            )
        done.append(box)
    return done


def _overlap(a: _Bounds, b: _Bounds) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
