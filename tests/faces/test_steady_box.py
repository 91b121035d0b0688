"""Boxes are steady on a still face, whatever hair comes and goes, and keep up with a moving one."""

import numpy as np
import pytest

from rtseg.faces.steady_box import BoxSpeed, SteadyBox
from rtseg.frames import Box
from rtseg.geometry.crop import box_around

STEP = 1 / 30


def test_a_lock_of_hair_in_a_single_frame_hardly_moves_the_box() -> None:
    steady = SteadyBox()
    for index in range(60):
        top = 50.0 if index == 40 else 100.0
        shown = steady(Box(left=0, top=top, right=150, bottom=300), STEP, speed=0.0)
        assert shown.top > 100 - 0.2 * 50
        assert (shown.left, shown.right, shown.bottom) == (0, 150, 300)
    assert shown.top == pytest.approx(100, abs=2)


@pytest.mark.parametrize("speed", [0.5, 2.0])
def test_edges_of_a_fast_face_are_followed_closely(speed: float) -> None:
    steady = SteadyBox()
    for index in range(60):
        x = speed * 200 * STEP * index
        shown = steady(box_around(x, 100, 150, 200), STEP, speed=speed)
    assert 0 <= x - shown.centre[0] < 0.1 * 150


@pytest.mark.parametrize(
    ("x", "y", "growth", "expected"),
    [(100, 0, 0, 0.5), (0, -60, 0, 0.3), (60, 80, 0, 0.5), (0, 0, 40, 0.1), (0, 0, -40, 0.1)],
)
def test_the_speed_is_that_of_the_centre_or_of_the_edges(
    x: float, y: float, growth: float, expected: float
) -> None:
    """In heights (about 200 pixels) a second, after it has moved like this for a second."""
    measure = BoxSpeed()
    for index in range(31):
        seconds = index * STEP - 1
        box = box_around(x * seconds, y * seconds, 150 + growth * seconds, 200 + growth * seconds)
        speed = measure(box, STEP)
        if not index:
            assert speed == 0
    assert speed == pytest.approx(expected, rel=0.05)


def test_noise_is_hardly_a_speed() -> None:
    measure = BoxSpeed()
    rng = np.random.default_rng(1)
    speeds = [
        measure(box_around(*(300 + rng.normal(0, 0.5, 2)), 150, 200), STEP) for _ in range(300)
    ]
    # from frame to frame it moves by .7 pixels, which would be .1 heights a second
    assert np.mean(speeds) < 0.05


def test_the_speed_does_not_depend_on_the_frame_rate() -> None:
    def reached(fps: int) -> float:
        measure = BoxSpeed()
        for index in range(fps // 2):
            speed = measure(box_around(80 * index / fps, 0, 150, 200), 1 / fps)
        return speed

    assert reached(15) == pytest.approx(reached(60), rel=0.05)
    assert reached(60) == pytest.approx(0.4, rel=0.05)
