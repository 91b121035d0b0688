"""Damaged and odd media, made by the test: decoded as far as possible, or one line of error."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtseg.errors import RtsegError, SourceError, TruncatedError
from rtseg.frames import Frame
from rtseg.sources.video import VideoSource
from tests.support.clips import MakeClip, convert, frame_times, make_clip, read_frames


def attempt(path: Path) -> tuple[list[Frame], RtsegError | None]:
    """Read as much of a file as possible; any exception that is not ours fails the test."""
    frames: list[Frame] = []
    try:
        with VideoSource(str(path), threads=1) as source:
            frames.extend(item for item in source if isinstance(item, Frame))
    except RtsegError as error:
        ended = error
    else:
        return frames, None
    assert "\n" not in str(ended)
    return frames, ended


def check_frames(frames: list[Frame]) -> None:
    for before, after in pairwise(frames):
        assert after.pts > before.pts
        assert after.image.shape == before.image.shape


@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv", "cut.avi"])
@pytest.mark.parametrize("percent", [10, 30, 50, 70, 90])
def test_a_file_cut_anywhere_is_read(make_clip: MakeClip, name: str, percent: int) -> None:
    options = {"muxer_options": {"movflags": "faststart"}} if name.endswith("mp4") else {}
    path = make_clip(name, ticks=range(50), **options)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * percent // 100])
    frames, error = attempt(path)
    check_frames(frames)
    assert len(frames) < 50
    if not name.endswith("avi"):  # AVI does not state its length
        assert isinstance(error, SourceError)
        assert isinstance(error, TruncatedError) == bool(frames)


def flip_bits(make: Callable[[str], Path], count: int) -> None:
    noise = np.random.default_rng(11)
    originals = {name: make(name).read_bytes() for name in ("a.mp4", "a.mkv", "a.avi", "a.ts")}
    for number in range(count):
        name = list(originals)[number % len(originals)]
        data = np.frombuffer(originals[name], np.uint8).copy()
        places = noise.integers(0, len(data), 1 + number % 30)
        data[places] ^= (1 << noise.integers(0, 8, len(places))).astype(np.uint8)
        path = make(name)
        path.write_bytes(data.tobytes())
        frames, _ = attempt(path)
        assert len(frames) <= 40, number
        check_frames(frames)


def test_flipped_bits_cause_no_crash(make_clip: MakeClip) -> None:
    flip_bits(lambda name: make_clip(name, ticks=range(12)), 24)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_flipped_bits_in_500_files_cause_no_crash(make_clip: MakeClip) -> None:
    flip_bits(lambda name: make_clip(name, ticks=range(12)), 500)


@pytest.mark.parametrize("size", [0, 1, 7, 100, 5000])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".gif"])
def test_random_bytes_are_reported_in_one_line(tmp_path: Path, size: int, suffix: str) -> None:
    path = tmp_path / f"noise{suffix}"
    path.write_bytes(np.random.default_rng(size).bytes(size))
    frames, error = attempt(path)
    assert not frames
    assert isinstance(error, SourceError)


def comb(count: int) -> list[np.ndarray[Any, Any]]:
    """A bar that moves between the two fields of each picture."""
    images = []
    for number in range(count):
        image = np.zeros((96, 128, 3), np.uint8)
        image[0::2, 6 * number : 6 * number + 32] = 255
        image[1::2, 6 * number + 4 : 6 * number + 36] = 255
        images.append(image)
    return images


@pytest.mark.parametrize("name", ["interlaced.mkv", "interlaced.mp4"])
def test_interlaced_video_is_deinterlaced(make_clip: MakeClip, tmp_path: Path, name: str) -> None:
    images = comb(12)
    options = {"preset": "ultrafast", "crf": "5", "x264-params": "tff=1"}
    path = make_clip(name, images=images, ticks=range(12), options=options)
    frames = read_frames(path)
    assert [frame.pts_seconds for frame in frames] == frame_times(path)
    assert {frame.duration for frame in frames} == {frames[1].pts - frames[0].pts}
    for frame, image in zip(frames[1:-1], images[1:-1], strict=True):
        combed, whole = (
            np.abs(np.diff(p[20:70, :, 0].astype(int), axis=0)) for p in (image, frame.image)
        )
        assert whole.mean() < combed.mean() / 4
    out = tmp_path / f"out{path.suffix}"
    convert(path, out)
    assert frame_times(out) == frame_times(path)


def test_progressive_video_is_not_filtered(make_clip: MakeClip) -> None:
    path = make_clip(images=comb(6), ticks=range(6), options={"crf": "1", "preset": "ultrafast"})
    for frame, image in zip(read_frames(path), comb(6), strict=True):
        assert np.abs(frame.image.astype(int) - image).mean() < 3


@pytest.mark.parametrize("size", [(2, 2), (3, 5), (641, 481), (16, 1080)])
def test_odd_sizes_are_kept(make_clip: MakeClip, tmp_path: Path, size: tuple[int, int]) -> None:
    width, height = size
    images = [np.full((height, width, 3), level, np.uint8) for level in (10, 120, 240)]
    path = make_clip("odd.mkv", images=images, ticks=range(3), codec="ffv1", pixel_format="bgr0")
    out = tmp_path / "out.mp4"
    convert(path, out)
    assert len(frame_times(out)) == 3
    assert read_frames(out)[0].image.shape[:2] == (height + height % 2, width + width % 2)


@pytest.mark.slow
def test_8k_video_is_processed(make_clip: MakeClip) -> None:
    image = np.full((4320, 7680, 3), 90, np.uint8)
    frames = read_frames(make_clip("8k.mp4", images=[image] * 2, ticks=range(2)))
    assert frames[1].image.shape == (4320, 7680, 3)


def test_an_edit_list_with_reordered_frames_keeps_times(make_clip: MakeClip) -> None:
    options = {"preset": "ultrafast", "bf": "2", "crf": "12"}
    path = make_clip("b.mp4", ticks=range(30), options=options)
    frames = read_frames(path)
    assert len(frames) == 30
    assert [frame.pts_seconds for frame in frames] == frame_times(path)


@pytest.mark.parametrize("start", [-7, 90])
def test_times_far_from_zero_are_kept(make_clip: MakeClip, start: int) -> None:
    path = make_clip("shifted.mkv", ticks=range(start, start + 10))
    frames = read_frames(path)
    assert len(frames) == 10
    assert frames[-1].pts_seconds - frames[0].pts_seconds == Fraction(9, 25)


@pytest.mark.parametrize("start", [0, 24000])
def test_audio_and_video_do_not_drift(make_clip: MakeClip, tmp_path: Path, start: int) -> None:
    from tests.support.clips import copied_packets

    path = make_clip("sound.mp4", ticks=range(50), audio="aac", audio_start=start)
    out = tmp_path / "out.mp4"
    convert(path, out)
    before, after = copied_packets(path), copied_packets(out)
    assert len(before) == len(after)
    shift = frame_times(out)[0] - frame_times(path)[0]
    for one, other in zip(before, after, strict=True):
        assert abs(other[1] - one[1] - shift) <= Fraction(1, 1000)


@pytest.mark.parametrize("name", ["with space.mp4", "ünïcödé 顔.mp4", "-dash.mp4", "100%d.mp4"])
def test_odd_names_are_read_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / name, ticks=range(3))
    convert(name, f"out {name}")
    assert len(frame_times(tmp_path / f"out {name}")) == 3
