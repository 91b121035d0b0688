from rtseg.faces.rejected import Rejected
from rtseg.geometry.crop import box_around

HERE, THERE = box_around(100, 100, 40, 50), box_around(300, 100, 40, 50)


def waits(times):
    """After how many frames a place is looked at again, each time in vain."""
    rejected, waited = Rejected(), []
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


def test_tries_are_counted_by_place():
    rejected = Rejected()
    for _ in range(3):
        rejected.add(HERE)
    rejected.add(THERE)
    assert rejected.tries(box_around(104, 98, 40, 50)) == 3
    assert rejected.tries(THERE) == 1
    assert rejected.tries(box_around(200, 300, 40, 50)) == 0
    assert not rejected.is_left_alone(box_around(200, 300, 40, 50))


def test_what_is_long_ago_is_forgotten():
    rejected = Rejected()
    rejected.add(HERE)
    for _ in range(200):
        rejected.next_frame()
    assert rejected.tries(HERE) == 0


def test_what_may_be_a_face_after_all_is_looked_at_again_soon():
    rejected = Rejected()
    for _ in range(5):
        rejected.add(HERE, may_be_one=True)
        for _ in range(3):
            assert rejected.is_left_alone(HERE)
            rejected.next_frame()
        assert not rejected.is_left_alone(HERE)
    rejected.add(HERE)  # … and if it is clear that it is none, as any other
    assert rejected.tries(HERE) == 6
    for _ in range(5):
        rejected.next_frame()
    assert not rejected.is_left_alone(HERE)
