"""What is labelled below chins, on drawn faces."""

from __future__ import annotations

import numpy as np
import pytest

from rtseg.labels import FACE_PARTS, HELEN
from training.data.base import Sample
from training.evaluation.robustness.chins import measure_chins

BACKGROUND, NECK, CLOTHES = (FACE_PARTS.names.index(n) for n in ("background", "neck", "clothes"))


class Faces:
    """Faces of 100 by 100 pixels whose chins are in row 150, or of another height."""

    label_set = HELEN

    def __init__(self, *chins: int, hair: bool = False) -> None:
        self.names = tuple(map(str, range(len(chins))))
        self.chins, self.hair = chins, hair

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        labels = np.zeros((200, 200), np.uint8)
        labels[self.chins[index] - 100 : self.chins[index], 50:150] = 1
        if self.hair:
            labels[self.chins[index] :, :] = HELEN.names.index("hair")
        image = np.full((200, 200, 3), index, np.uint8)
        return Sample(name=self.names[index], image=image, labels=labels)


def below(chin: int, rows: int, label: int):
    """Label so many rows below the chin, but for the two beside its border."""

    def answer(images):
        (image,) = images
        ids = np.zeros(image.shape[:2], np.uint8)
        ids[chin + 2 : chin + 2 + rows] = label
        return [ids]

    return answer


@pytest.mark.parametrize(
    ("rows", "label", "expected"),
    [
        (6, NECK, (1.0, 0.0, 0.0)),
        (3, NECK, (0.5, 0.0, 0.5)),
        (6, CLOTHES, (0.0, 1.0, 0.0)),
        (6, BACKGROUND, (0.0, 0.0, 1.0)),
    ],
)
def test_the_shares_of_the_band_below_the_chin(rows, label, expected):
    score = measure_chins(below(150, rows, label), FACE_PARTS, Faces(150))
    assert score.pictures == 1
    assert (score.neck, score.other, score.background) == pytest.approx(expected)


def test_hair_and_the_picture_s_end_leave_nothing_to_count():
    score = measure_chins(below(150, 6, NECK), FACE_PARTS, Faces(150, hair=True))
    assert score.pictures == 0
    assert np.isnan(score.neck)
    assert measure_chins(below(150, 6, NECK), FACE_PARTS, Faces(200)).pictures == 0


def test_every_picture_weighs_the_same():
    def first_only(images):
        (image,) = images
        return [np.full(image.shape[:2], NECK if image[0, 0, 0] == 0 else BACKGROUND, np.uint8)]

    score = measure_chins(first_only, FACE_PARTS, Faces(150, 197, 197))
    assert score.pictures == 3
    assert score.neck == pytest.approx(1 / 3)
