"""Where an output lies, watched while it is written: it has room, and it is still there."""

from __future__ import annotations

import errno
import shutil
import time
from pathlib import Path

from rtseg.errors import DiskFullError, SettingError, SinkError
from rtseg.media.urls import display_name, url_scheme

RESERVE_BYTES = 32 << 20
"""Room that is left free, so that a file can be finished and the system goes on."""

INTERVAL_SECONDS = 1.0

_FULL = frozenset(
    getattr(errno, name) for name in ("ENOSPC", "EFBIG", "EDQUOT") if hasattr(errno, name)
)


class DiskSpace:
    """The folder of one output.

    Args:
        folder: exists once `check` is called.
        output: the output's name in messages.
    """

    def __init__(self, folder: Path, *, output: str | Path) -> None:
        self._folder = folder
        self._output = output
        self._next = 0.0
        self._was_there = False

    def check(self, part: Path | None = None) -> None:
        """Look, at most once a second, whether one can write on.

        Args:
            part: the file being written, which must not have been taken away.

        Raises:
            DiskFullError: there is hardly any room left.
            SinkError: the folder or the file is gone.
        """
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + INTERVAL_SECONDS
        # Some are created with their first frame only.
        is_there = part is not None and part.exists()
        if not self._folder.exists() or (self._was_there and not is_there):
            raise SinkError(
                f"{self._output}: was removed while it was written; what was in it is lost"
            )
        self._was_there = is_there
        free = shutil.disk_usage(self._folder).free
        if free < RESERVE_BYTES:
            raise DiskFullError(
                f"{self._output}: only {free / 1e6:.0f} MB are free in {self._folder}; allowed: "
                f"{RESERVE_BYTES / 1e6:.0f} MB or more; make room, or write elsewhere"
            )


def check_is_path(output: str | Path) -> None:
    """Refuse a URL where a file or folder is written: it would make a folder of that name.

    Raises:
        SettingError: it is one.
    """
    scheme = url_scheme(str(output))
    if scheme is not None:
        raise SettingError(
            f"{display_name(str(output))}: {scheme}: cannot be written to here; allowed: a path "
            "(a file of such a name is written as ./NAME)"
        )


def is_full(error: BaseException) -> bool:
    """Whether a system error says that there is no room: disk, quota, largest file."""
    return getattr(error, "errno", None) in _FULL


def cannot_write(path: str | Path, error: OSError) -> SinkError:
    """The error of an output that the system refuses."""
    kind = DiskFullError if is_full(error) else SinkError
    return kind(f"{path}: cannot be written: {error.strerror or error}")
