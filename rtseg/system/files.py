"""Files are written whole or not at all, by one writer at a time, and never over what is read.

The one place for temporary names, renaming and locks. Functions raise `OSError` as the system
does; the caller knows what the file is and says so in its own error.
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
"""A file whatever it is called: its device and its number there (inode)."""

_NAME_BYTES = 255
"""How long a file's name may be on the usual file systems."""

_TOKEN_BYTES = 4

_PART = re.compile(r"\.[0-9a-f]{8}\.part$")


def file_id(file: str | os.PathLike[str] | int) -> FileId | None:
    """Which regular file a path (links followed) or a descriptor leads to.

    Returns:
        None where there is none, or where it is a folder, a pipe or a device.
    """
    try:
        status = os.stat(file)  # noqa: PTH116  descriptors have no Path
    except (OSError, ValueError):
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None


def file_ids(paths: Iterable[str | os.PathLike[str] | int]) -> frozenset[FileId]:
    """The files that these paths lead to; those that are not there are left out."""
    return frozenset(found for path in paths if (found := file_id(path)) is not None)


def create_part(final: Path, *, keeps_suffix: bool = True, mode: int = 0o666) -> Path:
    """Create an empty file beside `final`, under a name that nobody else has.

    Args:
        final: the name that the file gets once it is whole; its folder exists.
        keeps_suffix: `out.1f0c9a3e.part.mp4`, which players open; else `out.mp4.1f0c9a3e.part`,
            which no program takes for a picture.
        mode: permissions, less the process's umask.

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
    """Whether a name is one that `create_part` gives."""
    return any(_PART.search(name) for name in (path.name, path.stem))


def unused_path(path: Path) -> Path:
    """The path, or the first of `name-2.png`, `name-3.png` … that is free."""
    number, free = 2, path
    while os.path.lexists(free):
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1
    return free


def earlier_parts(final: Path) -> tuple[Path, ...]:
    """What runs that did not end in order left of this output, the latest last."""
    name = re.compile(re.escape(final.stem) + r"(\.[0-9a-f]{8})?\.part" + re.escape(final.suffix))
    try:
        parts = [path for path in final.parent.iterdir() if name.fullmatch(path.name)]
        return tuple(sorted(parts, key=lambda path: path.stat().st_mtime))
    except OSError:
        return ()


def publish(part: Path, final: Path, *, overwrite: bool) -> None:
    """Give a whole file its final name.

    Args:
        part: in the same folder as `final`.
        final: where a file may be replaced only with `overwrite`, also one that appeared just now.

    Raises:
        FileExistsError: there is a file, and `overwrite` is False; `part` stays.
        OSError: it cannot be renamed.
    """
    if overwrite:
        os.replace(part, final)  # noqa: PTH105  replaces on Windows too
    elif os.name == "nt":
        os.rename(part, final)  # noqa: PTH104  which refuses there
    else:
        try:
            # A second name for the same file: the one way that fails where there is one already.
            os.link(part, final, follow_symlinks=False)
        except FileExistsError:
            raise
        except OSError:  # FAT, some network shares: no second names
            if os.path.lexists(final):
                raise FileExistsError(None, "File exists", str(final)) from None
            os.rename(part, final)  # noqa: PTH104
        else:
            part.unlink()


@contextmanager
def written_whole(
    final: Path, *, overwrite: bool = True, durable: bool = True, mode: int = 0o666
) -> Iterator[Path]:
    """A path to write to; the file gets its name at the end of the block, or is taken away.

    Args:
        final: in a folder that exists.
        overwrite: whether a file there may be replaced.
        durable: wait until the content is on the disk, so that not even a power cut leaves a name
            without it.
        mode: permissions, less the process's umask.

    Raises:
        FileExistsError: there is a file, and `overwrite` is False.
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
        with suppress(OSError):  # its folder may be gone
            part.unlink(missing_ok=True)
        raise


def write_whole(
    final: Path, data: bytes, *, overwrite: bool = True, durable: bool = True, mode: int = 0o666
) -> None:
    """Write a file, whole or not at all. See `written_whole`."""
    with written_whole(final, overwrite=overwrite, durable=durable, mode=mode) as part:
        part.write_bytes(data)


def lock_folder() -> Path:
    """Where lock files lie: in the user's cache, never beside what they stand for."""
    from platformdirs import user_cache_path

    return user_cache_path("rtseg", appauthor=False) / "locks"


def try_lock(target: Path) -> BaseFileLock | None:
    """The lock that stands for a file, taken; None where another run holds it.

    The system lets go of it when its process ends, however it ends; else `release_lock` does.

    Raises:
        OSError: no lock can be made in the cache folder.
    """
    return take_lock(target, timeout_seconds=0)


def take_lock(target: Path, *, timeout_seconds: float) -> BaseFileLock | None:
    """As `try_lock`, waiting for as long as given."""
    from filelock import FileLock, Timeout

    folder = lock_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = hashlib.sha256(os.fsencode(target.resolve())).hexdigest()[:32]
    # Taken on one thread and given back on another: not a lock of a thread.
    lock = FileLock(folder / f"{name}.lock", thread_local=False)
    try:
        lock.acquire(timeout=timeout_seconds, poll_interval=0.05)
    except Timeout:
        return None
    return lock


def release_lock(lock: BaseFileLock) -> None:
    """Give a lock back, and take its file away, of which there would be one for every output.

    Whoever tries to take it in this very moment may get a file that is no longer there, and so may
    do the same work twice; what is written stays whole.
    """
    with suppress(OSError):  # Windows removes no file that is open
        Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()
