"""Where nothing changes, a stream is searched again only while some place is in doubt."""

from __future__ import annotations

import numpy as np
import pytest

from rtseg.faces.candidates import TURNS
from rtseg.faces.changes import SearchedRegions
from tests.faces.stage import Stage, Suggests, at, seen_at

LONGEST = 40


class Recorder(Suggests):
    """Returns the same detections for every picture, and counts the searched regions."""

    def __init__(self, *detections):
        super().__init__(*detections)
        self.regions = 0

    def __call__(self, picture, infer, *, regions, known=()):
        self.regions += len(regions)
        return super().__call__(picture, infer, regions=regions, known=known)


def watched(*detections, **options):
    stage = Stage(finder=Recorder(*detections), **options)
    stage.follower.searched = SearchedRegions(longest=LONGEST)
    return stage


def searches(stage, frames, *heads):
    """The number of regions that are searched in each of the next frames."""
    counts = []
    for _ in range(frames):
        before = stage.follower.finder.regions
        stage.show(*heads)
        counts.append(stage.follower.finder.regions - before)
    return counts


def test_a_still_picture_without_anybody_is_searched_once_in_a_long_time():
    stage = watched()
    counts = searches(stage, LONGEST)
    assert sum(counts) == 4 + 8  # the whole picture, three tiles and eight finer ones
    assert sum(counts[12:]) == 0
    assert searches(stage, 1)[0] > 0
    stage.follower.reset()
    assert searches(stage, 1) == [4]


def test_where_something_changes_it_is_searched_again():
    stage = watched()
    searches(stage, 20)
    stage.show(image=np.full((360, 640, 3), 60, np.uint8))
    assert stage.follower.finder.regions > 12


def test_where_a_place_may_be_a_face_it_is_searched_again_beside_a_followed_one():
    counts = {}
    for score in (0.9, 1e-4):
        place = seen_at(480, 180, score)
        stage = watched(seen_at(160, 180, 0.9), place, detect_every=6)
        counts[score] = searches(stage, 30, (160, 180, 150))
    assert sum(counts[1e-4]) < sum(counts[0.9])


def test_what_may_be_a_face_on_its_side_is_examined_in_all_turns_though_nothing_changes():
    stage = watched(seen_at(320, 180, 0.9))
    examined = 0
    for _ in range(LONGEST):
        stage.show()
        examined += stage.crop_count
    assert examined == 2 * len(TURNS)
    assert searches(stage, LONGEST - 10)[-1] == 0  # then it is left to whatever changes


def test_weak_places_that_wait_for_each_other_are_in_doubt():
    weak = [seen_at(90 * x, 180, 1e-4) for x in range(1, 7)]
    assert sum(searches(watched(*weak), 30)) > 2 * sum(searches(watched(weak[0]), 30))


def test_a_confirmed_face_leaves_nothing_in_doubt():
    stage = watched(seen_at(320, 180, 0.9), detect_every=3)
    counts = searches(stage, 20, (320, 180, 150))
    assert len(stage.show((320, 180, 150))) == 1
    assert sum(counts[16:]) == 0


def test_of_three_strong_places_and_a_weak_one_two_are_examined_in_a_frame():
    strong = [seen_at(150 * x, 180, 0.9) for x in range(1, 4)]
    stage = Stage(finder=Suggests(*strong, seen_at(320, 60, 0.1)))
    crop_counts = []
    for _ in range(6):
        assert stage.show() == ()
        crop_counts.append(stage.crop_count)
    assert crop_counts[0] == 2
    assert max(crop_counts) == 2


def test_a_face_beside_as_many_as_are_followed_is_not_searched():
    stage = watched(seen_at(200, 180, 0.9), seen_at(440, 180, 0.9), max_faces=1, detect_every=1)
    (face,) = stage.show((200, 180, 150), (440, 180, 120))
    assert at(face) == pytest.approx((200, 180), abs=4)
    assert searches(stage, 6, (200, 180, 150), (440, 180, 120)) == [0] * 6
    stage = watched(seen_at(200, 180, 0.9), max_faces=2, detect_every=1)
    stage.show((200, 180, 150))
    assert sum(searches(stage, 3, (200, 180, 150))) > 0


def test_nobody_waits_beside_as_many_as_are_followed():
    places = [seen_at(60 + 52 * index, 60, 0.9) for index in range(10)]
    stage = Stage(finder=Suggests(seen_at(200, 250, 0.9), *places), max_faces=1)
    stage.show((200, 250, 150))
    assert stage.crop_count > 1
    stage.show((200, 250, 150))
    assert stage.crop_count == 1
