"""Still pictures: which files, in which order, and their pixels."""

from __future__ import annotations

import os
import struct
import tracemalloc
import zlib
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from rtseg.errors import NoVideoError, SourceError
from rtseg.geometry.fit import letterboxed
from rtseg.settings import ReadSettings
from rtseg.sources.images import (
    MOST_PIXELS,
    ImagesSource,
    find_images,
    read_image,
    read_size,
)

RED, GREEN = (250, 10, 30), (20, 240, 60)


def write(path, colour=RED, *, size=(8, 6), **how):
    Image.new("RGB", size, colour).save(path, **how)
    return path


def frames_of(location, **settings):
    with ImagesSource(str(location), settings=ReadSettings(**settings)) as source:
        return source.info, list(source)


def names(paths):
    return [path.name for path in paths]


def test_a_folder_plays_in_natural_order(tmp_path):
    for i, name in enumerate(("a10.png", "a2.png", "a1.jpg", "b.PNG", "B0.png")):
        write(tmp_path / name, (40 * i, 0, 0))
    write(tmp_path / ".hidden.png")
    (tmp_path / "note.txt").write_text("no picture")
    (tmp_path / "deeper.png").mkdir()
    assert names(find_images(str(tmp_path))) == ["a1.jpg", "a2.png", "a10.png", "B0.png", "b.PNG"]


def test_frames_are_rgb_at_25_a_second(tmp_path):
    for i in range(3):
        write(tmp_path / f"{i}.png", (250, 100 * i, 3))
    info, frames = frames_of(tmp_path)
    assert (info.width, info.height, info.frame_count) == (8, 6, 3)
    assert info.frame_rate == 25
    assert not info.is_live
    assert [frame.pts_seconds for frame in frames] == [Fraction(i, 25) for i in range(3)]
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert not any(frame.discontinuity for frame in frames)
    for i, frame in enumerate(frames):
        assert (frame.image == (250, 100 * i, 3)).all()


def test_a_printf_pattern_may_start_at_any_number(tmp_path):
    for name in ("f007.png", "f008.png", "f010.png", "f.png", "g007.png"):
        write(tmp_path / name)
    assert names(find_images(str(tmp_path / "f%03d.png"))) == ["f007.png", "f008.png", "f010.png"]


def test_a_glob_is_expanded_unless_a_file_has_that_name(tmp_path):
    for name in ("x1.png", "x2.png", "y[1].png", "y1.png"):
        write(tmp_path / name)
    assert names(find_images(str(tmp_path / "x*.png"))) == ["x1.png", "x2.png"]
    assert names(find_images(str(tmp_path / "y[1].png"))) == ["y[1].png"]


def test_start_and_end_select_and_time_begins_at_zero(tmp_path):
    for i in range(50):
        write(tmp_path / f"{i}.png", (i, 0, 0))
    info, frames = frames_of(tmp_path, start=0.4, end=1.2)
    assert info.frame_count == 20
    assert [frame.image[0, 0, 0] for frame in frames] == list(range(10, 30))
    assert frames[0].pts == 0
    with pytest.raises(NoVideoError, match="`start`"):
        frames_of(tmp_path, start=2.0)


def test_a_single_still_is_one_frame(tmp_path):
    _, frames = frames_of(write(tmp_path / "one.jpg", size=(40, 30)))
    assert len(frames) == 1


@pytest.mark.parametrize("name", ["nothing", "nothing.png", "no/such/%d.png", "*.png", ""])
def test_an_empty_place_is_reported_in_one_line(tmp_path, name):
    with pytest.raises(SourceError) as caught:
        frames_of(tmp_path / name)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_size_is_fitted_into_the_first_and_marked(tmp_path):
    write(tmp_path / "0.png", RED, size=(80, 40))
    write(tmp_path / "1.png", GREEN, size=(40, 40))
    write(tmp_path / "2.png", GREEN, size=(20, 20))
    write(tmp_path / "3.png", RED, size=(80, 40))
    _, frames = frames_of(tmp_path)
    assert [frame.image.shape for frame in frames] == [(40, 80, 3)] * 4
    assert [frame.discontinuity for frame in frames] == [False, True, True, True]
    for frame in frames[1:3]:
        assert (frame.image[:, 22:58] == GREEN).all()
        assert not frame.image[:, :20].any()
        assert not frame.image[:, 60:].any()


def test_letterboxing_keeps_proportions_and_centres():
    tall = letterboxed(np.full((100, 10, 3), 255, np.uint8), 50, 50)
    rows, columns = np.nonzero(tall[..., 0])
    assert (rows.min(), rows.max()) == (0, 49)
    assert (columns.min(), columns.max()) == (22, 26)
    assert letterboxed(np.full((1, 4000, 3), 255, np.uint8), 10, 10).shape == (10, 10, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(tmp_path, orientation):
    upright = np.zeros((4, 6, 3), np.uint8)
    upright[0, :3] = 255  # top left
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.swapaxes(0, 1), 6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).swapaxes(0, 1), 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    picture = Image.fromarray(np.ascontiguousarray(stored))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.png"
    picture.save(path, exif=exif)
    assert np.array_equal(read_image(path), upright)
    assert read_size(path) == (6, 4)
    info, frames = frames_of(path)
    assert (info.height, info.width) == frames[0].image.shape[:2]


def test_grey_16_bit_palette_and_cmyk_become_rgb(tmp_path):
    grey = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(grey.astype(np.uint16) << 8 | 77).save(tmp_path / "grey16.png")
    write_png16(tmp_path / "rgb16.png", np.dstack([grey, grey // 2, grey // 3]))
    palette = Image.fromarray(np.tile(np.uint8([[0, 1]]), (6, 4)), "P")
    palette.putpalette([*RED, *GREEN])
    palette.save(tmp_path / "palette.png")
    Image.fromarray(grey > 100).save(tmp_path / "bits.png")
    Image.new("CMYK", (8, 6), (0, 255, 255, 0)).save(tmp_path / "cmyk.jpg")
    assert np.array_equal(read_image(tmp_path / "grey.png"), np.dstack([grey] * 3))
    assert np.array_equal(read_image(tmp_path / "grey16.png"), np.dstack([grey] * 3))
    expected = np.dstack([grey, grey // 2, grey // 3])
    assert np.array_equal(read_image(tmp_path / "rgb16.png"), expected)
    assert (read_image(tmp_path / "palette.png")[:, 0] == RED).all()
    assert (read_image(tmp_path / "palette.png")[:, 1] == GREEN).all()
    assert np.array_equal(read_image(tmp_path / "bits.png")[..., 0] > 0, grey > 100)
    cyanless = read_image(tmp_path / "cmyk.jpg")[3, 3].astype(int)
    assert cyanless[0] > 200
    assert cyanless[1] < 60


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour_type, pixels):
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def write_png16(path, rgb):
    wide = (rgb.astype(np.uint16) << 8 | 200).astype(">u2")
    path.write_bytes(
        png(rgb.shape[1], rgb.shape[0], 16, 2, b"".join(b"\0" + row.tobytes() for row in wide))
    )


def test_transparency_is_blended_on_white(tmp_path):
    shown = np.zeros((6, 8, 4), np.uint8)
    shown[:, :2] = (*RED, 255)
    shown[:, 2:4] = (0, 0, 0, 128)
    Image.fromarray(shown).save(tmp_path / "clear.png")
    read = read_image(tmp_path / "clear.png")
    assert (read[:, :2] == RED).all()
    assert np.abs(read[:, 2:4].astype(int) - 127).max() <= 1
    assert (read[:, 4:] == 255).all()
    keyed = Image.fromarray(np.tile(np.uint8([[0, 1]]), (6, 4)), "P")
    keyed.putpalette([*RED, *GREEN])
    keyed.save(tmp_path / "keyed.png", transparency=1)
    assert (read_image(tmp_path / "keyed.png")[:, 1] == 255).all()
    assert (read_image(tmp_path / "keyed.png")[:, 0] == RED).all()


@pytest.mark.parametrize("side", [16_000, 65_500])
def test_a_huge_picture_is_refused_before_memory_is_allocated(tmp_path, side):
    """65,500 squared is 4.3 gigapixels: 13 GB as RGB."""
    path = tmp_path / "huge.png"
    path.write_bytes(png(side, side, 8, 2, b""))
    assert side * side > MOST_PIXELS
    tracemalloc.start()
    try:
        with pytest.raises(SourceError, match=r"huge\.png.*134 million pixels"):
            frames_of(path)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 20_000_000


@pytest.mark.parametrize(
    "content", [b"", b"not a picture at all", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"]
)
def test_a_file_that_is_no_picture_is_named(tmp_path, content):
    path = tmp_path / "odd.png"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"odd\.png"):
        frames_of(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_truncated_picture_is_reported_after_those_before_it(tmp_path, suffix):
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    for i in range(2):
        Image.fromarray(noise).save(tmp_path / f"{i}{suffix}")
    whole = (tmp_path / f"1{suffix}").read_bytes()
    (tmp_path / f"1{suffix}").write_bytes(whole[: len(whole) // 2])
    with ImagesSource(str(tmp_path), settings=ReadSettings()) as source:
        frames = iter(source)
        next(frames)
        with pytest.raises(SourceError, match=rf"1\{suffix}"):
            next(frames)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(SourceError):
        read_image(tmp_path / "pipe.png")


def test_closing_ends_the_iteration(tmp_path):
    for i in range(5):
        write(tmp_path / f"{i}.png")
    source = ImagesSource(str(tmp_path), settings=ReadSettings())
    frames = iter(source)
    next(frames)
    source.close()
    source.close()
    assert list(frames) == []
