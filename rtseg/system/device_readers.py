"""Count the programs that have a device open, using Linux' inotify."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from pathlib import Path

_OPENED = 0x20
_CLOSED_WRITE, _CLOSED = 0x08, 0x10
_OVERFLOW = 0x4000
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0) if os.name == "posix" else 0
_EVENT = struct.Struct("iIII")


class DeviceReaders:
    """Counts how often a path is opened and closed from now on.

    Programs that have it open already (its producer, this process) are not counted. Unlike
    inspecting other processes, this needs no permissions.

    Args:
        path: the device's path.
    """

    def __init__(self, path: str) -> None:
        self._count = 0
        self._descriptor: int | None = None
        if not sys.platform.startswith("linux") or not Path(path).exists():
            return
        libc = ctypes.CDLL(None, use_errno=True)
        descriptor = libc.inotify_init1(_NONBLOCK_CLOEXEC)
        if descriptor < 0:
            return
        if (
            libc.inotify_add_watch(descriptor, os.fsencode(path), _OPENED | _CLOSED_WRITE | _CLOSED)
            < 0
        ):
            os.close(descriptor)
            return
        self._descriptor = descriptor

    @property
    def count(self) -> int | None:
        """How many programs have it open now; None if unknown."""
        if self._descriptor is None:
            return None
        while True:
            try:
                data = os.read(self._descriptor, 65536)
            except BlockingIOError:
                break
            except OSError:
                return None
            place = 0
            while place < len(data):
                _, mask, _, length = _EVENT.unpack_from(data, place)
                place += _EVENT.size + length
                if mask & _OVERFLOW:
                    self.close()  # events were lost; better to keep working for nobody than to stop
                    return None
                if mask & _OPENED:
                    self._count += 1
                elif mask & (_CLOSED_WRITE | _CLOSED):
                    self._count = max(0, self._count - 1)
        return self._count

    def close(self) -> None:
        """Stop watching. May be called twice."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
