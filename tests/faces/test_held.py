"""The area of a lost face is held for a while."""

from rtseg.faces.held import HeldRegions
from rtseg.faces.track import Track
from rtseg.frames import Box
from rtseg.geometry.crop import Crop


def track(track_id, left, *, present=True):
    box = Box(left=left, top=0, right=left + 40, bottom=60)
    made = Track(track_id=track_id, head=box, crop=Crop(box=box), score=1.0, seen_seconds=0.0)
    made.is_present = present
    return made


def update(held, *tracks, seconds):
    held.update([one.bounds for one in tracks if one.is_present], tracks, seconds=seconds)
    return held.boxes


def test_a_lost_face_is_held_enlarged_and_then_released():
    held = HeldRegions(seconds=1.0)
    assert update(held, track(1, 100), seconds=0.0) == ()
    (box,) = update(held, track(1, 100, present=False), seconds=0.1)
    assert (box.left, box.right) == (96, 144)  # a fifth larger
    assert (box.top, box.bottom) == (-6, 66)
    # the tracker forgets the face before its area is released
    assert update(held, seconds=0.9) == (box,)
    assert update(held, seconds=1.1) == ()


def test_a_face_that_returns_is_not_held_under_any_id():
    held = HeldRegions(seconds=1.0)
    update(held, track(1, 100), seconds=0.0)
    update(held, track(1, 100, present=False), seconds=0.1)
    assert update(held, track(2, 104), seconds=0.2) == ()


def test_holding_can_be_disabled_and_reset():
    held = HeldRegions(seconds=0.0)
    update(held, track(1, 100), seconds=0.0)
    assert update(held, seconds=0.04) == ()
    held = HeldRegions(seconds=1.0)
    update(held, track(1, 100), seconds=0.0)
    held.reset()
    assert update(held, seconds=0.1) == ()


def test_times_count_from_any_beginning():
    held = HeldRegions(seconds=1.0)
    update(held, track(1, 100), seconds=50.0)
    assert len(update(held, seconds=50.5)) == 1
    assert len(update(held, seconds=51.0)) == 1  # as long as it is said to be held
    assert update(held, seconds=51.1) == ()


def test_a_face_that_the_labels_hardly_show_is_hidden_while_it_is_seen():
    held = HeldRegions(seconds=0.0)  # whether or not lost ones are
    shown = track(1, 100)
    held.update([shown.bounds], [shown], seconds=0.0, unlabelled=[shown.bounds])
    (box,) = held.boxes
    assert (box.left, box.right) == (96, 144)
    assert update(held, shown, seconds=0.1) == ()


def sized(width, height, *, left=100):
    """A visible track with a head of this size around the same centre."""
    box = Box(left=left - width / 2, top=-height / 2, right=left + width / 2, bottom=height / 2)
    made = Track(track_id=1, head=box, crop=Crop(box=box), score=1.0, seen_seconds=0.0)
    made.is_present = True
    return made


def test_a_head_of_which_suddenly_only_a_part_is_seen_stays_hidden_for_a_while():
    held = HeldRegions(seconds=1.0)
    assert update(held, sized(80, 100), seconds=0.0) == ()
    sliver = sized(16, 20, left=120)
    (box,) = update(held, sliver, seconds=0.1)
    assert (box.left, box.right, box.top, box.bottom) == (52, 148, -60, 60)
    assert update(held, sliver, seconds=0.9) == (box,)
    # from then on it is as small as it looks
    assert update(held, sliver, seconds=1.1) == ()
    assert update(held, sliver, seconds=1.2) == ()


def test_a_head_that_is_seen_whole_again_is_no_longer_held():
    held = HeldRegions(seconds=1.0)
    update(held, sized(80, 100), seconds=0.0)
    assert update(held, sized(16, 20), seconds=0.1)
    assert update(held, sized(78, 96), seconds=0.2) == ()


def test_a_head_that_loses_its_hair_or_moves_away_is_not_held():
    held = HeldRegions(seconds=1.0)
    assert update(held, sized(80, 100), seconds=0.0) == ()
    assert update(held, sized(50, 60), seconds=0.1) == ()
    for step in range(8):
        assert update(held, sized(50 * 0.8**step, 60 * 0.8**step), seconds=0.2 + step / 10) == ()


def test_a_shrunk_head_that_is_then_lost_is_held_where_it_was_whole():
    held = HeldRegions(seconds=1.0)
    update(held, sized(80, 100), seconds=0.0)
    (box,) = update(held, sized(16, 20, left=120), seconds=0.1)
    assert update(held, seconds=0.2) == (box,)
    assert update(held, seconds=1.1) == ()


def test_without_holding_a_shrunk_head_is_not_held_either():
    held = HeldRegions(seconds=0.0)
    update(held, sized(80, 100), seconds=0.0)
    assert update(held, sized(16, 20), seconds=0.04) == ()


def test_a_region_inside_another_one_is_hidden_once():
    held = HeldRegions(seconds=1.0)
    update(held, sized(80, 100), seconds=0.0)
    sliver = sized(16, 20, left=110)
    held.update([sliver.bounds], [sliver], seconds=0.1, unlabelled=[sliver.bounds])
    (box,) = held.boxes
    assert (box.left, box.right) == (52, 148)
    beside = sized(16, 20, left=145)
    held.update([beside.bounds], [beside], seconds=0.2, unlabelled=[beside.bounds])
    assert len(held.boxes) == 2
