"""Fitting pictures to a network's input: stretching and letterboxing."""

import numpy as np
import pytest

from rtseg.geometry.fit import PADDING, fitted, fitted_place, letterboxed, resized


@pytest.mark.parametrize(
    ("size", "into", "place"),
    [
        ((100, 200), (50, 50), (12, 0, 25, 50)),
        ((200, 100), (50, 50), (0, 12, 50, 25)),
        ((10, 10), (64, 96), (0, 16, 64, 64)),
        ((1, 4000), (10, 10), (4, 0, 1, 10)),
        ((64, 96), (64, 96), (0, 0, 64, 96)),
    ],
)
def test_a_letterboxed_picture_keeps_its_shape_and_is_centred(size, into, place):
    assert fitted_place(*size, into=into, fit="letterbox") == place
    assert fitted_place(*size, into=into, fit="stretch") == (0, 0, *into)


def test_the_position_in_a_letterbox_is_right():
    image = np.full((20, 40, 3), 200, np.uint8)
    boxed = fitted(image, height=40, width=40, fit="letterbox")
    assert (boxed[10:30] == 200).all()
    assert (boxed[:10] == PADDING).all()
    assert (boxed[30:] == PADDING).all()
    assert (fitted(image, height=40, width=40, fit="stretch") == 200).all()
    assert (letterboxed(image, 40, 40)[:10] == 0).all()


def test_a_picture_of_the_right_size_is_returned_unchanged():
    image = np.zeros((8, 6, 3), np.uint8)
    assert fitted(image, height=8, width=6, fit="letterbox") is image
    assert resized(image, 8, 6) is image


def test_shrinking_averages():
    image = np.zeros((8, 8, 3), np.uint8)
    image[::2] = 100
    assert (resized(image, 4, 4) == 50).all()


def test_enlarging_one_side_interpolates():
    image = np.zeros((8, 4, 3), np.uint8)
    image[:, 2:] = 120
    for wide in (resized(image, 8, 16), resized(image, 8, 16, smooth=True)):
        assert ((wide > 10) & (wide < 110)).any(), "a ramp, not a step"
    tall = resized(np.ascontiguousarray(image.transpose(1, 0, 2)), 16, 8)
    assert ((tall > 10) & (tall < 110)).any()
