"""Play a recording at its own speed."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from rtseg.frames import Frame


class PlaybackClock:
    """Delays each frame until it is due, relative to the first.

    Args:
        stopped: when set, ends a wait.
    """

    def __init__(self, stopped: threading.Event) -> None:
        self._stopped = stopped
        self._zero_ns: int | None = None

    def wait_for(self, frame: Frame) -> Frame:
        """Wait until the frame is due; return it with its capture time set to now."""
        due_ns = int(frame.pts_seconds * 1_000_000_000)
        now_ns = time.monotonic_ns()
        if self._zero_ns is None:
            self._zero_ns = now_ns - due_ns
        self._stopped.wait(max(0, self._zero_ns + due_ns - now_ns) / 1e9)
        return replace(frame, captured_ns=time.monotonic_ns())
