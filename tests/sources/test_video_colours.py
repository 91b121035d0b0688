"""Colours, rotation and sizes of pictures are read as the file means them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from rtseg.frames import Frame
from rtseg.sources.video import VideoSource
from tests.sources.read import times_of
from tests.support.clips import MakeClip, read_frames

PATCHES = np.array(
    [
        [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)],
        [(0, 0, 0), (200, 160, 130), (90, 40, 60), (30, 200, 220)],
    ],
    np.uint8,
)


def patches(size: int = 16) -> np.ndarray:
    return np.kron(PATCHES, np.ones((size, size, 1), np.uint8))


def assert_patches(image: np.ndarray, *, tolerance: int = 4) -> None:
    size = image.shape[0] // 2
    centres = image[size // 2 :: size, size // 2 :: size]
    assert np.abs(centres.astype(int) - PATCHES).max() <= tolerance, centres.tolist()


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p", "yuv420p10le"])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    ("tag", "matrix"), [(1, "bt709"), (5, "bt601"), (6, "bt601"), (9, "bt2020nc"), (2, "bt601")]
)
def test_colours_follow_matrix_and_range(
    make_clip: MakeClip, tag: int, matrix: str, full: bool, pixel_format: str
) -> None:
    path = make_clip(
        "colours.mkv",
        ticks=[0, 1],
        raw=[in_yuv(patches(), matrix, full=full, pixel_format=pixel_format) for _ in range(2)],
        codec="ffv1",
        pixel_format=pixel_format,
        stream={"colorspace": tag, "color_range": 2 if full else 1},
    )
    with VideoSource(str(path), threads=1) as source:
        assert source.info.colour.matrix == tag
        assert source.info.colour.full_range is full
        frames = [item for item in source if isinstance(item, Frame)]
    assert_patches(frames[1].image)


def test_an_untagged_large_video_is_bt709(make_clip: MakeClip) -> None:
    large = patches(360)
    path = make_clip(
        "large.mkv",
        ticks=[0],
        raw=[in_yuv(large, "bt709", full=False, pixel_format="yuv420p")],
        codec="libx264",
        stream={"colorspace": 2},
    )
    assert_patches(read_frames(path)[0].image)


def in_yuv(
    image: np.ndarray, matrix: str, *, full: bool, pixel_format: str = "yuv420p"
) -> av.VideoFrame:
    """RGB in YUV by the definition of BT.601, BT.709 and BT.2020, not by the code under test."""
    red, blue = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020nc": (0.2627, 0.0593)}[
        matrix
    ]
    r, g, b = (image[..., i] / 255 for i in range(3))
    luma = red * r + (1 - red - blue) * g + blue * b
    chroma = (b - luma) / (2 - 2 * blue), (r - luma) / (2 - 2 * red)
    bits = 10 if "10" in pixel_format else 8
    unit = 1 << (bits - 8)
    top = (1 << bits) - 1
    planes = [luma * top if full else (16 + 219 * luma) * unit]
    planes += [128 * unit + part * (top if full else 224 * unit) for part in chroma]
    if "420" in pixel_format:
        planes = [planes[0], *(plane[::2, ::2] for plane in planes[1:])]
    height, width = image.shape[:2]
    frame = av.VideoFrame(width, height, pixel_format)
    dtype = "<u2" if bits > 8 else "u1"
    for plane, values in zip(frame.planes, planes, strict=True):
        rows = np.clip(np.rint(values), 0, top).astype(dtype)
        padded = np.zeros((rows.shape[0], plane.line_size // rows.itemsize), dtype)
        padded[:, : rows.shape[1]] = rows
        plane.update(padded.tobytes())
    return frame


@pytest.mark.parametrize(
    ("degrees", "hflip", "upright"),
    [
        (0, False, lambda image: image),
        (-90, False, lambda image: np.rot90(image, -1)),
        (90, False, lambda image: np.rot90(image, 1)),
        (180, False, lambda image: np.rot90(image, 2)),
        (0, True, lambda image: image[:, ::-1]),
    ],
)
def test_rotation_is_applied_once(
    make_clip: MakeClip, degrees: int, hflip: bool, upright: object
) -> None:
    images = [patches()] * 3
    path = make_clip(
        "turned.mp4",
        ticks=[0, 1, 2],
        images=images,
        rotation=degrees,
        hflip=hflip,
        options={"qp": "1"},
        stream={"sample_aspect_ratio": Fraction(4, 3)},
    )
    wanted = upright(patches())  # type: ignore[operator]
    with VideoSource(str(path), threads=1) as source:
        frames = [item for item in source if isinstance(item, Frame)]
        assert (source.info.height, source.info.width) == wanted.shape[:2]
        turned = degrees in (90, -90)
        assert source.info.sample_aspect_ratio == (Fraction(3, 4) if turned else Fraction(4, 3))
    centres = frames[2].image[8::16, 8::16].astype(int)
    assert np.abs(centres - wanted[8::16, 8::16]).max() < 10


def test_odd_sizes_and_a_single_pixel_are_read(make_clip: MakeClip) -> None:
    for width, height in ((65, 49), (1, 1), (2, 2), (3, 200)):
        path = make_clip("odd.mkv", width=width, height=height, codec="ffv1", pixel_format="bgr0")
        frames = read_frames(path)
        assert len(frames) == 12
        assert frames[0].image.shape == (height, width, 3)


def test_a_palette_gif_is_read(make_clip: MakeClip) -> None:
    ticks = [0, 8, 17, 40]
    path = make_clip(
        "p.gif", ticks=ticks, time_base=Fraction(1, 100), codec="gif", pixel_format="rgb8"
    )
    frames = read_frames(path)
    assert times_of(frames) == [Fraction(tick, 100) for tick in ticks]
    assert frames[3].image[20, 16].min() > 200


def test_a_change_of_size_is_letterboxed_and_marked(make_clip: MakeClip, tmp_path: Path) -> None:
    small = make_clip("small.ts", width=64, height=48, codec="mpeg2video")
    wide = make_clip("wide.ts", width=96, height=32, codec="mpeg2video")
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + wide.read_bytes())
    frames = read_frames(both)
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}
    changes = [frame.index for frame in frames if frame.discontinuity]
    assert len(changes) == 1
    after = frames[changes[0]].image
    assert after[:10].max() == 0
    assert after[24].mean() > 20


def test_vp9_with_alpha_is_read_as_rgb(make_clip: MakeClip) -> None:
    path = make_clip("alpha.webm", codec="libvpx-vp9", pixel_format="yuva420p", ticks=[0, 1, 2])
    assert [frame.image.shape for frame in read_frames(path)] == [(48, 64, 3)] * 3
