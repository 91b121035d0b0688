"""What remains of a followed head when its face is no longer visible."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from rtseg.faces.base import FaceDetection
from rtseg.faces.parsed_faces import ParsedFace
from rtseg.faces.track import Track
from rtseg.faces.turned_away import head_without_face
from rtseg.frames import Box
from rtseg.geometry.crop import Crop, box_around
from rtseg.labels import BDD_DRIVABLE, HELEN, LabelSet

HAIR = HELEN.hair[0]
CROP = Crop(box=Box(left=100, top=100, right=228, bottom=228))  # two pixels a cell
HEAD = box_around(164, 164, 60, 80)
FACE = box_around(164, 172, 40, 56)


def track() -> Track:
    made = Track(track_id=1, head=HEAD, crop=CROP, score=0.9, seen_seconds=0.0)
    made.follow(
        FaceDetection(box=FACE, head=HEAD, bounds=HEAD, score=0.9), seconds=0.03, aspect=1.0
    )
    return made


def turned_away(
    labels: np.ndarray, *, sure: float = 0.9, label_set: LabelSet = HELEN
) -> ParsedFace | None:
    values = np.zeros((64, 64, len(label_set)), np.float32)
    np.put_along_axis(values, labels[..., None].astype(int), sure, 2)
    values[..., 0] += 1 - sure
    return head_without_face(values, CROP, label_set, track())


def hair(x: float = 32, y: float = 32, width: float = 15, height: float = 20) -> np.ndarray:
    """The back of a head, an ellipse of these half axes in cells."""
    labels = np.zeros((64, 64), np.uint8)
    cv2.ellipse(labels, ((x - 0.5, y - 0.5), (2 * width, 2 * height), 0), HAIR, -1)
    return labels


def test_the_back_of_a_head_stays_a_head_without_a_face() -> None:
    remains = turned_away(hair())
    assert remains is not None
    assert remains.parts == 0
    assert remains.roll_degrees is None
    assert remains.head.centre == pytest.approx(HEAD.centre, abs=1)
    assert remains.head.height == pytest.approx(HEAD.height, abs=3)
    assert remains.sure == pytest.approx(0.9, abs=0.01)
    assert not remains.is_cut


def test_the_face_moves_with_the_head() -> None:
    remains = turned_away(hair(34, 30))
    assert remains is not None
    moved_x, moved_y = (
        now - before for now, before in zip(remains.head.centre, HEAD.centre, strict=True)
    )
    assert (moved_x, moved_y) == pytest.approx((4, -4), abs=1.5)
    assert remains.face.centre == pytest.approx((164 + moved_x, 172 + moved_y), abs=0.1)
    assert remains.face.width == pytest.approx(FACE.width)


def test_other_hair_beside_it_does_not_enlarge_it() -> None:
    labels = hair()
    labels[10:16, 48:51] = HAIR
    remains, alone = turned_away(labels), turned_away(hair())
    assert remains is not None
    assert alone is not None
    assert remains.head.right == pytest.approx(alone.head.right, abs=0.5)
    assert remains.head.top == alone.head.top


@pytest.mark.parametrize(
    "labels",
    [
        np.zeros((64, 64), np.uint8),
        hair(width=6, height=8),  # smaller than it was
        hair(y=54),  # moved on
        np.where(hair() == HAIR, 1, 0).astype(np.uint8),  # skin, no hair
        hair(width=30, height=31),  # larger than it was
    ],
    ids=["nothing", "small", "moved", "skin", "large"],
)
def test_other_shapes_are_rejected(labels: np.ndarray) -> None:
    assert turned_away(labels) is None


def test_uncertain_hair_is_rejected() -> None:
    assert turned_away(hair(), sure=0.55) is None


def test_a_label_set_without_hair_never_shows_one() -> None:
    assert turned_away(np.ones((64, 64), np.uint8), label_set=BDD_DRIVABLE) is None


def test_hair_counts_as_far_as_the_head_may_have_moved() -> None:
    labels = hair()
    labels[12:52] = HAIR  # a band across the crop
    remains = turned_away(labels)
    assert remains is not None
    assert (remains.head.left, remains.head.right) == pytest.approx((164 - 42, 164 + 42), abs=0.5)
    labels = np.zeros((64, 64), np.uint8)
    labels[:50, 17:47] = HAIR  # from the crop's upper edge
    remains = turned_away(labels)
    assert remains is not None
    assert (remains.head.top, remains.head.bottom) == pytest.approx((164 - 56, 200), abs=0.5)


@pytest.mark.parametrize(("width", "remains"), [(8, False), (16, True)])
def test_a_strand_of_hair_does_not_make_a_head(width: int, remains: bool) -> None:
    labels = np.zeros((64, 64), np.uint8)
    labels[12:52, 32 - width // 2 : 32 + width // 2] = HAIR  # as high as the head
    assert (turned_away(labels) is not None) is remains


@pytest.mark.parametrize(("rows", "remains"), [(4, False), (12, True)])
def test_a_fringe_does_not_make_skin_a_head(rows: int, remains: bool) -> None:
    labels = np.zeros((64, 64), np.uint8)
    labels[12:52, 17:47] = HELEN.skin[0]
    labels[12 : 12 + rows, 17:47] = HAIR
    assert (turned_away(labels) is not None) is remains
