"""When which part of the frame is searched for faces."""

import pytest

from rtseg.faces.base import FaceDetection
from rtseg.faces.schedule import RejectedPlaces, Schedule
from rtseg.geometry.crop import box_around

SIZE = (720, 1280)
HERE, THERE = box_around(100, 100, 40, 50), box_around(300, 100, 40, 50)


def found_at(x, y, score):
    return FaceDetection(box=box_around(x, y, 20, 26), score=score)


def schedule(every=12):
    return Schedule(every=every, aspect=1.0, stretch=False)


def followed_regions(every, frames):
    made = schedule(every)
    return [made.following(*SIZE) for _ in range(frames)]


@pytest.mark.parametrize("every", [1, 2, 3, 5, 12, 30])
def test_the_whole_picture_is_searched_once_a_period_and_parts_twice(every):
    regions = followed_regions(every, 4 * every)
    for period in range(4):
        in_period = [
            crop for frame in regions[period * every : (period + 1) * every] for crop in frame
        ]
        assert sum(round(crop.box.width) == 1280 for crop in in_period) == 1
        assert sum(round(crop.box.width) == 432 for crop in in_period) == 2
        assert regions[(period + 1) * every - 1][0].box.width == 1280


def test_the_searches_are_spread_evenly():
    assert [len(frame) for frame in followed_regions(12, 24)] == 2 * [
        0,
        0,
        0,
        1,
        0,
        0,
        0,
        1,
        0,
        0,
        0,
        1,
    ]


def test_every_part_is_searched_within_two_seconds():
    searched = [crop for frame in followed_regions(12, 60) for crop in frame]
    assert set(schedule().exhaustive(*SIZE)[4:]) <= set(searched)


def test_a_small_frame_is_searched_in_tiles():
    made = schedule(3)
    searched = {crop for _ in range(12) for crop in made.following(240, 320)}
    assert searched == set(made.exhaustive(240, 320))


def test_the_first_search_is_larger_and_so_is_the_one_after_a_reset():
    made = schedule()
    first = made.searching(*SIZE)
    assert len(first) == 4
    assert [len(made.searching(*SIZE)) for _ in range(9)] == 9 * [3]
    made.reset()
    assert made.searching(*SIZE) == first


def test_without_followed_faces_every_part_is_searched_in_eight_frames():
    made = schedule()
    made.searching(*SIZE)
    searched = {crop for _ in range(8) for crop in made.searching(*SIZE)}
    assert searched == set(made.exhaustive(*SIZE))


def test_while_a_face_is_missing_every_frame_is_searched():
    made = schedule()
    regions = [made.missing(*SIZE) for _ in range(16)]
    assert {len(frame) for frame in regions} == {2}
    assert {crop for frame in regions for crop in frame} == set(made.exhaustive(*SIZE))


class TestOfACheapFinder:
    def made(self, every=12):
        return Schedule(every=every, aspect=384 / 224, stretch=False, fine=False)

    def test_a_still_is_searched_whole_and_then_in_two_of_six_tiles(self):
        made = self.made()
        whole, *tiles = made.exhaustive(*SIZE)
        assert len(tiles) == 6
        assert made.still(*SIZE) == [whole]
        assert made.closer(*SIZE, []) == [tiles[0], tiles[2]]  # the upper left and right

    def test_a_still_is_searched_closely_where_the_first_search_is_in_doubt(self):
        made = self.made()
        tiles = made.exhaustive(*SIZE)[1:]
        low = found_at(1200, 700, 0.3)
        assert made.closer(*SIZE, [low, found_at(100, 20, 0.1)]) == [tiles[5], tiles[0]]
        assert made.closer(*SIZE, [found_at(100, 20, 0.4), low]) == [tiles[0], tiles[5]]
        # once a tile shows a place, the next one goes elsewhere
        assert made.closer(*SIZE, [low, found_at(1180, 690, 0.2)]) == [tiles[5], tiles[0]]

    def test_an_upright_still_is_not_a_very_long_one(self):
        made = self.made()
        assert made.still(1280, 720) == made.exhaustive(1280, 720)[:1]
        assert len(made.closer(1280, 720, [])) == 2

    @pytest.mark.parametrize("size", [(400, 2000), (3000, 600)])
    def test_a_very_long_still_is_searched_in_every_tile_at_once(self, size):
        made = self.made()
        assert made.still(*size) == made.exhaustive(*size)
        assert len(made.still(*size)) > 3
        assert made.closer(*size, [found_at(200, 200, 0.3)]) == []

    def test_without_a_network_that_finds_faces_everything_is_searched_at_once(self):
        made = schedule()
        assert made.still(*SIZE) == made.exhaustive(*SIZE)
        assert made.closer(*SIZE, [found_at(100, 20, 0.1)]) == []

    def test_there_are_four_searches_a_period_one_of_the_whole_picture(self):
        made = self.made()
        regions = [made.following(*SIZE) for _ in range(24)]
        assert max(len(frame) for frame in regions) == 1
        assert sum(len(frame) for frame in regions) == 8
        whole = made.exhaustive(*SIZE)[0]
        assert [index for index, frame in enumerate(regions) if frame == [whole]] == [11, 23]
        assert len({crop for frame in regions for crop in frame}) == 7  # all in two periods

    def test_a_streams_first_frames_are_searched_as_a_whole(self):
        made = self.made()
        assert made.searching(*SIZE) == made.exhaustive(*SIZE)
        whole = made.whole(*SIZE)
        regions = [made.following(*SIZE) for _ in range(15)]
        assert [index for index, frame in enumerate(regions) if frame == [whole]] == [0, 1, 2, 14]
        made.reset()
        made.searching(*SIZE)
        assert made.following(*SIZE, worth=lambda _: False) == []
        assert made.following(*SIZE) == [whole]

    def test_with_fine_tiles_only_the_first_frame_is(self):
        made = schedule()
        made.searching(*SIZE)
        assert made.following(*SIZE) == []

    def test_without_followed_faces_everything_is_searched_in_three_frames(self):
        made = self.made()
        made.searching(*SIZE)
        regions = [made.searching(*SIZE) for _ in range(3)]
        assert [len(frame) for frame in regions] == [3, 3, 3]
        assert {crop for frame in regions for crop in frame} == set(made.exhaustive(*SIZE))

    def test_only_what_is_worth_it_is_searched_and_at_once(self):
        made = self.made()
        whole, *tiles = made.exhaustive(*SIZE)
        regions = [made.following(*SIZE, worth=lambda tile: tile == tiles[4]) for _ in range(12)]
        assert [crop for frame in regions for crop in frame] == [tiles[4]] * 3
        made.searching(*SIZE)
        assert made.searching(*SIZE, worth=lambda tile: tile == tiles[2]) == [tiles[2]]
        assert made.searching(*SIZE, worth=lambda tile: tile == whole) == [whole]
        assert made.searching(*SIZE, worth=lambda _: False) == []

    def test_while_a_face_is_missing_everything_is_searched_in_three_frames(self):
        made = self.made()
        regions = [made.missing(*SIZE) for _ in range(3)]
        assert [len(frame) for frame in regions] == [3, 3, 3]
        assert {crop for frame in regions for crop in frame} == set(made.exhaustive(*SIZE))


def waits(times):
    """The numbers of frames after which a place is examined again, always without a face."""
    rejected, waited = RejectedPlaces(), []
    for _ in range(times):
        rejected.add(HERE)
        frames = 0
        while rejected.is_left_alone(HERE):
            rejected.next_frame()
            frames += 1
        waited.append(frames)
    return waited


def test_the_wait_doubles_up_to_a_second_and_a_half():
    assert waits(7) == [3, 5, 9, 17, 33, 46, 46]


def test_attempts_are_counted_by_place():
    rejected = RejectedPlaces()
    for _ in range(3):
        rejected.add(HERE)
    rejected.add(THERE)
    assert rejected.tries(box_around(104, 98, 40, 50)) == 3
    assert rejected.tries(THERE) == 1
    assert rejected.tries(box_around(200, 300, 40, 50)) == 0
    assert not rejected.is_left_alone(box_around(200, 300, 40, 50))


def test_old_places_are_forgotten():
    rejected = RejectedPlaces()
    rejected.add(HERE)
    for _ in range(200):
        rejected.next_frame()
    assert rejected.tries(HERE) == 0


def test_a_place_that_may_be_a_face_is_examined_again_soon():
    rejected = RejectedPlaces()
    for _ in range(5):
        rejected.add(HERE, may_be_one=True)
        for _ in range(3):
            assert rejected.is_left_alone(HERE)
            rejected.next_frame()
        assert not rejected.is_left_alone(HERE)
    rejected.add(HERE)  # … and if it is clearly not a face, it is treated like any other
    assert rejected.tries(HERE) == 6
    for _ in range(5):
        rejected.next_frame()
    assert not rejected.is_left_alone(HERE)


def test_what_was_rejected_as_a_weak_place_is_examined_soon_once_it_is_a_strong_one():
    rejected = RejectedPlaces()
    for _ in range(5):
        rejected.add(HERE, is_weak=True)
    assert rejected.is_left_alone(HERE)
    for _ in range(3):
        rejected.next_frame()
    assert rejected.is_left_alone(HERE, is_weak=True)
    assert not rejected.is_left_alone(HERE)
    rejected.add(HERE)
    for _ in range(3):
        rejected.next_frame()
    assert rejected.is_left_alone(HERE)


@pytest.mark.parametrize(("beside", "frames"), [(False, 8), (True, 16)])
def test_weak_places_take_turns_with_pauses(beside, frames):
    rejected = RejectedPlaces()
    tried = []
    for _ in range(3 * frames):
        tried.append(rejected.may_try_a_weak_place(beside=beside))
        rejected.next_frame()
    assert [index for index, one in enumerate(tried) if one] == [0, frames, 2 * frames]


def test_a_missing_face_is_searched_in_large_tiles_first():
    made = schedule()
    for _ in range(2):
        widths = [made.missing(*SIZE)[1].box.width for _ in range(3)]
        assert widths == pytest.approx([720, 432, 720])
        made.reset()
