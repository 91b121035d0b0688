"""Compare faces of any size in a 1280x720 frame, cropped as in rtseg, with the original pictures.

A head is pasted with its shoulders on a face-free picture. The crop around it is the one that rtseg
would use if it knew the head's box; the native crop comes from the head's own picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from rtseg.frames import Box, Image, LabelMap
from rtseg.geometry.crop import crop_around, crop_side, cut
from rtseg.geometry.fit import PADDING
from rtseg.labels import IGNORED, LabelSet
from training.augment import drawing, transforms
from training.augment.canvas import ViewPainter
from training.augment.heads import Head, head_of, portrait
from training.data.base import Dataset, resize_labels
from training.evaluation.metrics import Matrix, confusion_matrix, f1_of, without_sets
from training.evaluation.predictor import Labeller
from training.losses.functions import members

WIDTH, HEIGHT = 1280, 720
SIZE = 256
SEED = 7
HEAD_HEIGHTS = (0.08, 0.1, 0.12, 0.2, 0.4, 0.8, 0.9)
"""Heights of skin and hair, as shares of the frame's height."""

OUTSIDE = 254
"""Marks the pixels outside the pasted picture."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Composite:
    """A picture with one head.

    Attributes:
        image: RGB, uint8 (height, width, 3).
        labels: uint8 (height, width).
        head: box of its skin, parts and hair in pixels.
    """

    image: Image
    labels: LabelMap
    head: Box


def native(head: Head) -> Composite:
    """Make a composite of a head in its own picture."""
    box = Box(left=head.left, top=head.top, right=head.right, bottom=head.bottom)
    return Composite(image=head.image, labels=head.labels, head=box)


def composed(
    head: Head, painter: ViewPainter, rng: np.random.Generator, *, share: float, label_set: LabelSet
) -> Composite:
    """Paste a head with its shoulders, `share` of the frame high, on another background."""
    margin = (WIDTH - HEIGHT) // 2
    canvas = painter.backdrop(rng)
    height = share * HEIGHT
    scale = height / head.height
    x = WIDTH / 2 + rng.uniform(-0.5, 0.5) * (WIDTH - height)
    y = margin + HEIGHT / 2 + rng.uniform(-0.5, 0.5) * (HEIGHT - height)
    matrix = transforms.affine(source_centre=head.centre, target_centre=(x, y), scale=scale)
    layer, layer_labels = transforms.warp(
        head.image,
        head.labels,
        matrix,
        size=WIDTH,
        border_label=OUTSIDE,
        label_offset=head.label_offset,
    )
    outline = portrait(head, rng, left=head.left, right=head.right)
    placed = outline @ matrix[:, :2].T.astype(np.float64) + matrix[:, 2]
    mask = drawing.feathered(WIDTH, rng, corners=placed, softness=0.02 * height)
    mask = mask * (layer_labels != OUTSIDE)
    drawing.blend(canvas, layer, mask)
    labels = np.full((WIDTH, WIDTH), label_set.background or 0, np.uint8)
    shown = mask > 0.5
    labels[shown] = layer_labels[shown]
    counted = members(label_set.head, head.sets)[labels]
    left, top, width, tall = cv2.boundingRect(counted[margin : WIDTH - margin].astype(np.uint8))
    return Composite(
        image=np.ascontiguousarray(canvas[margin : WIDTH - margin]),
        labels=np.ascontiguousarray(labels[margin : WIDTH - margin]),
        head=Box(left=left, top=top, right=left + width, bottom=top + tall),
    )


def crop_of(composite: Composite) -> tuple[Image, LabelMap]:
    """Crop a head as rtseg does, with its labels; pixels beyond the picture are ignored."""
    head = composite.head
    middle = (head.left + head.right) / 2, (head.top + head.bottom) / 2
    crop = crop_around(*middle, crop_side(head), 1.0)
    image = np.empty((SIZE, SIZE, 3), np.uint8)
    cut(composite.image, crop, out=image)
    box = crop.box
    left, top, right, bottom = (round(v) for v in (box.left, box.top, box.right, box.bottom))
    height, width = composite.labels.shape
    around = max(0, -left, -top, right - width, bottom - height)
    labels = np.pad(composite.labels, around, constant_values=IGNORED)
    part = labels[top + around : bottom + around, left + around : right + around]
    return image, resize_labels(np.ascontiguousarray(part), height=SIZE, width=SIZE)


def frame_view(composite: Composite) -> tuple[Image, LabelMap]:
    """Letterbox the whole frame, as for finding faces; the padding is ignored."""
    height = round(SIZE * HEIGHT / WIDTH)
    top = (SIZE - height) // 2
    image = np.full((SIZE, SIZE, 3), PADDING, np.uint8)
    labels = np.full((SIZE, SIZE), IGNORED, np.uint8)
    image[top : top + height] = cv2.resize(
        composite.image, (SIZE, height), interpolation=cv2.INTER_AREA
    )
    labels[top : top + height] = resize_labels(composite.labels, height=height, width=SIZE)
    return image, labels


@dataclass(frozen=True, kw_only=True)
class FaceViewScore:
    """F1 in crops of heads of one height.

    Attributes:
        share: the heads' height as a share of the frame's; 0 for native.
        parts, face, hair: F1.
        below: how far `parts` is below the native value.
        found: the share of heads of which at least half is labelled as face in one pass over the
            whole frame; NaN for native crops.
    """

    share: float
    parts: float
    face: float
    hair: float
    below: float
    found: float


def measure_face_view(
    label: Labeller, dataset: Dataset, backgrounds: Sequence[Image]
) -> Iterator[FaceViewScore]:
    """Yield scores: native crops first, then by height, each over every head of the data set."""
    label_set = dataset.label_set
    candidates = (head_of(dataset[i], label_set) for i in range(len(dataset)))
    heads = [head for head in candidates if head is not None]
    painter = ViewPainter.for_labels(label_set, size=WIDTH, pictures=backgrounds)
    best = float("nan")
    for share in (0.0, *HEAD_HEIGHTS):
        total: Matrix = np.zeros((len(label_set), len(label_set)), np.int64)
        is_found = []
        for index, head in enumerate(heads):
            rng = np.random.default_rng((SEED, index))  # the same background at every height
            composite = (
                composed(head, painter, rng, share=share, label_set=label_set)
                if share
                else native(head)
            )
            views = [crop_of(composite), frame_view(composite)] if share else [crop_of(composite)]
            predicted = label([image for image, _ in views])
            truth, right = without_sets(views[0][1], predicted[0], sets=head.sets)
            total += confusion_matrix(truth, right, classes=len(label_set))
            if share:
                face = members(label_set.face, head.sets)[views[1][1]]
                is_found.append(
                    bool(np.isin(predicted[1][face], label_set.face).sum() * 2 > face.sum())
                )
        parts = f1_of(total, label_set.groups["parts"])
        best = best if share else parts
        yield FaceViewScore(
            share=share,
            parts=parts,
            face=f1_of(total, label_set.face),
            hair=f1_of(total, label_set.hair),
            below=best - parts,
            found=float(np.mean(is_found)) if is_found else float("nan"),
        )
