"""The one-euro filter: still when at rest, quick when moving."""

import math

import pytest

from rtseg.faces.one_euro import OneEuro


def test_the_first_value_is_unchanged():
    assert OneEuro()(3.5, 1 / 30) == 3.5


def test_noise_at_rest_is_damped():
    steady = OneEuro()
    for index in range(60):
        value = steady(1.0 if index % 2 else -1.0, 1 / 30, unit=1000.0)
    assert abs(value) < 0.3


def test_fast_movement_is_followed_more_closely_than_slow():
    def lag(speed):
        follower = OneEuro()
        for index in range(60):
            out = follower(speed * index / 30, 1 / 30)
        return (speed * 59 / 30 - out) / speed  # seconds of delay

    assert lag(2.0) < 0.5 * lag(1e-4)
    assert lag(1e-4) == pytest.approx(1 / (2 * math.pi * 1.5), rel=0.02)


def test_a_step_at_rest_takes_the_same_time_at_any_frame_rate():
    """Without a speed term it is a low-pass filter with a single time constant."""

    def reached(fps):
        steady = OneEuro(beta=0.0)
        steady(0.0, 1 / fps)
        for _ in range(round(0.2 * fps)):
            out = steady(1.0, 1 / fps)
        return out

    assert reached(60) == pytest.approx(reached(240), abs=0.03)


def test_large_and_small_faces_are_filtered_alike():
    large, small = OneEuro(), OneEuro()
    for value in (0.0, 0.2, 0.1, 0.7, 0.4):
        assert large(100 * value, 1 / 30, unit=100.0) == pytest.approx(
            100 * small(value, 1 / 30, unit=1.0)
        )


@pytest.mark.parametrize("fps", [15, 30, 120])
def test_the_delay_of_a_steady_movement_falls_with_its_speed(fps):
    """A low-pass filter's delay is 1 / (2 pi cutoff), and the cutoff rises by beta per speed,
    which is measured from the delayed value to the new one.
    """
    for speed in (0.1, 0.5, 2.0):
        follower = OneEuro(min_cutoff_hz=1.5, beta=12.0)
        for index in range(4 * fps):
            out = follower(5 * speed * index / fps, 1 / fps, unit=5.0)
        delay = (4 * fps - 1) / fps - out / (5 * speed)
        cutoff = 1.5 + 12.0 * speed * (1 + delay * fps)
        assert delay == pytest.approx(1 / (2 * math.pi * cutoff), rel=0.02)
