"""What a finder suggests is confirmed by the labels before it is followed."""

import numpy as np
import pytest

from rtseg.geometry.crop import wrapped
from rtseg.labels import HELEN
from tests.faces.stage import Stage, Suggests, at, seen_at, tilted


class KnowsUpright(Stage):
    """The network of this stage is blind to faces that are rotated by more than 70 degrees in a
    crop, and the less sure the more they are rotated."""

    def __init__(self, degrees, **options):
        super().__init__(**options)
        self.degrees = degrees

    def infer_crops(self, crops):
        maps = super().infer_crops(crops)
        nothing = np.eye(len(HELEN), dtype=np.float32)[0]
        for index, crop in enumerate(crops):
            apart = abs(wrapped(crop.roll_degrees - self.degrees))
            share = 0.0 if apart > 70 else 1 - apart / 350
            maps[index] = share * np.asarray(maps[index], np.float32) + (1 - share) * nothing
        return maps


@pytest.mark.parametrize("degrees", [90, -90, 180, 120, -150])
def test_a_doubtful_face_of_a_still_is_examined_at_other_rotations(degrees):
    suggests = Suggests(seen_at(320, 180, 0.2))
    image, labels = tilted(320, 180, 150, degrees)
    stage = KnowsUpright(degrees, finder=suggests)
    stage.image = image
    (face,) = stage.follower.step(image, stage.infer_crops, seconds=0.0, exhaustive=True)
    assert abs(wrapped(face.crop.roll_degrees - degrees)) < 12
    assert face.head.top == pytest.approx(np.nonzero(labels)[0].min(), abs=8)
    # in a stream there is no time for that
    stage = KnowsUpright(degrees, finder=suggests)
    assert stage.show(image=image) == ()


def test_a_weak_candidate_is_accepted_if_the_labels_confirm_it():
    stage = Stage(finder=Suggests(seen_at(200, 180, 0.2), seen_at(440, 180, 0.9)))
    (face,) = stage.show_still((200, 180, 150))
    assert at(face) == pytest.approx((200, 180), abs=4)
    # however sure the finder is, no face is found where the labels show none
    assert Stage(finder=Suggests(seen_at(440, 180, 1.0))).show_still((200, 180, 150)) == ()


def test_faces_below_the_least_score_are_rejected():
    suggests = Suggests(seen_at(320, 180, 0.2))
    assert len(Stage(finder=suggests, min_score=0.5).show_still((320, 180, 150))) == 1
    assert Stage(finder=suggests, min_score=0.95).show_still((320, 180, 150)) == ()


def test_a_still_with_many_doubtful_places_has_a_bounded_cost():
    places = [seen_at(20 * x, 20 * y, 0.1) for x in range(30) for y in range(15)]
    stage = Stage(finder=Suggests(*places))
    assert stage.show_still() == ()
    # as many as can be followed plus eight, and the three best ones at three rotations
    assert stage.looks <= 12 + 9


class TestWeakPlacesOfAStream:
    """A finder suggests weak places in nearly every picture of a stream."""

    def test_they_cost_a_fraction_of_a_crop_a_frame(self):
        places = [seen_at(90 * x, 90 * y, 0.1) for x in range(1, 7) for y in range(1, 4)]
        stage = Stage(finder=Suggests(*places))
        looks = []
        for _ in range(48):
            assert stage.show() == ()
            looks.append(stage.looks)
        assert max(looks) == 1
        assert sum(looks) == 6

    def test_none_of_them_starves(self):
        # the first five, which are examined again soon, must not keep the last from its turn
        places = [seen_at(90 * x, 60, 0.25) for x in range(1, 6)]
        stage = Stage(finder=Suggests(*places, seen_at(320, 240, 0.2)))
        found_at = next(index for index in range(60) if stage.show((320, 240, 150)))
        assert found_at <= 5 * 8

    def test_strong_ones_do_not_wait_for_them(self):
        stage = Stage(finder=Suggests(seen_at(120, 180, 0.1)))
        stage.show()
        stage.follower.finder = Suggests(seen_at(120, 180, 0.1), seen_at(440, 180, 0.6))
        (face,) = stage.show((440, 180, 150))
        assert at(face) == pytest.approx((440, 180), abs=4)

    def test_a_still_examines_all_of_them(self):
        suggests = Suggests(seen_at(120, 180, 0.2), seen_at(320, 180, 0.1), seen_at(520, 180, 0.25))
        assert len(Stage(finder=suggests).show_still((120, 180, 150), (520, 180, 150))) == 2
