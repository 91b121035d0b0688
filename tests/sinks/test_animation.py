"""GIF and WebP outputs: times, colours, transparency, and their limits."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rtseg.errors import OutputExistsError, SettingError, SinkError
from rtseg.frames import Frame
from rtseg.media.info import SourceInfo
from rtseg.settings import EncodeSettings
from rtseg.sinks import Sink, open_sink
from rtseg.sinks.base import Outcome
from rtseg.sinks.images import ImagesSink
from tests.support.clips import NO_LABELS, parts_of

SUFFIXES = [".gif", ".webp"]
INFO = SourceInfo(name="t", width=64, height=48, time_base=Fraction(1, 600))


def coloured(number: int, *, alpha: bool = False) -> np.ndarray:
    """A plain colour with a moving square; with `alpha` only the square is visible."""
    image = np.zeros((48, 64, 4), np.uint8)
    image[..., :3] = (30 + 20 * (number % 8), 60, 200 - 20 * (number % 8))
    image[..., 3] = 0 if alpha else 255
    image[10:26, 4 * number : 4 * number + 16] = (250, 240, 20, 255)
    return image if alpha else np.ascontiguousarray(image[..., :3])


def write(
    path: Path,
    ticks: Sequence[int],
    *,
    alpha: bool = False,
    outcome: Outcome = "finished",
    overwrite: bool = False,
) -> Sink:
    sink = open_sink(str(path), settings=EncodeSettings(overwrite=overwrite))
    sink.open(INFO, width=64, height=48)
    for index, tick in enumerate(ticks):
        frame = Frame(
            image=coloured(0), index=index, pts=tick, time_base=INFO.time_base, duration=24
        )
        sink.write(frame, NO_LABELS, coloured(index, alpha=alpha))
    sink.close(outcome)
    return sink


def read(path: Path) -> tuple[list[float], list[np.ndarray]]:
    """(duration of each frame in milliseconds, RGBA pictures)."""
    durations, images = [], []
    with Image.open(path) as picture:
        for number in range(getattr(picture, "n_frames", 1)):
            picture.seek(number)
            picture.load()
            durations.append(float(picture.info["duration"]))
            images.append(np.asarray(picture.convert("RGBA")))
    return durations, images


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_times_and_colours_are_kept(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    write(path, [300, 324, 348, 420, 444, 504])  # begins late, at a variable rate
    durations, images = read(path)
    assert durations[:5] == [40, 40, 120, 40, 100]
    assert durations[5] > 0
    assert len(images) == 6
    for number, image in enumerate(images):
        expected = coloured(number).astype(int)
        assert np.abs(image[..., :3].astype(int) - expected).mean() < 6
        assert np.abs(image[40, 5, :3].astype(int) - expected[40, 5]).max() < 20
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    with Image.open(path) as picture:
        assert picture.info.get("loop") == 0


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_transparency_follows_the_picture(tmp_path: Path, suffix: str) -> None:
    """The frame before must not show through."""
    path = tmp_path / f"out{suffix}"
    write(path, range(0, 240, 24), alpha=True)
    _, images = read(path)
    assert len(images) == 10
    for number, image in enumerate(images):
        expected = coloured(number, alpha=True)
        assert ((image[..., 3] > 128) != (expected[..., 3] > 128)).mean() < 0.01, number
        inside = image[12:24, 4 * number + 2 : 4 * number + 14, :3].astype(int)
        assert np.abs(inside - (250, 240, 20)).mean() < 12


def test_a_gif_shows_fifty_frames_a_second(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "rtseg")
    logging.getLogger("rtseg").propagate = True
    path = tmp_path / "out.gif"
    write(path, range(0, 600, 5))  # 120 per second
    durations, images = read(path)
    assert len(images) == 50
    assert set(durations[:-1]) == {20.0}
    assert "dropped 70 of 120 frames: .gif shows at most 50 frames per second" in caplog.text


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_existing_files_are_kept(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    path.write_bytes(b"mine")
    sink = open_sink(str(path))
    with pytest.raises(OutputExistsError):
        sink.open(INFO, width=64, height=48)
    sink.close("failed")
    assert path.read_bytes() == b"mine"
    write(path, [0, 24], overwrite=True)
    assert len(read(path)[1]) == 2


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failed_run_keeps_its_frames(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    write(path, [0, 24, 48], outcome="failed")
    (part,) = parts_of(path)
    assert len(read(part)[1]) == 3
    write(tmp_path / f"none{suffix}", [], outcome="failed")
    write(tmp_path / f"nothing{suffix}", [])
    assert list(tmp_path.iterdir()) == [part]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_options_without_effect_are_refused(tmp_path: Path, suffix: str) -> None:
    for settings in (
        EncodeSettings(crf=20), EncodeSettings(preset="fast"), EncodeSettings(codec="vp9")
    ):  # fmt: skip
        with pytest.raises(SettingError, match="omit it"):
            open_sink(str(tmp_path / f"out{suffix}"), settings=settings)


def test_a_picture_that_is_too_large_is_refused(tmp_path: Path) -> None:
    sink = open_sink(str(tmp_path / "out.webp"))
    with pytest.raises(SinkError, match="allowed: 16383 pixels a side"):
        sink.open(INFO, width=20000, height=10)
    sink.close("failed")
    assert not list(tmp_path.iterdir())


def test_numbered_pictures_stay_pictures(tmp_path: Path) -> None:
    assert isinstance(open_sink(str(tmp_path / "%06d.webp")), ImagesSink)
