"""Write an output file under a temporary name until it is complete."""

from __future__ import annotations

import logging
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING

from rtseg.errors import OutputExistsError, SinkError
from rtseg.sinks.base import Outcome
from rtseg.sinks.disk_space import DiskSpace, cannot_write, check_is_path
from rtseg.system.files import (
    FileId,
    create_part,
    earlier_parts,
    file_id,
    publish,
    release_lock,
    try_lock,
)

if TYPE_CHECKING:
    from filelock import BaseFileLock

_log = logging.getLogger(__name__)


class PartialFile:
    """A single-file output, written under a temporary name and renamed at the end.

    The temporary name is unique, so neither an input nor a file left by an earlier run is
    overwritten, and two runs with the same output never write into the same file.

    Args:
        output: the final path.
        overwrite: whether an existing file may be replaced. If two runs write the same output at
            the same time, the one that finishes last replaces the other's; without `overwrite`
            the second run is refused.

    Attributes:
        final: the requested path.
        path: the path to write to, once `claim` has created it: `out.1f0c9a3e.part.npz` for
            `out.npz`, in the same folder. Before that, and after `settle`, the final path.

    Raises:
        SettingError: the output is a URL.
    """

    def __init__(self, output: str | Path, *, overwrite: bool) -> None:
        check_is_path(output)
        self.final = Path(output)
        self.path = self.final
        self._overwrite = overwrite
        self._claimed = False
        self._inputs: AbstractSet[FileId] = frozenset()
        self._lock: BaseFileLock | None = None
        self._place = DiskSpace(self.final.parent, output=self.final)

    def claim(self, inputs: AbstractSet[FileId] = frozenset()) -> None:
        """Check that the output may be created, and create it, empty, under a temporary name.

        Args:
            inputs: the files that the run reads (`SourceInfo.read_files`).

        Raises:
            OutputExistsError: it exists and may not be replaced, or another run is writing it.
            SinkError: it is an input or a folder, or cannot be created.
            DiskFullError: hardly any space is left.
        """
        self._inputs = inputs
        if self.final.is_dir():
            raise SinkError(f"{self.final}: is a folder; a file's name is needed")
        self._refuse_input()
        self._refuse_existing()
        if self.final.exists() and not self.final.is_file():
            raise SinkError(f"{self.final}: is a device or a pipe; a file's name is needed")
        try:
            self.final.parent.mkdir(parents=True, exist_ok=True)
            self._place.check()
            self._lock = locked_output(self.final, overwrite=self._overwrite)
            self._refuse_existing()  # the run that had the lock may just have finished it
            if self._lock is not None:
                log_earlier_parts(self.final)
            self.path = create_part(self.final)
        except OSError as error:
            self._release()
            raise cannot_write(self.final, error) from None
        except OutputExistsError:
            self._release()
            raise
        self._claimed = True

    def check(self) -> None:
        """Check, at most once per second, that writing can continue. See `DiskSpace.check`."""
        self._place.check(self.path)

    def settle(self, outcome: Outcome, *, frames: int) -> None:
        """Rename a finished file to its final name; keep a failed one unless it is empty.

        Raises:
            OutputExistsError: another program has created the output meanwhile.
            SinkError: it cannot be renamed.
        """
        if not self._claimed:
            return
        self._claimed = False
        try:
            if outcome == "finished":
                self._refuse_input()
                publish(self.path, self.final, overwrite=self._overwrite)
                self.path = self.final
            elif frames == 0:
                self.path.unlink(missing_ok=True)
        except FileExistsError:
            raise OutputExistsError(
                f"{self.final}: was created by another program during this run, whose result is "
                f"kept in {self.path}"
            ) from None
        except OSError as error:
            raise cannot_write(self.final, error) from None
        finally:
            self._release()

    def _refuse_existing(self) -> None:
        if self.final.exists() and not self._overwrite:
            raise OutputExistsError(f"{self.final} exists; `overwrite` replaces it")

    def _refuse_input(self) -> None:
        if file_id(self.final) in self._inputs:
            raise SinkError(
                f"{self.final}: is the input itself, which is never replaced; give another name "
                "for the output"
            )

    def _release(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            release_lock(lock)


def locked_output(target: Path, *, overwrite: bool) -> BaseFileLock | None:
    """Take an output's lock; None if it cannot be locked or need not be.

    Raises:
        OutputExistsError: another run is writing it, and it may not be replaced.
    """
    try:
        lock = try_lock(target)
    except OSError as error:
        # Without a cache folder, creating and renaming files still loses nothing.
        _log.debug("cannot lock %s: %s", target, error)
        return None
    if lock is None and not overwrite:
        raise OutputExistsError(
            f"{target}: another run is writing it; wait for it, or give another name"
        )
    return lock


def log_earlier_parts(target: Path) -> None:
    """Log which partial files earlier runs left beside an output; they are kept."""
    parts = earlier_parts(target)
    if parts:
        more = f" and {len(parts) - 1} more" if len(parts) > 1 else ""
        _log.warning("%s%s: left by an earlier run that was interrupted; kept", parts[-1], more)
