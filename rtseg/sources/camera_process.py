"""The camera's child process: opens the device, reads it and hands over each frame.

Three slots of shared memory are enough: one holds the newest frame, one is being copied by the
parent, and one is free to be written. Neither side waits for the other.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rtseg.settings import CameraSettings

SLOTS = 3

_LOCK_SECONDS = 1.0
"""Seconds to wait for the lock; far longer than either side holds it unless the other died."""

_ORPHAN_SECONDS = 1.0

_LATEST, _READING, _INDEX, _CAPTURED_NS = range(4)


@dataclass(frozen=True, kw_only=True)
class Opened:
    """Message: the first frame has arrived. `fps` is 0 and `fourcc` "" where unknown."""

    width: int
    height: int
    fps: float
    fourcc: str


@dataclass(frozen=True)
class Ended:
    """Message: no more frames will come, why, and whether reopening the device may help."""

    reason: str
    may_return: bool = True


@dataclass(frozen=True)
class Bug:
    """Message: the child failed unexpectedly; `trace` is its traceback."""

    trace: str


Message = Opened | Ended | Bug


class CaptureError(Exception):
    """A device cannot be opened. The message says why, without naming the device.

    Attributes:
        may_return: whether trying again may help, since it exists but is busy or not ready.
    """

    def __init__(self, reason: str, *, may_return: bool = False) -> None:
        super().__init__(reason)
        self.may_return = may_return


class Capture(Protocol):
    """An open device. `fps` is 0 and `fourcc` "" if the device does not report them."""

    fps: float
    fourcc: str

    def read(self) -> tuple[bool, Any]:
        """Return (True, uint8 (height, width, 3) BGR), or (False, None) if there is no picture."""

    def release(self) -> None:
        """Let go of the device."""


class Slots:
    """Tracks the role of each slot, shared by both processes. Every wait has a time limit."""

    def __init__(self, context: SpawnContext) -> None:
        self._lock = context.Lock()
        self._fresh = context.BoundedSemaphore(1)
        self._fresh.acquire()
        self._state = context.RawArray("q", [-1, -1, 0, 0])

    def free(self) -> int:
        """Return a slot that the child may write: neither the newest nor the one being copied."""
        self._enter()
        try:
            slots_in_use = {self._state[_LATEST], self._state[_READING]}
        finally:
            self._lock.release()
        return next(slot for slot in range(SLOTS) if slot not in slots_in_use)

    def publish(self, slot: int, index: int, captured_ns: int) -> None:
        """Make a written slot the newest frame."""
        self._enter()
        try:
            self._state[_LATEST] = slot
            self._state[_INDEX] = index
            self._state[_CAPTURED_NS] = captured_ns
        finally:
            self._lock.release()
        try:
            self._fresh.release()
        except ValueError:
            # The frame before was never taken, so this one replaces it.
            return

    def claim(self, timeout_seconds: float) -> tuple[int, int, int] | None:
        """Return the newest frame's slot, index and time, reserving the slot until the next call.

        None if no new frame arrived in time, or the other side died.
        """
        if not self._fresh.acquire(timeout=timeout_seconds):
            return None
        if not self._lock.acquire(timeout=_LOCK_SECONDS):
            return None
        try:
            slot = self._state[_LATEST]
            self._state[_READING] = slot
            return slot, self._state[_INDEX], self._state[_CAPTURED_NS]
        finally:
            self._lock.release()

    def _enter(self) -> None:
        if not self._lock.acquire(timeout=_LOCK_SECONDS):
            raise TimeoutError("the parent process holds the frames' lock and does not respond")


def run_capture(
    device: int | str,
    settings: CameraSettings,
    capture: Callable[[int | str, CameraSettings], Capture],
    link: Connection,
    slots: Slots,
) -> None:
    """Run the child. Reports over `link`; exits when told to, or when the parent is gone."""
    # A signal to the whole process group is for the parent, which then stops this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    memory_name: queue.Queue[str] = queue.Queue()
    stop = threading.Event()
    threading.Thread(target=_listen, args=(link, memory_name, stop), daemon=True).start()
    try:
        message = _deliver(device, settings, capture, link, slots, memory_name, stop)
    except Exception:  # noqa: BLE001  (the parent raises it with this trace)
        message = Bug(traceback.format_exc())
    if message is not None:
        _tell(link, message)


def _listen(link: Connection, memory_name: queue.Queue[str], stop: threading.Event) -> None:
    """Receive the memory's name, then the stop. If the parent is gone, exit at once."""
    try:
        memory_name.put(link.recv())
        link.recv()
        stop.set()
    except (EOFError, OSError):
        stop.set()
        time.sleep(_ORPHAN_SECONDS)
        os._exit(0)  # the device may be stuck in a read, and nobody else would stop this process


def _tell(link: Connection, message: Message) -> None:
    try:
        link.send(message)
    except OSError:
        # The parent is gone.
        return


def _deliver(
    device: int | str,
    settings: CameraSettings,
    capture: Callable[[int | str, CameraSettings], Capture],
    link: Connection,
    slots: Slots,
    memory_name: queue.Queue[str],
    stop: threading.Event,
) -> Message | None:
    """Open the device and hand over its frames until it stops or `stop` is set."""
    try:
        reader = capture(device, settings)
    except CaptureError as error:
        return Ended(str(error), may_return=error.may_return)
    try:
        has_picture, picture = reader.read()
        if not has_picture:
            return Ended("it opens but delivers no picture; another program may be using it")
        height, width = picture.shape[:2]
        _tell(link, Opened(width=width, height=height, fps=reader.fps, fourcc=reader.fourcc))
        while not stop.is_set():
            try:
                name = memory_name.get(timeout=0.1)
            except queue.Empty:
                continue
            return _fill(name, reader, picture, slots, stop, flip=settings.flip)
        return None
    finally:
        reader.release()


def _fill(
    memory_name: str,
    reader: Capture,
    picture: Any,
    slots: Slots,
    stop: threading.Event,
    *,
    flip: bool,
) -> Message | None:
    """Write frame after frame into the slots, beginning with `picture`."""
    shape = picture.shape
    memory = SharedMemory(memory_name)
    pixels: npt.NDArray[np.uint8] = np.ndarray((SLOTS, *shape), np.uint8, memory.buf)
    try:
        index, captured_ns = 0, time.monotonic_ns()
        while not stop.is_set():
            slot = slots.free()
            _write(pixels[slot], picture, flip=flip)
            slots.publish(slot, index, captured_ns)
            has_picture, picture = reader.read()
            captured_ns = time.monotonic_ns()
            index += 1
            if not has_picture:
                return Ended("stopped delivering pictures; check its cable")
            if picture.shape != shape:
                return Ended(
                    f"changed its picture from {shape[1]}x{shape[0]} to "
                    f"{picture.shape[1]}x{picture.shape[0]}"
                )
        return None
    finally:
        del pixels
        memory.close()


def _write(pixels: npt.NDArray[np.uint8], picture: Any, *, flip: bool) -> None:
    """Copy a picture into a slot. This is where OpenCV's BGR becomes RGB."""
    import cv2

    if flip:
        picture = cv2.flip(picture, 1)
    cv2.cvtColor(picture, cv2.COLOR_BGR2RGB, dst=pixels)


class _OpenCvCapture:
    """A device opened by OpenCV, with the requested format, size and rate."""

    def __init__(self, device: int | str, settings: CameraSettings) -> None:
        # The error raised below says more than what OpenCV would print.
        os.environ["OPENCV_LOG_LEVEL"] = "SILENT"
        os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"
        import cv2

        is_device = isinstance(device, int) or device.startswith("/dev/video")
        on_linux = sys.platform.startswith("linux")
        if is_device and on_linux:
            _check_node(Path(f"/dev/video{device}" if isinstance(device, int) else device))
        backend = cv2.CAP_V4L2 if is_device and on_linux else cv2.CAP_ANY
        self._device = cv2.VideoCapture(device, backend)
        if not self._device.isOpened():
            raise CaptureError("cannot be opened; another program may be using it", may_return=True)
        code = settings.fourcc.ljust(4)[:4].upper()
        # The format comes first, since it determines which sizes and rates are available.
        self._device.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*code))
        self._device.set(cv2.CAP_PROP_FRAME_WIDTH, settings.width)
        self._device.set(cv2.CAP_PROP_FRAME_HEIGHT, settings.height)
        self._device.set(cv2.CAP_PROP_FPS, settings.fps)
        self._device.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        fps = float(self._device.get(cv2.CAP_PROP_FPS))
        self.fps = fps if 0.0 < fps <= 1000.0 else 0.0
        number = int(self._device.get(cv2.CAP_PROP_FOURCC))
        letters = bytes((number >> shift) & 0xFF for shift in (0, 8, 16, 24))
        self.fourcc = "".join(chr(b) for b in letters if 32 < b < 127)

    def read(self) -> tuple[bool, Any]:
        """Return the next picture, BGR."""
        return self._device.read()

    def release(self) -> None:
        """Let go of the device."""
        self._device.release()


def _check_node(node: Path) -> None:
    if not node.exists():
        raise CaptureError("there is no such camera")
    if not os.access(node, os.R_OK | os.W_OK):
        raise CaptureError(
            f"this user may not open {node}; join its group (sudo usermod -aG video $USER), "
            "then log in again"
        )


def open_capture(device: int | str, settings: CameraSettings) -> Capture:
    """Open a device with OpenCV.

    Raises:
        CaptureError: it does not exist, the user may not open it, or it fails to open.
    """
    return _OpenCvCapture(device, settings)
