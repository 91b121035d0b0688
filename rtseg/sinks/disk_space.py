"""Watch an output's folder while it is written: is there space, does the file still exist?"""

from __future__ import annotations

import errno
import shutil
import time
from pathlib import Path

from rtseg.errors import DiskFullError, SettingError, SinkError
from rtseg.media.urls import display_name, url_scheme

RESERVE_BYTES = 32 << 20
"""Bytes kept free, so that the file can be finished and the system keeps working."""

INTERVAL_SECONDS = 1.0

_FULL = frozenset(
    getattr(errno, name) for name in ("ENOSPC", "EFBIG", "EDQUOT") if hasattr(errno, name)
)


class DiskSpace:
    """The folder of one output.

    Args:
        folder: must exist once `check` is called.
        output: the output's name in messages.
    """

    def __init__(self, folder: Path, *, output: str | Path) -> None:
        self._folder = folder
        self._output = output
        self._next = 0.0
        self._was_there = False

    def check(self, part: Path | None = None) -> None:
        """Check, at most once per second, that writing can continue.

        Args:
            part: the file being written, which must still exist.

        Raises:
            DiskFullError: hardly any space is left.
            SinkError: the folder or the file is gone.
        """
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + INTERVAL_SECONDS
        # Some outputs are created only with their first frame.
        is_there = part is not None and part.exists()
        if not self._folder.exists() or (self._was_there and not is_there):
            raise SinkError(
                f"{self._output}: was removed while it was written; its content is lost"
            )
        self._was_there = is_there
        free = shutil.disk_usage(self._folder).free
        if free < RESERVE_BYTES:
            raise DiskFullError(
                f"{self._output}: only {free / 1e6:.0f} MB are free in {self._folder}; allowed: "
                f"{RESERVE_BYTES / 1e6:.0f} MB or more; make room, or write elsewhere"
            )


def check_is_path(output: str | Path) -> None:
    """Reject a URL for an output that is a file or folder; it would be taken as a folder's name.

    Raises:
        SettingError: it is a URL.
    """
    scheme = url_scheme(str(output))
    if scheme is not None:
        raise SettingError(
            f"{display_name(str(output))}: {scheme}: cannot be written to here; allowed: a path "
            "(a file of such a name is written as ./NAME)"
        )


def is_full(error: BaseException) -> bool:
    """Whether a system error means that space ran out: disk, quota or maximum file size."""
    return getattr(error, "errno", None) in _FULL


def cannot_write(path: str | Path, error: OSError) -> SinkError:
    """The error for an output that the system refuses to write."""
    kind = DiskFullError if is_full(error) else SinkError
    return kind(f"{path}: cannot be written: {error.strerror or error}")
