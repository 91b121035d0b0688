"""The people of a finder's views: who wears glasses, who is turned."""

import numpy as np
import pytest

from training.data import face_busts
from training.data.base import Sample
from training.data.face_busts import celebamask_bust, sunglasses

GLASSES = np.s_[60:80, 40:100]


def sample(*, glasses=False, eyes=(55, 85)):
    labels = np.zeros((144, 144), np.uint8)
    labels[30:120, 30:110] = 1
    for eye, x in enumerate(eyes, 4):
        labels[66:72, x - 4 : x + 4] = eye
    if glasses:
        labels[GLASSES] = 3
    return Sample(name="0001", image=np.full((144, 144, 3), 200, np.uint8), labels=labels)


def test_glasses_are_darkened_twice_and_nothing_else_is(monkeypatch):
    monkeypatch.setattr(face_busts, "open_celebamask", lambda *_: [sample(), sample(glasses=True)])
    people = sunglasses(None, "train")
    assert len(people) == 2
    shades = [bust.levels[0][GLASSES][4:-4, 4:-4, :3].mean() for bust in people]
    assert shades[0] < shades[1] < 0.5 * 200
    for bust in people:
        rest = bust.levels[0][..., :3].copy()
        rest[56:84, 36:104] = 200
        assert (rest == 200).all()


@pytest.mark.parametrize(("eyes", "turned"), [((55, 85), False), ((75, 100), True)])
def test_a_face_is_turned_if_its_eyes_are_far_from_its_middle(eyes, turned):
    bust = celebamask_bust(sample(eyes=eyes))
    assert bust is not None
    assert bust.is_turned is turned
