"""Which regions of a stream are worth another search."""

import numpy as np
import pytest

from rtseg.faces.changes import SearchedRegions
from rtseg.geometry.crop import Crop, box_around

SIZE = (720, 1280)
LEFT, RIGHT = Crop(box=box_around(320, 360, 640, 720)), Crop(box=box_around(960, 360, 640, 720))


def noisy(seed, *, levels=4.0, grey=120.0):
    picture = np.random.default_rng(seed).normal(grey, levels, (*SIZE, 3))
    return picture.clip(0, 255).astype(np.uint8)


def searched(picture, **options):
    """Regions that were searched in a picture, both of them in vain."""
    made = SearchedRegions(**{"longest": 50, **options})
    made.next_frame(picture)
    made.add([LEFT, RIGHT], is_settled=True)
    return made


def with_square(picture, x, y, side, *, brighter=30):
    """A picture with something new around a point."""
    changed = picture.copy()
    part = changed[y - side // 2 : y + side // 2, x - side // 2 : x + side // 2]
    part[...] = part.clip(0, 255 - brighter) + brighter
    return changed


def test_what_was_never_searched_is_worth_it():
    made = SearchedRegions(longest=50)
    made.next_frame(noisy(0))
    assert made.is_worth_searching(LEFT)
    made.add([LEFT], is_settled=True)
    made.next_frame(noisy(1))
    assert made.is_worth_searching(RIGHT)


def test_noise_is_no_change():
    made = searched(noisy(0, levels=6.0))
    for seed in range(1, 6):
        made.next_frame(noisy(seed, levels=6.0))
        assert not made.is_worth_searching(LEFT)
        assert not made.is_worth_searching(RIGHT)


@pytest.mark.parametrize("side", [36, 58, 200])
def test_a_small_newcomer_is_a_change_where_it_is(side):
    # a face of 5% of the height, one of 8%, and a large one
    made = searched(noisy(0))
    for x in (300, 311, 317):
        made.next_frame(with_square(noisy(1), x, 250, side))
        assert made.is_worth_searching(LEFT)
        assert not made.is_worth_searching(RIGHT)


def test_what_comes_slowly_is_noticed_in_the_end():
    made = searched(noisy(0))
    noticed = []
    for step in range(20):
        made.next_frame(with_square(noisy(step + 1), 900, 300, 60, brighter=step))
        noticed.append(made.is_worth_searching(RIGHT))
    assert not any(noticed[:3])
    assert all(noticed[10:])


def test_changes_in_the_crop_of_a_followed_face_do_not_count():
    made = searched(noisy(0))
    made.next_frame(with_square(noisy(1), 300, 250, 60))
    assert not made.is_worth_searching(LEFT, known=[box_around(300, 250, 160, 160)])
    # but what reaches out of it does
    assert made.is_worth_searching(LEFT, known=[box_around(340, 250, 60, 160)])


def test_after_the_longest_time_a_region_is_worth_it_in_any_case():
    made = searched(noisy(0), longest=5)
    worth = []
    for seed in range(1, 7):
        made.next_frame(noisy(seed))
        worth.append(made.is_worth_searching(LEFT))
    assert worth == [False, False, False, False, True, True]


def test_before_the_least_time_it_is_not():
    made = searched(noisy(0), least=3)
    worth = []
    for _ in range(4):
        made.next_frame(noisy(0, grey=60.0))
        worth.append(made.is_worth_searching(LEFT))
    assert worth == [False, False, True, True]


def test_where_a_place_is_in_doubt_another_search_is_worth_it():
    made = searched(noisy(0), least=10)
    made.next_frame(noisy(1))
    made.add([LEFT], is_settled=False)
    made.next_frame(noisy(2))
    assert made.is_worth_searching(LEFT)
    assert not made.is_worth_searching(RIGHT)


@pytest.mark.parametrize("size", [(720, 1280), (1280, 720), (33, 47), (1, 1), (2160, 3840)])
def test_every_size_of_picture_works(size):
    whole = Crop(box=box_around(size[1] / 2, size[0] / 2, size[1] + 40, size[0] + 40))
    made = SearchedRegions(longest=50)
    made.next_frame(np.full((*size, 3), 90, np.uint8))
    made.add([whole], is_settled=True)
    made.next_frame(np.full((*size, 3), 93, np.uint8))
    assert not made.is_worth_searching(whole)
    made.next_frame(np.full((*size, 3), 110, np.uint8))
    assert made.is_worth_searching(whole)


def test_a_picture_of_another_size_and_a_new_stream_are_worth_it():
    made = searched(noisy(0))
    made.next_frame(np.full((480, 640, 3), 120, np.uint8))
    assert made.is_worth_searching(LEFT)
    made = searched(noisy(0))
    made.reset()
    made.next_frame(noisy(0))
    assert made.is_worth_searching(LEFT)


@pytest.mark.parametrize(("brighter", "is_change"), [(5, False), (6, True)])
def test_a_change_is_a_difference_of_more_than_five_levels(brighter, is_change):
    even = np.full((*SIZE, 3), 120, np.uint8)
    made = searched(even)
    made.next_frame(even + np.uint8(brighter))
    assert made.is_worth_searching(LEFT) == is_change


UPPER, LOWER = Crop(box=box_around(640, 180, 1280, 360)), Crop(box=box_around(640, 540, 1280, 360))


@pytest.mark.parametrize(
    ("x", "y", "changed"),
    [
        (300, 100, [LEFT, UPPER]),
        (1000, 100, [RIGHT, UPPER]),
        (300, 650, [LEFT, LOWER]),
        (1000, 650, [RIGHT, LOWER]),
    ],
)
def test_a_change_counts_in_the_regions_that_include_it(x, y, changed):
    even = np.full((*SIZE, 3), 120, np.uint8)
    made = SearchedRegions(longest=50)
    made.next_frame(even)
    regions = [LEFT, RIGHT, UPPER, LOWER]
    made.add(regions, is_settled=True)
    made.next_frame(with_square(even, x, y, 60))
    assert [one for one in regions if made.is_worth_searching(one)] == changed
    # beside it, other people's crops change nothing about that
    for known in ([box_around(640, 360, 60, 60)], [box_around(-50, -50, 60, 60)]):
        assert [one for one in regions if made.is_worth_searching(one, known=known)] == changed
    assert not any(
        made.is_worth_searching(one, known=[box_around(x, y, 120, 120)]) for one in regions
    )
