"""Fake camera devices, well-behaved and faulty, for a camera's child process.

In their own module, so that the child has little to import.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rtseg.sources.camera_process import CaptureError

WIDTH, HEIGHT = 64, 48

Fault = Literal["vanish", "hang", "hang in release", "crash", "raise", "grow", "freeze"]


class FakeDevice:
    """Delivers pictures in real time, whose blue channel is their number, then misbehaves.

    Args:
        good: number of pictures before the fault.
        then: the fault.
        interval: seconds between pictures.
        noise: whether to deliver random noise instead.
    """

    fps, fourcc = 50.0, "FAKE"

    def __init__(
        self,
        *,
        good: int = 10**9,
        then: Fault = "vanish",
        interval: float = 0.02,
        noise: bool = False,
    ) -> None:
        self._good, self._then, self._interval = good, then, interval
        self._noise = np.random.default_rng() if noise else None
        self._count = 0
        self._last: Any = None

    def read(self) -> tuple[bool, Any]:
        time.sleep(self._interval)
        index, self._count = self._count, self._count + 1
        if index >= self._good:
            return self._misbehave()
        if self._noise is not None:
            self._last = self._noise.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
            return True, self._last
        picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        picture[:, : WIDTH // 2, 2] = 200  # BGR
        picture[..., 0] = index % 256
        return True, picture

    def _misbehave(self) -> tuple[bool, Any]:
        if self._then == "hang":
            time.sleep(600)
        if self._then == "crash":
            os._exit(3)
        if self._then == "raise":
            raise ZeroDivisionError("nobody foresaw this")
        if self._then == "grow":
            return True, np.zeros((2 * HEIGHT, WIDTH, 3), np.uint8)
        if self._then == "freeze":
            return True, self._last
        return False, None

    def release(self) -> None:
        if self._then == "hang in release":
            time.sleep(600)


def steady(device: object, settings: object) -> FakeDevice:
    return FakeDevice()


def fast(device: object, settings: object) -> FakeDevice:
    return FakeDevice(interval=0.0)


def hangs_at_once(device: object, settings: object) -> FakeDevice:
    return FakeDevice(good=0, then="hang")


def hangs_while_opening(device: object, settings: object) -> FakeDevice:
    time.sleep(600)
    return FakeDevice()


def hangs_later(device: object, settings: object) -> FakeDevice:
    return FakeDevice(good=4, then="hang")


def hangs_in_release(device: object, settings: object) -> FakeDevice:
    return FakeDevice(then="hang in release")


def is_unplugged(device: object, settings: object) -> FakeDevice:
    return FakeDevice(good=4)


def crashes(device: object, settings: object) -> FakeDevice:
    return FakeDevice(good=4, then="crash")


def is_buggy(device: object, settings: object) -> FakeDevice:
    return FakeDevice(good=4, then="raise")


def grows(device: object, settings: object) -> FakeDevice:
    return FakeDevice(good=4, then="grow")


def is_dark(device: object, settings: object) -> FakeDevice:
    return FakeDevice(good=0)


def refuses(device: object, settings: object) -> FakeDevice:
    raise CaptureError("is somebody else's")


def dies_at_frame_40(device: object, settings: object) -> FakeDevice:
    return FakeDevice(good=40, interval=0.01, noise=True)


def freezes_at_frame_40(device: object, settings: object) -> FakeDevice:
    return FakeDevice(good=40, then="freeze", interval=0.01, noise=True)


def falls_silent_at_frame_40(device: object, settings: object) -> FakeDevice:
    return FakeDevice(good=40, then="hang", interval=0.01, noise=True)


def is_busy_at_first(device: str, settings: object) -> FakeDevice:
    """Busy the first time; the device is the path of a file that records that."""
    state = Path(device)
    if not state.exists():
        state.touch()
        raise CaptureError("cannot be opened; another program may be using it", may_return=True)
    return FakeDevice(noise=True)
