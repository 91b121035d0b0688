"""The cache folder: private files that later runs reuse."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rtseg.errors import BackendError
from rtseg.system.files import lock_folder, release_lock, take_lock, write_whole


def user_cache(name: str) -> Path:
    """This user's cache folder for things of one kind; it may not exist yet."""
    from platformdirs import user_cache_path

    return user_cache_path("rtseg", appauthor=False) / name


def private_folder(path: Path) -> Path:
    """Create a folder that only its owner can write to, or check an existing one.

    Its files are loaded as native code, so whoever can write there can run anything.

    Raises:
        BackendError: it cannot be created, belongs to someone else, or is writable by others.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
    except OSError as error:
        raise BackendError(f"{path}: the folder cannot be created: {error.strerror}") from None
    if hasattr(os, "getuid") and status.st_uid != os.getuid():
        raise BackendError(
            f"{path}: the folder belongs to user {status.st_uid}, not to you ({os.getuid()}); "
            "set RTSEG_ENGINE_DIR to a folder of your own"
        )
    if os.name == "posix" and status.st_mode & 0o022:
        raise BackendError(
            f"{path}: others can write to the folder (mode {status.st_mode & 0o777:o}), and what "
            f"is in it runs as code; chmod 700 {path}"
        )
    return path


def write_private(path: Path, data: bytes) -> None:
    """Write a file readable only by its owner, durably and completely or not at all.

    Raises:
        BackendError: it cannot be written.
    """
    try:
        write_whole(path, data, mode=0o600)
    except OSError as error:
        raise BackendError(f"{path}: cannot be written: {error.strerror}") from None


@contextmanager
def locked(path: Path, *, timeout_seconds: float) -> Iterator[None]:
    """Hold a file's lock, so that only one process at a time creates it.

    The operating system releases it when the process ends, even if it is killed.

    Raises:
        BackendError: another process still holds it after the timeout, or it cannot be created.
    """
    try:
        lock = take_lock(path, timeout_seconds=timeout_seconds)
    except OSError as error:
        raise BackendError(f"{lock_folder()}: cannot create a lock: {error.strerror}") from None
    if lock is None:
        raise BackendError(
            f"{path}: another process has held its lock for {timeout_seconds:.0f} s; wait for it, "
            "or end it"
        )
    try:
        yield
    finally:
        release_lock(lock)
