import pytest

from rtseg.faces.schedule import Schedule

SIZE = (720, 1280)


def schedule(every=12):
    return Schedule(every=every, aspect=1.0, stretch=False)


def looks(every, frames):
    made = schedule(every)
    return [made.following(*SIZE) for _ in range(frames)]


@pytest.mark.parametrize("every", [1, 2, 3, 5, 12, 30])
def test_the_whole_picture_is_seen_once_a_period_and_parts_twice(every):
    seen = looks(every, 4 * every)
    for period in range(4):
        here = [crop for frame in seen[period * every : (period + 1) * every] for crop in frame]
        assert sum(round(crop.box.width) == 1280 for crop in here) == 1
        assert sum(round(crop.box.width) == 432 for crop in here) == 2
        assert seen[(period + 1) * every - 1][0].box.width == 1280


def test_the_looks_are_spread_evenly():
    assert [len(frame) for frame in looks(12, 24)] == 2 * [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1]


def test_every_part_is_seen_within_two_seconds():
    seen = [crop for frame in looks(12, 60) for crop in frame]
    assert set(schedule().exhaustive(*SIZE)[4:]) <= set(seen)


def test_a_small_frame_is_looked_at_in_tiles():
    made = schedule(3)
    seen = {crop for _ in range(12) for crop in made.following(240, 320)}
    assert seen == set(made.exhaustive(240, 320))


def test_the_first_look_is_a_larger_one_and_comes_again_after_a_reset():
    made = schedule()
    first = made.searching(*SIZE)
    assert len(first) == 4
    assert [len(made.searching(*SIZE)) for _ in range(9)] == 9 * [3]
    made.reset()
    assert made.searching(*SIZE) == first


def test_while_nobody_is_followed_every_part_comes_round_in_eight_frames():
    made = schedule()
    made.searching(*SIZE)
    seen = {crop for _ in range(8) for crop in made.searching(*SIZE)}
    assert seen == set(made.exhaustive(*SIZE))


def test_while_somebody_is_missing_something_is_looked_at_in_every_frame():
    made = schedule()
    seen = [made.missing(*SIZE) for _ in range(16)]
    assert {len(frame) for frame in seen} == {2}
    assert {crop for frame in seen for crop in frame} == set(made.exhaustive(*SIZE))


class TestOfACheapFinder:
    def made(self, every=12):
        return Schedule(every=every, aspect=384 / 224, stretch=False, fine=False)

    def test_a_still_is_seen_whole_and_in_six_tiles(self):
        assert len(self.made().exhaustive(*SIZE)) == 7

    def test_seven_looks_a_period_one_of_them_at_the_whole(self):
        made = self.made()
        seen = [made.following(*SIZE) for _ in range(24)]
        assert max(len(frame) for frame in seen) == 1
        assert sum(len(frame) for frame in seen) == 14
        whole = made.exhaustive(*SIZE)[0]
        assert [index for index, frame in enumerate(seen) if frame == [whole]] == [11, 23]
        assert len({crop for frame in seen[:12] for crop in frame}) == 7  # all in one period

    def test_while_nobody_is_followed_all_is_seen_in_two_frames(self):
        made = self.made()
        made.searching(*SIZE)
        seen = [made.searching(*SIZE) for _ in range(2)]
        assert [len(frame) for frame in seen] == [4, 4]
        assert {crop for frame in seen for crop in frame} == set(made.exhaustive(*SIZE))

    def test_while_somebody_is_missing_all_is_seen_in_three_frames(self):
        made = self.made()
        seen = [made.missing(*SIZE) for _ in range(3)]
        assert [len(frame) for frame in seen] == [3, 3, 3]
        assert {crop for frame in seen for crop in frame} == set(made.exhaustive(*SIZE))
