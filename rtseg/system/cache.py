"""Folders and files that rtseg keeps for its own later runs: private, locked, written whole."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rtseg.errors import BackendError


def user_cache(name: str) -> Path:
    """Where things of one kind are kept for this user; the folder may not exist yet."""
    from platformdirs import user_cache_path

    return user_cache_path("rtseg", appauthor=False) / name


def private_folder(path: Path) -> Path:
    """Make a folder that only its owner can write to, or check that it is one.

    What is loaded from it runs as native code, so whoever can write there can run anything.

    Raises:
        BackendError: it cannot be made, belongs to someone else, or others can write to it.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.stat()
    except OSError as error:
        raise BackendError(f"{path}: the folder cannot be made: {error.strerror}") from None
    if hasattr(os, "getuid") and found.st_uid != os.getuid():
        raise BackendError(
            f"{path}: the folder belongs to user {found.st_uid}, not to you ({os.getuid()}); "
            "set RTSEG_ENGINE_DIR to a folder of your own"
        )
    if os.name == "posix" and found.st_mode & 0o022:
        raise BackendError(
            f"{path}: others can write to the folder (mode {found.st_mode & 0o777:o}), and what "
            f"is in it runs as code; chmod 700 {path}"
        )
    return path


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, whole and on the disk or not at all; readers never see a part of it.

    Raises:
        BackendError: it cannot be written.
    """
    part = None
    try:
        # a name of its own, so that two writers never share a part; mkstemp makes it 0600
        handle, part = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".", suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(part).replace(path)
    except OSError as error:
        if part is not None:
            Path(part).unlink(missing_ok=True)
        raise BackendError(f"{path}: cannot be written: {error.strerror}") from None


@contextmanager
def locked(path: Path, *, timeout_seconds: float) -> Iterator[None]:
    """Hold a lock file, so that one process at a time does the work it stands for.

    The operating system lets go of it when the process ends, however it ends.

    Raises:
        BackendError: another process still holds it after the time, or it cannot be made.
    """
    deadline = time.monotonic() + timeout_seconds
    try:
        file = path.open("a+b")
    except OSError as error:
        raise BackendError(f"{path}: cannot be made: {error.strerror}") from None
    with file:
        while not _try_lock(file):
            if time.monotonic() > deadline:
                raise BackendError(
                    f"{path}: another process has held this lock for {timeout_seconds:.0f} s; "
                    "wait for it, or end it"
                )
            time.sleep(0.05)
        try:
            yield
        finally:
            _unlock(file)


if sys.platform == "win32":

    def _try_lock(file: IO[bytes]) -> bool:
        import msvcrt

        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(file: IO[bytes]) -> None:
        import msvcrt

        file.seek(0)
        with contextlib.suppress(OSError):  # closing the file lets go as well
            msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:

    def _try_lock(file: IO[bytes]) -> bool:
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(file: IO[bytes]) -> None:
        import fcntl

        with contextlib.suppress(OSError):  # closing the file lets go as well
            fcntl.flock(file, fcntl.LOCK_UN)
