"""The cache folder: private files that later runs reuse."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rtseg.errors import BackendError
from rtseg.system.files import lock_folder, release_lock, take_lock, write_whole


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


def write_private(path: Path, data: bytes) -> None:
    """Write a file for its owner alone, whole and on the disk or not at all.

    Raises:
        BackendError: it cannot be written.
    """
    try:
        write_whole(path, data, mode=0o600)
    except OSError as error:
        raise BackendError(f"{path}: cannot be written: {error.strerror}") from None


@contextmanager
def locked(path: Path, *, timeout_seconds: float) -> Iterator[None]:
    """Hold the lock of a file, so that one process at a time makes it.

    The operating system lets go of it when the process ends, however it ends.

    Raises:
        BackendError: another process still holds it after the time, or it cannot be made.
    """
    try:
        lock = take_lock(path, timeout_seconds=timeout_seconds)
    except OSError as error:
        raise BackendError(f"{lock_folder()}: no lock can be made: {error.strerror}") from None
    if lock is None:
        raise BackendError(
            f"{path}: another process has held its lock for {timeout_seconds:.0f} s; wait for it, "
            "or end it"
        )
    try:
        yield
    finally:
        release_lock(lock)
