"""Write files atomically, one writer at a time, without overwriting inputs.

Temporary names, renaming and locks are handled only here. Functions raise the system's `OSError`;
callers know what the file is for and raise their own errors.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock

FileId = tuple[int, int]
"""A file's identity whatever its name: its device and inode numbers."""

_NAME_BYTES = 255
"""The longest file name in bytes on common file systems."""

_TOKEN_BYTES = 4

_PART = re.compile(r"\.[0-9a-f]{8}\.part$")


def file_id(file: str | os.PathLike[str] | int) -> FileId | None:
    """Identify the regular file behind a path (following links) or a descriptor.

    Returns:
        None if there is none, or if it is a folder, a pipe or a device.
    """
    try:
        status = os.stat(file)  # noqa: PTH116  descriptors have no Path
    except (OSError, ValueError):
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None


def file_ids(paths: Iterable[str | os.PathLike[str] | int]) -> frozenset[FileId]:
    """Identify the files at these paths, ignoring those that do not exist."""
    return frozenset(file for path in paths if (file := file_id(path)) is not None)


def create_part(final: Path, *, keeps_suffix: bool = True, mode: int = 0o666) -> Path:
    """Create an empty file beside `final` under a unique name.

    Args:
        final: the name that the complete file will get; its folder must exist.
        keeps_suffix: True for `out.1f0c9a3e.part.mp4`, which players can open; False for
            `out.mp4.1f0c9a3e.part`, which no program mistakes for a picture.
        mode: permissions, before the process's umask is applied.

    Raises:
        OSError: it cannot be created.
    """
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_CLOEXEC", 0)
    while True:
        part = final.with_name(_part_name(final, secrets.token_hex(_TOKEN_BYTES), keeps_suffix))
        try:
            os.close(os.open(part, flags, mode))
        except FileExistsError:
            continue
        return part


def _part_name(final: Path, token: str, keeps_suffix: bool) -> str:
    stem, suffix = (final.stem, final.suffix) if keeps_suffix else (final.name, "")
    ending = f".{token}.part{suffix}"
    room = _NAME_BYTES - len(os.fsencode(ending))
    while len(os.fsencode(stem)) > room:
        stem = stem[:-1]
    return stem + ending


def is_part(path: Path) -> bool:
    """Whether a name has the form that `create_part` uses."""
    return any(_PART.search(name) for name in (path.name, path.stem))


def unused_path(path: Path) -> Path:
    """The path itself if it does not exist, else the first free of `name-2.png`, `name-3.png` …"""
    number, free = 2, path
    while os.path.lexists(free):
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1
    return free


def earlier_parts(final: Path) -> tuple[Path, ...]:
    """The partial files that interrupted runs left of this output, the latest last."""
    name = re.compile(re.escape(final.stem) + r"(\.[0-9a-f]{8})?\.part" + re.escape(final.suffix))
    try:
        parts = [path for path in final.parent.iterdir() if name.fullmatch(path.name)]
        return tuple(sorted(parts, key=lambda path: path.stat().st_mtime))
    except OSError:
        return ()


def publish(part: Path, final: Path, *, overwrite: bool) -> None:
    """Rename a complete file to its final name.

    Args:
        part: a file in the same folder as `final`.
        final: the new name. An existing file, even one created just now, is replaced only with
            `overwrite`.

    Raises:
        FileExistsError: `final` exists and `overwrite` is False; `part` is kept.
        OSError: it cannot be renamed.
    """
    if overwrite:
        os.replace(part, final)  # noqa: PTH105  replaces on Windows too
    elif os.name == "nt":
        os.rename(part, final)  # noqa: PTH104  `rename` refuses to replace there
    else:
        try:
            # A hard link: the only operation that fails if the name exists already.
            os.link(part, final, follow_symlinks=False)
        except FileExistsError:
            raise
        except OSError:  # FAT and some network shares have no hard links
            if os.path.lexists(final):
                raise FileExistsError(None, "File exists", str(final)) from None
            os.rename(part, final)  # noqa: PTH104
        else:
            part.unlink()


@contextmanager
def written_whole(
    final: Path, *, overwrite: bool = True, durable: bool = True, mode: int = 0o666
) -> Iterator[Path]:
    """Yield a path to write to; afterwards the file is renamed to `final`, or removed on errors.

    Args:
        final: the final path; its folder must exist.
        overwrite: whether an existing file may be replaced.
        durable: wait until the content is on the disk, so that not even a power cut leaves a
            file without its content.
        mode: permissions, before the process's umask is applied.

    Raises:
        FileExistsError: `final` exists and `overwrite` is False.
            OSError: it cannot be written.
    """
    part = create_part(final, keeps_suffix=False, mode=mode)
    try:
        yield part
        if durable:
            with part.open("rb+") as file:
                os.fsync(file.fileno())
        publish(part, final, overwrite=overwrite)
    except BaseException:
        with suppress(OSError):  # its folder may have been removed
            part.unlink(missing_ok=True)
        raise


def write_whole(
    final: Path, data: bytes, *, overwrite: bool = True, durable: bool = True, mode: int = 0o666
) -> None:
    """Write a file completely or not at all. See `written_whole`."""
    with written_whole(final, overwrite=overwrite, durable=durable, mode=mode) as part:
        part.write_bytes(data)


def lock_folder() -> Path:
    """The folder for lock files, in the user's cache rather than beside the locked files."""
    from platformdirs import user_cache_path

    return user_cache_path("rtseg", appauthor=False) / "locks"


def try_lock(target: Path) -> BaseFileLock | None:
    """Take the lock for a file; None if another run holds it.

    `release_lock` releases it, or else the system when the process ends, even if it is killed.

    Raises:
        OSError: the lock cannot be created in the cache folder.
    """
    return take_lock(target, timeout_seconds=0)


def take_lock(target: Path, *, timeout_seconds: float) -> BaseFileLock | None:
    """Like `try_lock`, but wait up to a timeout."""
    from filelock import FileLock, Timeout

    folder = lock_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = hashlib.sha256(os.fsencode(target.resolve())).hexdigest()[:32]
    # It may be taken on one thread and released on another, so it must not be thread-local.
    lock = FileLock(folder / f"{name}.lock", thread_local=False)
    try:
        lock.acquire(timeout=timeout_seconds, poll_interval=0.05)
    except Timeout:
        return None
    return lock


def release_lock(lock: BaseFileLock) -> None:
    """Release a lock and delete its file, since there would be one for every output.

    A run that takes the lock at this very moment may lock a deleted file and so do the same work
    twice, but what is written stays intact.
    """
    with suppress(OSError):  # Windows cannot delete an open file
        Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()
