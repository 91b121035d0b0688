"""Cameras, without one: a clip played as if it were a device, and devices that misbehave.

The functions at the top run in the source's child process.
"""

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
from rtseg.sources.capture import CaptureError

WIDTH, HEIGHT = 64, 48


class FakeDevice:
    """Gives pictures by the clock: blue says which, and the left half is red. Then misbehaves."""

    fps, fourcc = 50.0, "FAKE"

    def __init__(self, *, good=10**9, then="end", interval=0.02):
        self._good, self._then, self._interval = good, then, interval
        self._count = 0

    def read(self):
        time.sleep(self._interval)
        index, self._count = self._count, self._count + 1
        if index >= self._good:
            if self._then == "hang":
                time.sleep(600)
            if self._then == "crash":
                os._exit(3)
            if self._then == "raise":
                raise ZeroDivisionError("nobody foresaw this")
            if self._then == "grow":
                return True, np.zeros((2 * HEIGHT, WIDTH, 3), np.uint8)
            return False, None
        picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        picture[:, : WIDTH // 2, 2] = 200  # BGR
        picture[..., 0] = index % 256
        return True, picture

    def release(self):
        if self._then == "hang in release":
            time.sleep(600)


def steady(device, settings):
    return FakeDevice()


def fast(device, settings):
    return FakeDevice(interval=0.0)


def hangs_at_once(device, settings):
    return FakeDevice(good=0, then="hang")


def hangs_while_opening(device, settings):
    time.sleep(600)


def hangs_later(device, settings):
    return FakeDevice(good=4, then="hang")


def hangs_in_release(device, settings):
    return FakeDevice(then="hang in release")


def is_unplugged(device, settings):
    return FakeDevice(good=4)


def crashes(device, settings):
    return FakeDevice(good=4, then="crash")


def is_buggy(device, settings):
    return FakeDevice(good=4, then="raise")


def grows(device, settings):
    return FakeDevice(good=4, then="grow")


def is_dark(device, settings):
    return FakeDevice(good=0)


def refuses(device, settings):
    raise CaptureError("is somebody else's")


def open_source(capture, *, timeout_seconds=20.0, flip=False):
    return CameraSource(
        0,
        settings=CameraSettings(flip=flip),
        timeout_seconds=timeout_seconds,
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
    """The camera processes of this one (Linux)."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = status.read_text().rsplit(")", 1)[1].split()
            command = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(words[1]) == os.getpid() and words[0] != "Z" and b"spawn_main" in command:
            found.append(int(status.parent.name))
    return found


def test_a_file_as_a_device_gives_rgb_frames_and_says_what_it_is(tmp_path):
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
        with pytest.raises(SourceError, match="stopped giving pictures"):
            list(frames)


def test_what_was_asked_and_is_given_needs_no_comparison():
    source = CameraSource(
        0,
        settings=CameraSettings(width=WIDTH, height=HEIGHT, fps=50.0, fourcc="FAKE"),
        capture=steady,
    )
    source.close()
    assert source.negotiated.describe() == "camera 0: 64x48 at 50 fps FAKE, as asked"


@pytest.mark.parametrize("flip", [False, True])
def test_frames_come_in_order_by_the_clock(flip):
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
        time.sleep(1.0)
        late = next(frames)
        age_seconds = (time.monotonic_ns() - late.captured_ns) / 1e9
        assert late.index > first.index + 10
        assert age_seconds < 0.5


def test_frames_are_never_torn():
    """A device far faster than its reader: each frame is of one moment."""
    with open_source(fast) as source:
        for frame, _ in zip(source, range(200), strict=False):
            assert (frame.image[..., 2] == frame.index % 256).all()


@pytest.mark.parametrize(
    ("capture", "says"),
    [
        (is_unplugged, "stopped giving pictures"),
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
def test_a_camera_that_never_opens_is_an_error_in_time(capture):
    start = time.monotonic()
    with pytest.raises(SourceError, match=r"no picture within 1\.5 s"):
        open_source(capture, timeout_seconds=1.5)
    assert time.monotonic() - start < 6


def test_a_camera_that_hangs_is_an_error_in_time():
    source = open_source(hangs_later)
    source._timeout_seconds = 1.0
    start = time.monotonic()
    with source, pytest.raises(SourceError, match="no new picture for 1 s"):
        list(source)
    assert time.monotonic() - start < 6


def test_a_bug_keeps_its_trace():
    with open_source(is_buggy) as source, pytest.raises(RuntimeError, match="nobody foresaw this"):
        list(source)


@pytest.mark.parametrize(
    ("capture", "says"), [(refuses, "is somebody else's"), (is_dark, "gives no picture")]
)
def test_a_camera_that_cannot_be_used_says_why_and_what_there_is(capture, says):
    with pytest.raises(SourceError, match=says) as caught:
        open_source(capture)
    message = str(caught.value)
    assert message.startswith("camera 0: ")
    assert "\n" not in message
    found = list_cameras()
    assert all(camera in message for camera in found)
    assert found or "no camera is connected" in message


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/dev/video is Linux's")
def test_no_camera_is_one_line():
    with pytest.raises(SourceError, match="there is no such camera"):
        CameraSource(63, settings=CameraSettings())


def test_closing_from_another_thread_ends_the_frames_quickly():
    source = open_source(hangs_later)
    closer = threading.Timer(0.5, source.close)
    closer.start()
    start = time.monotonic()
    frames = list(source)
    closer.join()
    assert frames
    assert time.monotonic() - start < 5


def test_a_device_that_does_not_let_go_is_killed():
    source = open_source(hangs_in_release)
    next(iter(source))
    start = time.monotonic()
    source.close()
    source.close()
    assert time.monotonic() - start < 4


def test_the_shared_memory_is_given_back():
    source = open_source(steady)
    name = source._child._memory.name
    source.close()
    with pytest.raises(FileNotFoundError):
        shared_memory.SharedMemory(name)
