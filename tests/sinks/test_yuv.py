"""Conversion from RGB to encoders' formats, compared with H.273's matrices in floating point."""

import numpy as np
import pytest

from rtseg.media.colour import FULL_RANGE, LIMITED_RANGE, yuv_encoding, yuv_from_rgb
from rtseg.media.info import ColourTags
from rtseg.sinks.yuv import YuvConverter

WIDTH, HEIGHT = 96, 64
TAGS = [
    ColourTags(matrix=1),
    ColourTags(matrix=6),
    ColourTags(matrix=9),
    ColourTags(matrix=1, full_range=True),
]


def converter(tags, *, pixel_format="yuv420p", width=WIDTH, height=HEIGHT):
    return YuvConverter(
        pixel_format=pixel_format,
        width=width,
        height=height,
        colour=tags,
        picture_size=(width, height),
    )


def noise(height=HEIGHT, width=WIDTH):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def planes(frame):
    height, width = frame.height, frame.width
    lines = frame.to_ndarray()
    blue, red = lines[height : height + height // 4], lines[height + height // 4 :]
    return lines[:height], *(plane.reshape(height // 2, width // 2) for plane in (blue, red))


def exact(picture, tags):
    height, width = picture.shape[:2]
    matrix = yuv_from_rgb(yuv_encoding(tags, width=width, height=height)).astype(np.float64)
    yuv = picture.astype(np.float64) @ matrix[:, :3].T + matrix[:, 3]
    halved = yuv.reshape(height // 2, 2, width // 2, 2, 3).mean((1, 3))
    return yuv[..., 0], halved[..., 1], halved[..., 2]


@pytest.mark.parametrize("tags", TAGS, ids=lambda tags: f"{tags.matrix}-{tags.full_range}")
def test_conversion_is_exact_to_one_level_and_shifts_nothing(tags):
    converted = planes(converter(tags).convert(noise()))
    for plane, expected in zip(converted, exact(noise(), tags), strict=True):
        assert np.abs(plane - expected).max() < 1
        assert abs((plane - expected).mean()) < 0.1


def test_black_white_and_grey_have_the_standards_values():
    for level, limited in ((0, 16), (255, 235), (128, 126)):
        grey = np.full((HEIGHT, WIDTH, 3), level, np.uint8)
        luma, blue, red = planes(converter(ColourTags(matrix=1)).convert(grey))
        assert set(luma.flat) == {limited}
        assert set(blue.flat) == set(red.flat) == {128}
        full = planes(converter(ColourTags(matrix=1, full_range=True)).convert(grey))
        assert set(full[0].flat) == {level}


def test_the_last_column_and_row_are_repeated_for_a_larger_picture():
    odd = noise(HEIGHT - 1, WIDTH - 1)
    whole = np.pad(odd, ((0, 1), (0, 1), (0, 0)), mode="edge")
    made = converter(ColourTags(matrix=1))
    for plane, expected in zip(planes(made.convert(odd)), planes(made.convert(whole)), strict=True):
        np.testing.assert_array_equal(plane, expected)


def test_the_result_and_its_tags_equal_swscales(monkeypatch):
    tags = ColourTags(matrix=1)
    by_opencv, by_swscale = converter(tags), converter(tags)
    monkeypatch.setattr(by_swscale, "_halves", False)
    for plane, expected in zip(
        planes(by_opencv.convert(noise())), planes(by_swscale.convert(noise())), strict=True
    ):
        assert np.abs(plane.astype(int) - expected).max() <= 1
    frame = by_opencv.convert(noise())
    assert (frame.format.name, frame.colorspace, frame.color_range) == ("yuv420p", 1, LIMITED_RANGE)


def test_a_frame_keeps_its_pixels_when_the_input_is_reused():
    picture = noise()
    frame = converter(ColourTags(matrix=1)).convert(picture)
    before = [plane.copy() for plane in planes(frame)]
    picture[...] = 0
    for plane, expected in zip(planes(frame), before, strict=True):
        np.testing.assert_array_equal(plane, expected)


@pytest.mark.parametrize(
    ("pixel_format", "size", "channels"),
    [("yuv444p", (97, 65), 3), ("yuv420p", (97, 65), 3), ("yuva420p", (96, 64), 4)],
)
def test_other_formats_and_odd_sizes_use_swscale(pixel_format, size, channels):
    width, height = size
    picture = np.full((height, width, channels), 255, np.uint8)
    frame = converter(
        ColourTags(matrix=1), pixel_format=pixel_format, width=width, height=height
    ).convert(picture)
    assert (frame.width, frame.height, frame.format.name) == (width, height, pixel_format)
    assert np.frombuffer(frame.planes[0], np.uint8)[0] == 235


def test_rgb_codecs_get_the_bytes_unchanged():
    frame = converter(ColourTags(), pixel_format="gbrp").convert(noise())
    np.testing.assert_array_equal(frame.to_ndarray(format="rgb24"), noise())
    assert frame.color_range in (0, FULL_RANGE)
