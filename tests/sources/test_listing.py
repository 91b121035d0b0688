"""The content of a folder or a pattern: nothing is skipped without a message."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

import rtseg.sources.still
from rtseg.errors import NoVideoError, SourceError, TruncatedError
from rtseg.frames import Frame
from rtseg.settings import ReadSettings
from rtseg.sources import open_source
from rtseg.sources.listing import find_images, list_files
from rtseg.sources.still import is_animation, read_image, read_size
from tests.support.clips import MakeClip

COLOURS = [(250, 20, 30), (20, 240, 40), (30, 40, 250), (240, 240, 20)]


def still(path: Path, colour: tuple[int, int, int] = COLOURS[0], **how: Any) -> Path:
    Image.new("RGB", (32, 24), colour).save(path, **how)
    return path


def animation(path: Path, durations: list[int], **how: Any) -> Path:
    images = [Image.new("RGB", (32, 24), COLOURS[i % 4]) for i in range(len(durations))]
    images[0].save(path, save_all=True, append_images=images[1:], duration=durations, **how)
    return path


def frames_of(location: object, **settings: Any) -> list[Frame]:
    with open_source(str(location), settings=ReadSettings(**settings)) as source:
        return [item for item in source if isinstance(item, Frame)]


@pytest.mark.parametrize(
    ("suffix", "made_as"),
    [
        (".jfif", "JPEG"), (".jpe", "JPEG"), (".JPG", "JPEG"), (".mpo", "MPO"), (".dib", "DIB"),
        (".jp2", "JPEG2000"), (".j2k", "JPEG2000"), (".gif", "GIF"), (".tga", "TGA"),
        (".pcx", "PCX"), (".sgi", "SGI"), (".ico", "ICO"), (".pnm", "PPM"), (".qoi", "QOI"),
        (".apng", "PNG"), (".avif", "AVIF"),
    ],
)  # fmt: skip
def test_every_kind_of_still_is_read(tmp_path: Path, suffix: str, made_as: str) -> None:
    Image.init()
    if made_as not in Image.SAVE:
        pytest.skip(f"this Pillow writes no {made_as}")
    path = still(tmp_path / f"a{suffix}", format=made_as)
    assert find_images(str(tmp_path)) == (path,)
    (frame,) = frames_of(tmp_path)
    assert frame.image.shape == read_image(path).shape
    assert np.abs(frame.image[10, 10].astype(int) - COLOURS[0]).max() < 40


def test_heic_through_pillow_heif(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    path = tmp_path / "IMG_1.HEIC"
    picture = heif.from_pillow(Image.new("RGB", (64, 48), COLOURS[0]))
    picture.save(path, quality=90)
    assert read_size(path) == (64, 48)
    (frame,) = frames_of(tmp_path)
    assert np.abs(frame.image[10, 10].astype(int) - COLOURS[0]).max() < 12


def heic_by_its_mark(path: Path) -> Path:
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    return path


def test_heic_without_pillow_heif_is_not_reported_as_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rtseg.sources.still, "_has_heif", lambda: False)
    formats = [name for name in rtseg.sources.still._FORMATS if name != "HEIF"]
    monkeypatch.setattr(rtseg.sources.still, "_FORMATS", tuple(formats))
    path = heic_by_its_mark(tmp_path / "IMG_1.HEIC")
    with pytest.raises(SourceError, match=r"needs pillow-heif: pip install 'rtseg\[heif\]'"):
        read_image(path)
    with pytest.raises(NoVideoError, match=r"IMG_1.HEIC: HEIC needs pillow-heif"):
        open_source(str(tmp_path))
    for number in range(3):
        still(tmp_path / f"{number}.png")
    with open_source(str(tmp_path)) as source:
        frames = []
        with pytest.raises(TruncatedError, match=r"1 picture is left out: IMG_1.HEIC.* 3 of 4"):
            frames.extend(source)
    assert len(frames) == 3


@pytest.mark.parametrize("name", ["a.cr2", "b.NEF", "c.jxl", "d.svg", "e.exr"])
def test_unsupported_pictures_are_named(tmp_path: Path, name: str) -> None:
    still(tmp_path / "1.png")
    (tmp_path / name).write_bytes(b"whatever")
    (left_out,) = list_files(str(tmp_path)).left_out
    assert left_out.path.name == name
    with (
        open_source(str(tmp_path)) as source,
        pytest.raises(TruncatedError, match=f"{name}: .* cannot be read; convert it"),
    ):
        list(source)


@pytest.mark.parametrize("name", ["IMG_0001", "photo.jpg_large", "scan.backup", "x.bin"])
@pytest.mark.parametrize("made_as", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_picture_with_a_wrong_suffix_is_recognised(
    tmp_path: Path, name: str, made_as: str
) -> None:
    still(tmp_path / "1.png")
    still(tmp_path / name, format=made_as)
    (left_out,) = list_files(str(tmp_path)).left_out
    assert left_out.path.name == name
    assert "not by its name" in left_out.reason
    # A pattern includes it explicitly.
    assert len(find_images(f"{tmp_path}/*")) == 2


def test_other_files_are_listed_separately(tmp_path: Path) -> None:
    still(tmp_path / "1.png")
    for name in ("notes.txt", "Thumbs.db", "1.json", "1.xmp", ".hidden.png", "empty"):
        (tmp_path / name).write_bytes(b"text" if name != "empty" else b"")
    (tmp_path / "deeper").mkdir()
    listing = list_files(str(tmp_path))
    assert [path.name for path in listing.pictures] == ["1.png"]
    assert not listing.left_out
    assert {path.name for path in listing.others} == {
        "notes.txt", "Thumbs.db", "1.json", "1.xmp", "empty"
    }  # fmt: skip
    assert len(frames_of(tmp_path)) == 1


def test_a_part_file_of_a_killed_run_is_not_a_picture(tmp_path: Path) -> None:
    still(tmp_path / "1.png")
    (tmp_path / "2.png.0123abcd.part").write_bytes(b"\x89PNG\r\n half")
    assert [path.name for path in find_images(str(tmp_path))] == ["1.png"]


@pytest.mark.parametrize("name", ["5².png", "a¹.png", "٣.png", "10.png"])
def test_digits_of_every_script_are_sorted(tmp_path: Path, name: str) -> None:
    still(tmp_path / name)
    still(tmp_path / "2.png")
    assert len(find_images(str(tmp_path))) == 2


# --- animations ---

DURATIONS = [100, 40, 50, 200, 110]


def has_avif() -> bool:
    return bool(features.check("avif"))


@pytest.mark.parametrize("suffix", [".webp", ".png", ".gif", ".avif", ".apng"])
def test_an_animation_is_a_video(tmp_path: Path, suffix: str) -> None:
    if suffix == ".avif" and not has_avif():
        pytest.skip("this Pillow writes no AVIF")
    how = {"lossless": True} if suffix == ".webp" else {}
    how |= {"format": "PNG"} if suffix == ".apng" else {}
    path = animation(tmp_path / f"a{suffix}", DURATIONS, **how)
    assert is_animation(path)
    frames = frames_of(path)
    assert [frame.pts_seconds for frame in frames] == [
        Fraction(sum(DURATIONS[:i]), 1000) for i in range(5)
    ]
    for frame, colour in zip(frames, [*COLOURS, COLOURS[0]], strict=True):
        assert np.abs(frame.image[10, 10].astype(int) - colour).max() < 30
    assert frames[-1].duration is not None
    assert frames[-1].duration * frames[-1].time_base == Fraction(110, 1000)


@pytest.mark.parametrize("suffix", [".webp", ".png", ".gif"])
def test_a_part_of_an_animation_can_be_selected(tmp_path: Path, suffix: str) -> None:
    path = animation(tmp_path / f"a{suffix}", [40] * 20)
    frames = frames_of(path, start=0.2, end=0.4)
    assert [frame.pts_seconds for frame in frames] == [Fraction(i, 25) for i in range(5)]


@pytest.mark.parametrize("suffix", [".webp", ".avif"])
def test_an_empty_part_of_an_animation_is_refused(tmp_path: Path, suffix: str) -> None:
    if suffix == ".avif" and not has_avif():
        pytest.skip("this Pillow writes no AVIF")
    with pytest.raises(NoVideoError, match="no frame is in the requested part"):
        frames_of(animation(tmp_path / f"a{suffix}", [40] * 3), start=5.0)


def test_a_frame_without_a_duration_lasts_as_long_as_in_browsers(tmp_path: Path) -> None:
    frames = frames_of(animation(tmp_path / "a.webp", [0, 0, 40], lossless=True))
    assert [frame.pts for frame in frames] == [0, 100, 200]


def test_a_truncated_animation_is_reported(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    images = [Image.fromarray(noise.integers(0, 255, (48, 64, 3), np.uint8)) for _ in range(12)]
    path = tmp_path / "a.webp"
    images[0].save(path, save_all=True, append_images=images[1:], duration=40, lossless=True)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames = []
    with pytest.raises(SourceError), open_source(str(path)) as source:
        frames.extend(source)
    assert len(frames) < 12


def test_stills_with_several_pictures_inside_are_stills(tmp_path: Path) -> None:
    """Pages, layers, sizes and thumbnails are not animations."""
    pages = [Image.new("RGB", (32, 24), colour) for colour in COLOURS]
    for name in ("a.tiff", "b.mpo"):
        pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:])
        assert not is_animation(tmp_path / name)
    animation(tmp_path / "c.png", [40])
    animation(tmp_path / "d.gif", [40])
    assert len(frames_of(tmp_path)) == 4


# --- folders of videos ---


def test_stills_and_videos_are_not_mixed(make_clip: MakeClip, tmp_path: Path) -> None:
    still(tmp_path / "a.png")
    make_clip("b.mp4")
    for location in (str(tmp_path), f"{tmp_path}/*"):
        with pytest.raises(SourceError, match=r"both stills \(a.png\) and videos \(b.mp4\)"):
            open_source(location)
    assert len(frames_of(f"{tmp_path}/*.png")) == 1


def test_an_animation_among_stills_is_a_video(tmp_path: Path) -> None:
    still(tmp_path / "a.png")
    animation(tmp_path / "b.webp", [40, 40])
    with pytest.raises(SourceError, match=r"videos \(b.webp\)"):
        open_source(str(tmp_path))


def test_a_folder_of_videos_is_reported_as_such(make_clip: MakeClip, tmp_path: Path) -> None:
    make_clip("b.mp4")
    with pytest.raises(NoVideoError, match="it holds videos: b"):
        open_source(str(tmp_path))
