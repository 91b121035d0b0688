"""What a finder suggests is confirmed by the labels before it is followed."""

import cv2
import numpy as np
import pytest

from rtseg.geometry.crop import wrapped
from rtseg.labels import HELEN
from tests.faces.stage import Stage, Suggests, at, seen_at, tilted
from tests.support.painted import COLOURS, paint, scene


def test_a_weak_candidate_is_accepted_if_the_labels_confirm_it():
    stage = Stage(finder=Suggests(seen_at(200, 180, 0.2), seen_at(440, 180, 0.9)))
    (face,) = stage.show_still((200, 180, 150))
    assert at(face) == pytest.approx((200, 180), abs=4)
    # however sure the finder is, no face is found where the labels show none
    assert Stage(finder=Suggests(seen_at(440, 180, 1.0))).show_still((200, 180, 150)) == ()


def test_faces_below_the_least_score_are_rejected():
    for weak in (1e-4, 1e-3, 0.01, 0.1):
        suggests = Suggests(seen_at(320, 180, weak))
        faces = Stage(finder=suggests, min_score=0.05).show_still((320, 180, 150))
        if faces and 0.1 < faces[0].score < 0.95:
            break
    (face,) = faces
    for least, count in ((face.score - 0.01, 1), (face.score + 0.01, 0)):
        stage = Stage(finder=suggests, min_score=least)
        assert len(stage.show_still((320, 180, 150))) == count


def test_a_still_with_many_doubtful_places_has_a_bounded_cost():
    places = [seen_at(20 * x, 20 * y, 0.1) for x in range(30) for y in range(15)]
    stage = Stage(finder=Suggests(*places))
    assert stage.show_still() == ()
    # as many as can be followed plus eight, and two of them at two more rotations
    assert stage.crop_count <= 12 + 2 * 2


class TestWeakPlacesOfAStream:
    """A finder suggests weak places in nearly every picture of a stream."""

    def test_they_cost_a_fraction_of_a_crop_a_frame(self):
        places = [seen_at(90 * x, 90 * y, 0.1) for x in range(1, 7) for y in range(1, 4)]
        stage = Stage(finder=Suggests(*places))
        crop_counts = []
        for _ in range(48):
            assert stage.show() == ()
            crop_counts.append(stage.crop_count)
        assert max(crop_counts) == 1
        assert sum(crop_counts) == 6

    def test_they_cost_half_as_much_beside_a_followed_face(self):
        places = [seen_at(90 * x, 330, 0.1) for x in range(1, 7)]
        stage = Stage(finder=Suggests(seen_at(320, 150, 0.9), *places), detect_every=1)
        crop_counts = []
        for _ in range(49):
            assert len(stage.show((320, 150, 150))) == 1
            crop_counts.append(stage.crop_count)
        assert sum(crop_counts[1:]) == 48 + 3

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


def test_a_place_that_leads_to_a_followed_face_again_is_left_alone():
    # the crop around the neck shows the face above it
    stage = Stage(finder=Suggests(seen_at(320, 150, 0.9), seen_at(320, 290, 0.6)), detect_every=1)
    crop_counts = []
    for _ in range(40):
        assert len(stage.show((320, 150, 150))) == 1
        crop_counts.append(stage.crop_count)
    assert crop_counts.count(1) >= 34


class Sideways(Stage):
    """Its network recognises heads that are rotated by some 45 degrees from upright at most, as
    trained ones do; the head in the picture lies on its side."""

    lies_at = 80.0

    def infer_crops(self, crops):
        maps = super().infer_crops(crops)
        for crop, probabilities in zip(crops, maps, strict=True):
            if abs(wrapped(self.lies_at - crop.roll_degrees)) > 45:
                probabilities[...] = 0
                probabilities[..., 0] = 1
        return maps


@pytest.mark.parametrize("lies_at", [80.0, -70.0])
@pytest.mark.parametrize("score", [0.3, 0.9])
def test_a_head_on_its_side_is_found_although_the_finder_says_upright(lies_at, score):
    stage = Sideways(finder=Suggests(seen_at(320, 180, score), seen_at(90, 90, 0.1)))
    stage.lies_at = lies_at
    stage.image = tilted(320, 180, 150, lies_at)[0]
    (face,) = stage.follower.step(stage.image, stage.infer_crops, seconds=0.0, exhaustive=True)
    assert at(face) == pytest.approx((320, 180), abs=6)
    assert face.crop.roll_degrees == pytest.approx(lies_at, abs=10)


@pytest.mark.parametrize("lies_at", [80.0, -70.0])
def test_a_stream_finds_a_head_on_its_side_within_a_second_at_one_crop_a_frame(lies_at):
    stage = Sideways(finder=Suggests(seen_at(320, 180, 0.9)))
    stage.lies_at = lies_at
    image = tilted(320, 180, 150, lies_at)[0]
    for _ in range(30):
        faces = stage.show(image=image)
        if faces:
            break
        assert stage.crop_count <= 1
    (face,) = faces
    assert face.crop.roll_degrees == pytest.approx(lies_at, abs=10)


def test_what_shows_only_some_parts_is_no_face_on_its_side():
    labels = np.zeros((360, 640), np.uint8)
    paint(labels, 320, 180, 150, parts=(1, 4, 10))
    matrix = cv2.getRotationMatrix2D((319.5, 179.5), -80, 1)
    labels = cv2.warpAffine(labels, matrix, (640, 360), flags=cv2.INTER_NEAREST)
    stage = Sideways(finder=Suggests(seen_at(320, 180, 0.9)))
    stage.image = COLOURS[labels]
    assert stage.follower.step(stage.image, stage.infer_crops, seconds=0.0, exhaustive=True) == ()


def test_a_place_is_examined_upright_and_rotated_either_way_in_turns():
    stage = Stage(finder=Suggests(seen_at(320, 180, 0.9)))
    rolls = []

    def recorded(crops):
        rolls.extend(crop.roll_degrees for crop in crops)
        return stage.infer_crops(crops)

    stage.image = np.zeros((360, 640, 3), np.uint8)
    for index in range(120):
        assert stage.follower.step(stage.image, recorded, seconds=index / 30) == ()
    assert rolls == [0, 75, 0, -75, 0, 75, 0]


def rolls_of_unsure_crops(stage, *, certainty):
    """The rotations of the crops in twenty frames, with labels less certain than painted."""
    rolls = []

    def unsure(crops):
        rolls.extend(crop.roll_degrees for crop in crops)
        maps = [certainty * probabilities for probabilities in stage.infer_crops(crops)]
        for probabilities in maps:
            probabilities[..., HELEN.background] += 1 - certainty
        return maps

    for index in range(20):
        assert stage.follower.step(stage.image, unsure, seconds=index / 30) == ()
    assert len(rolls) >= 3
    return set(rolls)


def test_what_may_be_a_face_is_not_rotated_although_parts_are_missing():
    stage = Stage(finder=Suggests(seen_at(320, 180, 0.9)))
    labels = np.zeros((360, 640), np.uint8)
    paint(labels, 320, 180, 150, parts=(1, 4, 10))  # one eye
    stage.image = COLOURS[labels]
    assert rolls_of_unsure_crops(stage, certainty=0.75) == {0}


def test_what_shows_an_arranged_face_is_examined_as_the_finder_says_every_time():
    stage = Stage(finder=Suggests(seen_at(320, 180, 0.999)), min_score=0.99)
    stage.image = scene(360, 640, (320, 180, 150))[0]
    assert rolls_of_unsure_crops(stage, certainty=0.7) == {0}
