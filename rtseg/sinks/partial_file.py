"""An output file that bears a temporary name until it is whole."""

from __future__ import annotations

import os
from pathlib import Path

from rtseg.errors import OutputExistsError, SinkError
from rtseg.sinks.base import Outcome
from rtseg.sinks.disk_space import DiskSpace, cannot_write, check_is_path


class PartialFile:
    """Where a single-file output is written, and what becomes of it.

    Args:
        output: the final path.
        overwrite: whether a file there may be replaced.

    Attributes:
        final: the path that was asked for.
        path: the one to write to meanwhile: `out.part.npz` for `out.npz`, in the same folder.

    Raises:
        SettingError: the output is a URL.
    """

    def __init__(self, output: str | Path, *, overwrite: bool) -> None:
        check_is_path(output)
        self.final = Path(output)
        self.path = self.final.with_name(f"{self.final.stem}.part{self.final.suffix}")
        self._overwrite = overwrite
        self._claimed = False
        self._place = DiskSpace(self.final.parent, output=self.final)

    def claim(self) -> None:
        """Check that the output may be created, and make its folder.

        Raises:
            OutputExistsError: it exists and may not be replaced.
            SinkError: it is a folder, or its folder cannot be made.
            DiskFullError: there is hardly any room for it.
        """
        if self.final.is_dir():
            raise SinkError(f"{self.final}: is a folder; a file's name is needed")
        if self.final.exists() and not self._overwrite:
            raise OutputExistsError(f"{self.final} exists; --overwrite replaces it")
        try:
            self.final.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(self.final, error) from None
        self._place.check()
        self._claimed = True

    def check(self) -> None:
        """Look, at most once a second, whether one can write on. See `DiskSpace.check`."""
        self._place.check(self.path)

    def settle(self, outcome: Outcome, *, frames: int) -> None:
        """Give a finished file its name; keep a failed one as it is, unless it is empty.

        Raises:
            SinkError: it cannot be renamed.
        """
        if not self._claimed:
            return
        try:
            if outcome == "finished":
                os.replace(self.path, self.final)  # noqa: PTH105  (also on Windows)
            elif frames == 0:
                self.path.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(self.final, error) from None
