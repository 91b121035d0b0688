"""Cameras without a camera: a clip played as a device, and devices that misbehave."""

from __future__ import annotations

import os
import sys
import threading
import time
from itertools import pairwise
from multiprocessing import shared_memory
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtseg.errors import SourceError
from rtseg.settings import CameraSettings
from rtseg.sources.camera import CameraSource, list_cameras
from tests.support.devices import (
    HEIGHT,
    WIDTH,
    crashes,
    fast,
    grows,
    hangs_at_once,
    hangs_in_release,
    hangs_later,
    hangs_while_opening,
    is_buggy,
    is_dark,
    is_unplugged,
    refuses,
    steady,
)


@pytest.fixture
def short_grace(monkeypatch):
    monkeypatch.setattr("rtseg.sources.camera._GRACE_SECONDS", 0.1)


def open_source(capture, *, timeout_seconds=20.0, silence_seconds=None, flip=False):
    return CameraSource(
        0,
        settings=CameraSettings(flip=flip),
        timeout_seconds=timeout_seconds,
        silence_seconds=silence_seconds,
        capture=capture,
    )


@pytest.fixture(autouse=True)
def nothing_is_left_behind():
    before = set(children())
    yield
    end = time.monotonic() + 5
    while set(children()) - before and time.monotonic() < end:
        time.sleep(0.05)
    assert not set(children()) - before


def children():
    """The camera processes started by this process (Linux)."""
    pids = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = status.read_text().rsplit(")", 1)[1].split()
            command = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(words[1]) == os.getpid() and words[0] != "Z" and b"spawn_main" in command:
            pids.append(int(status.parent.name))
    return pids


def test_a_file_opened_as_a_device_gives_rgb_frames(tmp_path):
    path = str(tmp_path / "device.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), 20, (WIDTH, HEIGHT))
    for _ in range(40):
        writer.write(np.full((HEIGHT, WIDTH, 3), (20, 60, 240), np.uint8))
    writer.release()
    with CameraSource(path, settings=CameraSettings()) as source:
        assert (source.info.width, source.info.height) == (WIDTH, HEIGHT)
        assert source.info.is_live
        assert source.negotiated.describe() == (
            f"{path}: asked for 1280x720 at 30 fps MJPG, got 64x48 at 20 fps MJPG"
        )
        frames = iter(source)
        frame = next(frames)
        assert np.abs(frame.image.astype(int) - (240, 60, 20)).max() < 12
        with pytest.raises(SourceError, match="stopped delivering pictures"):
            list(frames)


def test_an_exactly_fulfilled_request_needs_no_comparison():
    source = CameraSource(
        0,
        settings=CameraSettings(width=WIDTH, height=HEIGHT, fps=50.0, fourcc="FAKE"),
        capture=steady,
    )
    source.close()
    assert source.negotiated.describe() == "camera 0: 64x48 at 50 fps FAKE, as requested"


@pytest.mark.parametrize("flip", [False, True])
def test_frames_arrive_in_order_with_increasing_times(flip):
    with open_source(steady, flip=flip) as source:
        frames = [frame for frame, _ in zip(source, range(12), strict=False)]
    red = [bool(frame.image[0, 0, 0]) for frame in frames]
    assert red == [not flip] * 12
    for before, after in pairwise(frames):
        assert after.index > before.index
        assert after.pts > before.pts
        assert after.captured_ns > before.captured_ns
        elapsed = (after.captured_ns - before.captured_ns) / 1e9
        assert float(after.pts_seconds - before.pts_seconds) == pytest.approx(elapsed, abs=1e-4)
    assert all(frame.image[0, 0, 2] == frame.index % 256 for frame in frames)
    assert abs(frames[-1].captured_ns - time.monotonic_ns()) < 60e9, "not this clock"


def test_the_newest_frame_wins():
    with open_source(steady) as source:
        frames = iter(source)
        first = next(frames)
        time.sleep(0.5)
        late = next(frames)
        age_seconds = (time.monotonic_ns() - late.captured_ns) / 1e9
        assert late.index > first.index + 10
        assert age_seconds < 0.5


def test_frames_are_never_torn():
    """A device far faster than its reader: each frame is from a single moment."""
    with open_source(fast) as source:
        for frame, _ in zip(source, range(200), strict=False):
            assert (frame.image[..., 2] == frame.index % 256).all()


@pytest.mark.parametrize(
    ("capture", "says"),
    [
        (is_unplugged, "stopped delivering pictures"),
        (crashes, "exit code 3"),
        (grows, "changed its picture from 64x48 to 64x96"),
    ],
)
def test_a_camera_that_vanishes_is_an_error_after_its_frames(capture, says):
    with open_source(capture) as source:
        frames = iter(source)
        next(frames)
        with pytest.raises(SourceError, match=says):
            list(frames)


@pytest.mark.parametrize("capture", [hangs_at_once, hangs_while_opening])
def test_a_camera_that_never_opens_is_an_error_in_time(capture, short_grace):
    start = time.monotonic()
    with pytest.raises(SourceError, match=r"no picture within 1 s"):
        open_source(capture, timeout_seconds=1.0)
    assert time.monotonic() - start < 6


def test_a_camera_that_hangs_is_an_error_in_time(short_grace):
    source = open_source(hangs_later, silence_seconds=0.5)
    start = time.monotonic()
    with source, pytest.raises(SourceError, match=r"no new picture for 0\.5 s"):
        list(source)
    assert time.monotonic() - start < 6


def test_a_bug_in_the_child_keeps_its_traceback():
    with open_source(is_buggy) as source, pytest.raises(RuntimeError, match="nobody foresaw this"):
        list(source)


@pytest.mark.parametrize(
    ("capture", "says"), [(refuses, "is somebody else's"), (is_dark, "delivers no picture")]
)
def test_an_unusable_camera_gives_the_reason_and_the_alternatives(capture, says):
    with pytest.raises(SourceError, match=says) as caught:
        open_source(capture)
    message = str(caught.value)
    assert message.startswith("camera 0: ")
    assert "\n" not in message
    cameras = list_cameras()
    assert all(camera in message for camera in cameras)
    assert cameras or "no camera is connected" in message


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/dev/video is Linux's")
def test_a_missing_camera_is_one_line():
    with pytest.raises(SourceError, match="there is no such camera"):
        CameraSource(63, settings=CameraSettings())


def test_closing_from_another_thread_ends_the_iteration_quickly(short_grace):
    source = open_source(hangs_later)
    frames = iter(source)
    next(frames)  # however long the child process takes to start on a busy machine
    closer = threading.Timer(0.2, source.close)
    closer.start()
    start = time.monotonic()
    for _ in frames:
        pass
    closer.join()
    assert time.monotonic() - start < 5


def test_a_device_that_does_not_close_is_killed(short_grace):
    source = open_source(hangs_in_release)
    next(iter(source))
    start = time.monotonic()
    source.close()
    source.close()
    assert time.monotonic() - start < 4


def test_the_shared_memory_is_released():
    source = open_source(steady)
    name = source._child._memory.name
    source.close()
    with pytest.raises(FileNotFoundError):
        shared_memory.SharedMemory(name)
