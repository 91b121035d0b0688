"""Locate the labelled head in a picture, and outline the person's portrait."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from rtseg.frames import Image, LabelMap
from rtseg.labels import IGNORED, LabelSet
from training.augment import drawing
from training.data.base import Sample
from training.losses.functions import Sets, looked_up, members


@dataclass(frozen=True, kw_only=True, eq=False)
class Head:
    """A labelled picture and the position of its head.

    Attributes:
        image, labels: as in `Sample`.
        composed: the labels for views with several heads, in which other people's heads in the
            picture are ignored; in a single view they are background.
        left, top, right, bottom: box of skin, parts and hair in pixels.
        chin: (x, y) of the middle of the face's lowest row, in pixels.
        face_width: width of the box without hair, in pixels.
        skin: median skin colour, RGB.
        label_offset, sets: properties of the labels, see `Sample`.
        whole_bust: whether neck or clothes are labelled, so that the whole person can be cut out.
    """

    image: Image
    labels: LabelMap
    composed: LabelMap
    left: float
    top: float
    right: float
    bottom: float
    chin: tuple[float, float]
    face_width: float
    skin: npt.NDArray[np.float64]
    label_offset: float
    sets: Sets
    whole_bust: bool

    @property
    def height(self) -> float:
        """Pixels."""
        return self.bottom - self.top

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y) in pixels."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


def head_of(
    sample: Sample,
    label_set: LabelSet,
    *,
    others: npt.NDArray[np.bool_] | None = None,
) -> Head | None:
    """Find the labelled head; None if the picture shows hardly any face.

    `others` marks the unlabelled heads, bool (height, width).
    """
    image, labels = sample.image, sample.labels
    face = looked_up(labels, members(label_set.face, sample.sets))
    if np.count_nonzero(face) < 64:
        return None
    x, y, width, height = cv2.boundingRect(face.astype(np.uint8))
    head = looked_up(labels, members(label_set.head, sample.sets))
    left, top, head_width, head_height = cv2.boundingRect(head.astype(np.uint8))
    skin = image[looked_up(labels, members(label_set.skin))]
    if not skin.size:
        skin = image[face]
    colour = np.median(skin, axis=0) if skin.size else np.array([180.0, 140.0, 120.0])
    return Head(
        image=image,
        labels=labels,
        composed=labels if others is None else np.where(others, np.uint8(IGNORED), labels),
        left=left,
        top=top,
        right=left + head_width,
        bottom=top + head_height,
        chin=(x + width / 2, y + height),
        face_width=width,
        skin=colour,
        label_offset=sample.label_offset,
        sets=sample.sets,
        whole_bust=bool(looked_up(labels, members((*label_set.neck, *label_set.clothes))).any()),
    )


def worn(head: Head, layer: Image, opacity: drawing.Mask, *, to: int, shown: float) -> Head:
    """The head with something painted over it that becomes a class of its own.

    Args:
        head: stays as it is.
        layer, opacity: what is painted, as in `drawing.blend`.
        to: the id that it gets.
        shown: the opacity from which a pixel gets it.
    """
    image = head.image.copy()
    drawing.blend(image, layer, opacity)
    covered = opacity > shown
    return dataclasses.replace(
        head,
        image=image,
        labels=np.where(covered, np.uint8(to), head.labels),
        composed=np.where(covered & (head.composed == head.labels), np.uint8(to), head.composed),
    )


def portrait(
    head: Head, rng: np.random.Generator, *, left: float, right: float
) -> npt.NDArray[np.float64]:
    """Make an outline around the head that widens over the shoulders to the lower edge.

    `left` and `right` are the head's, swapped if the picture is mirrored. Returns float64 (n, 2) in
    picture pixels.
    """
    x, y = (left + right) / 2, head.centre[1]
    half_width, half_height = (right - left) / 2, head.height / 2
    grow = rng.uniform(1.05, 1.5)
    angles = np.linspace(math.pi, 2 * math.pi, 9)
    arch = np.column_stack(
        [x + np.cos(angles) * half_width * grow, y + np.sin(angles) * half_height * grow]
    )
    bottom = head.labels.shape[0] + 1
    spread = half_width * rng.uniform(1.2, 2.6)
    lower = np.array(
        [
            [x + half_width * grow, head.bottom],
            [x + spread, bottom],
            [x - spread, bottom],
            [x - half_width * grow, head.bottom],
        ]
    )
    return np.vstack([arch, lower])
