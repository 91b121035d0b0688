"""The second finder, which occasionally searches for faces unknown to the first one."""

import numpy as np
import pytest

from rtseg.faces.parsing_finder import ParsingFinder
from rtseg.faces.schedule import Schedule
from rtseg.faces.second_finder import SecondFinder
from rtseg.labels import HELEN
from tests.faces.test_following import Stage, at, ids

EVERY = 12


class Blind:
    """A first finder that finds nothing, and records its calls."""

    def __init__(self):
        self.asked = 0

    def __call__(self, picture, infer, *, regions, known=()):
        self.asked += 1
        return []

    def reset(self):
        pass


def stage(*, second=True, **options):
    made = Stage(finder=Blind(), detect_every=EVERY, smoothing=0.0, **options)
    if second:
        made.follower.second = SecondFinder(
            ParsingFinder(HELEN, aspect=1.0), Schedule(every=EVERY, aspect=1.0, stretch=False)
        )
    return made


def test_a_face_unknown_to_the_first_finder_is_followed_within_a_period():
    both, first = stage(), stage(second=False)
    for _ in range(EVERY + 1):
        faces = both.show((320, 180, 150))
        assert first.show((320, 180, 150)) == ()
    (face,) = faces
    assert at(face) == (pytest.approx(320, abs=12), pytest.approx(180, abs=12))
    for _ in range(2 * EVERY):
        assert ids(both.show((320, 180, 150))) == ids(faces)


def test_it_searches_a_few_times_a_period_and_omits_known_faces():
    both = stage()
    crop_counts = []
    for _ in range(4 * EVERY):
        both.show((320, 180, 150))
        crop_counts.append(both.crop_count)
    # one is the followed face's own crop
    assert sum(crop_counts[2 * EVERY :]) <= 2 * EVERY * 1 + 2 * 3
    assert max(crop_counts[2 * EVERY :]) <= 2


def test_it_does_not_search_when_no_more_faces_are_allowed():
    both = stage(max_faces=1)
    for _ in range(2 * EVERY):
        both.show((200, 180, 150))
    for _ in range(2 * EVERY):
        assert len(both.show((200, 180, 150), (450, 180, 150))) == 1
        assert both.crop_count == 1


def test_stills_are_left_to_the_first_finder():
    assert stage().show_still((320, 180, 150)) == ()


def test_it_finds_a_lost_face_again():
    both = stage()
    for _ in range(EVERY + 1):
        before = both.show((320, 180, 150))
    for _ in range(5):
        assert both.show() == ()
    again = [both.show((320, 180, 150)) for _ in range(EVERY)][-1]
    assert ids(again) == ids(before)


def test_a_new_stream_starts_its_schedule_again():
    both = stage()
    for _ in range(EVERY + 1):
        before = both.show((320, 180, 150))
    both.follower.reset()
    for _ in range(EVERY + 1):
        after = both.show((320, 180, 150))
    assert ids(after).isdisjoint(ids(before))


class Recorder(Blind):
    """Finds nothing, and records in which picture each region was searched."""

    def __init__(self):
        self.searched = {}
        self.picture = 0

    def __call__(self, picture, infer, *, regions, known=()):
        for region in regions:
            self.searched.setdefault(region, []).append(self.picture)
        return []


@pytest.mark.parametrize(("is_changing", "periods"), [(True, 6), (False, 12)])
def test_a_region_without_anybody_is_left_alone_for_some_periods(is_changing, periods):
    every = 4
    recorder = Recorder()
    finder = SecondFinder(recorder, Schedule(every=every, aspect=1.0, stretch=False, fine=False))
    for recorder.picture in range(3 * periods * every):
        grey = 37 * recorder.picture % 200 if is_changing else 0
        assert finder(np.full((90, 160, 3), grey, np.uint8), None, known=[]) == []
    assert recorder.searched
    for pictures in recorder.searched.values():
        between = np.diff(pictures)
        assert len(between)
        assert between.min() >= periods * every
        assert between.max() <= (periods + 3) * every


def test_the_whole_of_the_second_picture_is_searched_and_again_in_its_turn():
    recorder = Recorder()
    schedule = Schedule(every=EVERY, aspect=1.0, stretch=False)
    finder = SecondFinder(recorder, schedule)
    picture = np.zeros((90, 160, 3), np.uint8)
    for _ in range(2):  # two streams
        recorder.searched.clear()
        for recorder.picture in range(1, EVERY + 1):
            finder(picture, None, known=[])
        assert recorder.searched[schedule.whole(90, 160)] == [2, EVERY]
        finder.reset()


def test_a_face_unknown_to_the_first_finder_is_found_in_the_second_picture():
    both = stage()
    assert both.show((320, 180, 150)) == ()
    assert len(both.show((320, 180, 150))) == 1
