"""Read cameras with OpenCV, in a child process that can be killed.

A driver may block in a read for ever, and a blocked thread cannot be stopped. So a child process
opens and reads the device, and passes the newest frame through shared memory; every wait in this
module has a time limit. The child runs `rtseg.sources.camera_process`.
"""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from fractions import Fraction
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt

from rtseg.errors import LostError, SourceError
from rtseg.frames import Frame, Image
from rtseg.media.info import SourceInfo
from rtseg.settings import CameraSettings
from rtseg.sources.base import Source
from rtseg.sources.camera_process import (
    SLOTS,
    Bug,
    Capture,
    Ended,
    Message,
    Opened,
    Slots,
    open_capture,
    run_capture,
)

TICKS_PER_SECOND = 90_000
"""The time base of `Frame.pts`: fine enough for any camera, and common in containers."""

_GRACE_SECONDS = 1.0
"""Seconds that a child gets to exit by itself before it is killed."""

_SLICE_SECONDS = 0.1
"""The longest single wait in seconds, so that closing is noticed."""

_main_hidden = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Negotiated:
    """What was requested from a camera, and what it delivers: pixels and frames per second.

    `fps` is 0 and `fourcc` empty if the camera does not report them.
    """

    name: str
    requested: CameraSettings
    width: int
    height: int
    fps: float
    fourcc: str

    def describe(self) -> str:
        """Describe both in one line for people."""
        wanted = self.requested
        requested = f"{wanted.width}x{wanted.height} at {wanted.fps:g} fps {wanted.fourcc}"
        delivered = f"{self.width}x{self.height}"
        if self.fps:
            delivered += f" at {self.fps:g} fps"
        if self.fourcc:
            delivered += f" {self.fourcc}"
        if requested == delivered:
            return f"{self.name}: {delivered}, as requested"
        return f"{self.name}: asked for {requested}, got {delivered}"


class CameraSource(Source):
    """A live camera: a frame that is not taken before the next one arrives is lost.

    `Frame.index` counts the frames that the camera delivered, so a gap means lost frames. Times
    are measured on the monotonic clock from the first frame. A script that opens a camera needs
    no `if __name__ == "__main__":`, although a child process is started.

    Args:
        device: an index (0), or a name that OpenCV can open (`/dev/video0`).
        settings: the size, rate and format to request.
        timeout_seconds: how long to wait for it to open, and for each frame.
        silence_seconds: how long to wait for each frame, if shorter.
        closed: when set, stops waiting for the camera to open.
        capture: opens the device in the child; a module-level function that is called with the
            device and the settings.

    Attributes:
        negotiated: what was requested, and what the camera delivers.

    Raises:
        SourceError: there is no such camera, or the user may not open it.
        LostError: it is busy or silent; trying again later may help.
    """

    def __init__(
        self,
        device: int | str,
        *,
        settings: CameraSettings,
        timeout_seconds: float = 10.0,
        silence_seconds: float | None = None,
        closed: threading.Event | None = None,
        capture: Callable[[int | str, CameraSettings], Capture] = open_capture,
    ) -> None:
        self._name = f"camera {device}" if isinstance(device, int) else device
        self._timeout_seconds = timeout_seconds
        self._silence_seconds = min(timeout_seconds, silence_seconds or timeout_seconds)
        self._closed = False
        self._child = _Child(device, settings, capture)
        try:
            opened = self._wait_until_open(closed)
        except BaseException:
            self._child.stop()
            raise
        self.negotiated = Negotiated(
            name=self._name,
            requested=settings,
            width=opened.width,
            height=opened.height,
            fps=opened.fps,
            fourcc=opened.fourcc,
        )
        self.info = SourceInfo(
            name=self._name,
            width=opened.width,
            height=opened.height,
            time_base=Fraction(1, TICKS_PER_SECOND),
            is_live=True,
            frame_rate=Fraction(opened.fps or settings.fps).limit_denominator(1001),
        )

    def _wait_until_open(self, closed: threading.Event | None) -> Opened:
        deadline = time.monotonic() + self._timeout_seconds
        message = None
        while message is None and time.monotonic() < deadline:
            if closed is not None and closed.is_set():
                raise LostError(f"{self._name}: was closed before it opened")
            message = self._child.receive(_SLICE_SECONDS)
        match message:
            case Opened() as opened:
                self._child.share(opened.width, opened.height)
                return opened
            case Bug(trace):
                raise RuntimeError(f"the camera's process failed:\n{trace}")
            case Ended(reason, may_return):
                kind = LostError if may_return else SourceError
                raise kind(f"{self._name}: {reason}; {_connected_cameras()}")
            case None:
                cameras = _connected_cameras()
                raise LostError(
                    f"{self._name}: no picture within {self._timeout_seconds:g} s; {cameras}"
                )

    def __iter__(self) -> Iterator[Frame]:
        first_ns: int | None = None
        last_pts = -1
        while True:
            capture = self._take()
            if capture is None:
                return
            image, index, captured_ns = capture
            first_ns = captured_ns if first_ns is None else first_ns
            pts = (captured_ns - first_ns) * TICKS_PER_SECOND // 1_000_000_000
            last_pts = max(pts, last_pts + 1)
            yield Frame(
                image=image,
                index=index,
                pts=last_pts,
                time_base=self.info.time_base,
                captured_ns=captured_ns,
            )

    def _take(self) -> tuple[Image, int, int] | None:
        """Return the newest frame not taken yet, its index and time; None once closed.

        Raises:
            LostError: the camera is gone, or was silent for too long.
        """
        deadline = time.monotonic() + self._silence_seconds
        while not self._closed:
            capture = self._child.take(_SLICE_SECONDS)
            if capture is not None:
                return capture
            message = self._child.receive(0.0)
            if self._closed:
                break
            if isinstance(message, Bug):
                raise RuntimeError(f"the camera's process failed:\n{message.trace}")
            if isinstance(message, Ended):
                # A last frame may have arrived between the two checks.
                capture = self._child.take(0.0)
                if capture is not None:
                    self._child.last_words = message
                    return capture
                raise LostError(f"{self._name}: {message.reason}")
            if time.monotonic() > deadline:
                raise LostError(
                    f"{self._name}: no new picture for {self._silence_seconds:g} s; "
                    "check its cable, and that no other program is using it"
                )
        return None

    def close(self) -> None:
        """Release the device, by force if it does not respond. May be called twice."""
        self._closed = True
        self._child.stop()


class _Child:
    """The process that reads the device, and its shared memory. `stop` may be called anywhere."""

    def __init__(
        self,
        device: int | str,
        settings: CameraSettings,
        capture: Callable[[int | str, CameraSettings], Capture],
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._slots = Slots(context)
        self._link, child_end = context.Pipe()
        self._memory: SharedMemory | None = None
        self._pixels: npt.NDArray[np.uint8] | None = None
        self._copying = threading.Lock()
        self._stopping = threading.Lock()
        self._stopped = False
        self.last_words: Message | None = None
        self._process = context.Process(
            target=run_capture,
            args=(device, settings, capture, child_end, self._slots),
            name=f"rtseg camera {device}",
            daemon=True,
        )
        # a function that the script itself defines exists in the child only if it runs the script
        is_of_script = getattr(capture, "__module__", None) == "__main__"
        with nullcontext() if is_of_script else main_module_hidden():
            self._process.start()
        child_end.close()

    def receive(self, timeout_seconds: float) -> Message | None:
        """Return the child's next message, or None if none arrives in time."""
        if self.last_words is not None:
            return self.last_words
        try:
            if self._link.poll(timeout_seconds):
                message: Message = self._link.recv()
                return message
        except (EOFError, OSError):
            if self._stopped:
                return Ended("is closed")
            self._process.join(_SLICE_SECONDS)
            return Ended(
                f"its process exited without an error message (exit code {self._process.exitcode})",
                may_return=False,
            )
        return None

    def share(self, width: int, height: int) -> None:
        """Allocate shared memory for frames of this size, and start the transfer."""
        self._memory = SharedMemory(create=True, size=SLOTS * height * width * 3)
        self._pixels = np.ndarray((SLOTS, height, width, 3), np.uint8, self._memory.buf)
        self._link.send(self._memory.name)

    def take(self, timeout_seconds: float) -> tuple[Image, int, int] | None:
        """Return a copy of the newest frame, its index and time; None if none arrived in time."""
        claimed = self._slots.claim(timeout_seconds)
        with self._copying:
            if claimed is None or self._pixels is None:
                return None
            slot, index, captured_ns = claimed
            return self._pixels[slot].copy(), index, captured_ns

    def stop(self) -> None:
        """Stop the process, by force if need be, and release the memory."""
        with self._stopping:
            if self._stopped:
                return
            self._stopped = True
            try:
                self._link.send("stop")
                if self._memory is None:  # it is still waiting for the memory's name
                    self._link.send("stop")
            except OSError:
                pass  # it has already exited
            self._process.join(_GRACE_SECONDS)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()
            self._process.close()
            self._link.close()
            with self._copying:
                self._pixels = None
                if self._memory is not None:
                    self._memory.close()
                    self._memory.unlink()


def _connected_cameras() -> str:
    cameras = list_cameras()
    if not cameras:
        return "no camera is connected"
    return f"cameras found: {', '.join(cameras)}"


def list_cameras() -> tuple[str, ...]:
    """List this machine's cameras: `/dev/video0 (its name)` on Linux, indexes elsewhere.

    Outside Linux the first four indexes are opened briefly, which may take seconds.
    """
    if sys.platform.startswith("linux"):
        nodes = sorted(Path("/dev").glob("video[0-9]*"), key=lambda p: (len(p.name), p.name))
        return tuple(_with_name(node) for node in nodes)
    import cv2

    indexes = []
    for index in range(4):
        device = cv2.VideoCapture(index)
        if device.isOpened():
            indexes.append(str(index))
        device.release()
    return tuple(indexes)


def _with_name(node: Path) -> str:
    try:
        name = Path("/sys/class/video4linux", node.name, "name").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        name = ""
    return f"{node} ({name})" if name else str(node)


@contextmanager
def main_module_hidden() -> Iterator[None]:
    """Keep processes spawned inside the block from importing the user's script.

    `multiprocessing` imports the parent's main module in a spawned child, in case the function to
    call is defined there. A script without `if __name__ == "__main__":` then runs twice or fails.
    Our children only call functions of modules, so they do not need it: while the child is being
    started, an empty module replaces the main one.
    """
    with _main_hidden:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main
