"""An output file that bears a temporary name of its own until it is whole."""

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
    """Where a single-file output is written, and what becomes of it.

    Nobody else has its temporary name, so that neither an input nor what an earlier run left is
    written over, and two runs with one output never write into one file.

    Args:
        output: the final path.
        overwrite: whether a file there may be replaced. Of two runs that write one output at the
            same time, the later one to finish then replaces the other's; else it is refused.

    Attributes:
        final: the path that was asked for.
        path: the one to write to meanwhile, once `claim` has created it: `out.1f0c9a3e.part.npz`
            for `out.npz`, in the same folder. Before that, and after a good end, the final one.

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
        """Check that the output may be created, and create it, empty, under its temporary name.

        Args:
            inputs: the files that the run reads (`SourceInfo.read_files`).

        Raises:
            OutputExistsError: it exists and may not be replaced, or another run is writing it.
            SinkError: it is an input or a folder, or cannot be created.
            DiskFullError: there is hardly any room for it.
        """
        self._inputs = inputs
        if self.final.is_dir():
            raise SinkError(f"{self.final}: is a folder; a file's name is needed")
        self._refuse_input()
        if self.final.exists() and not self._overwrite:
            raise OutputExistsError(f"{self.final} exists; `overwrite` replaces it")
        if self.final.exists() and not self.final.is_file():
            raise SinkError(f"{self.final}: is a device or a pipe; a file's name is needed")
        try:
            self.final.parent.mkdir(parents=True, exist_ok=True)
            self._place.check()
            self._lock = locked_output(self.final, overwrite=self._overwrite)
            if self._lock is not None:
                name_earlier_parts(self.final)
            self.path = create_part(self.final)
        except OSError as error:
            self._release()
            raise cannot_write(self.final, error) from None
        self._claimed = True

    def check(self) -> None:
        """Look, at most once a second, whether one can write on. See `DiskSpace.check`."""
        self._place.check(self.path)

    def settle(self, outcome: Outcome, *, frames: int) -> None:
        """Give a finished file its name; keep a failed one as it is, unless it is empty.

        Raises:
            OutputExistsError: another run has made the output meanwhile.
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
                f"{self.final}: was made by someone else while this run wrote it; what this run "
                f"wrote is kept in {self.path}"
            ) from None
        except OSError as error:
            raise cannot_write(self.final, error) from None
        finally:
            self._release()

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
    """The lock of an output, or None where one can or must do without.

    Raises:
        OutputExistsError: another run is writing it, and it may not be replaced.
    """
    try:
        lock = try_lock(target)
    except OSError as error:
        # No cache folder: files are still created and renamed so that none is lost.
        _log.debug("no lock for %s: %s", target, error)
        return None
    if lock is None and not overwrite:
        raise OutputExistsError(
            f"{target}: another run is writing it; wait for that one, or give another name"
        )
    return lock


def name_earlier_parts(target: Path) -> None:
    """Say in one line which files earlier runs left of an output; they are kept."""
    parts = earlier_parts(target)
    if parts:
        more = f" and {len(parts) - 1} more" if len(parts) > 1 else ""
        _log.warning(
            "%s%s: left by an earlier run that did not end in order; kept", parts[-1], more
        )
