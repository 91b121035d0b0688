"""Write numbered picture files into a folder: `000000.png`, or any printf pattern."""

from __future__ import annotations

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rtseg.errors import OutputExistsError, RtsegError, SettingError, SinkError, listed
from rtseg.sinks.disk_space import DiskSpace, cannot_write, check_is_path
from rtseg.sinks.partial_file import locked_output
from rtseg.system.files import FileId, create_part, file_id, release_lock, write_whole

if TYPE_CHECKING:
    from filelock import BaseFileLock

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")

_NUMBER = re.compile(r"%(0?)(\d*)d")


class ImageSequence:
    """The files of one output. Each is written completely or not at all.

    Args:
        output: a folder (`out`), or a pattern with one `%d` or `%06d` in the file name.
        suffixes: the allowed formats; the first is used for a folder.
        names: file names to use instead of numbers, in order; those without a suffix get the
            folder's.
        overwrite: whether files that exist may be replaced.
    """

    def __init__(
        self,
        output: str,
        *,
        suffixes: Sequence[str] = IMAGE_SUFFIXES,
        names: Sequence[str] | None = None,
        overwrite: bool = False,
    ) -> None:
        self._names = None if names is None else tuple(names)
        self._overwrite = overwrite
        self._suffixes = tuple(suffixes)
        self._made_folder = False
        self._inputs: AbstractSet[FileId] = frozenset()
        self._lock: BaseFileLock | None = None
        self.count = 0
        check_is_path(output)
        path = Path(output)
        if "%" in path.name and _NUMBER.search(path.name):
            self.folder, self._pattern = path.parent, path.name
        elif "%" in path.name and path.suffix.lower() in IMAGE_SUFFIXES:
            raise SettingError(
                f"{output}: no number in the pattern; allowed: %d, or %06d for six digits"
            )
        else:
            self.folder, self._pattern = path, f"%06d{self._suffixes[0]}"
        if len(_NUMBER.findall(self._pattern)) != 1 or self._pattern.count("%") != 1:
            raise SettingError(f"{output}: one %d (or %06d) in the file's name, and no other %")
        self._place = DiskSpace(self.folder, output=output)
        self.suffix = Path(self._pattern).suffix.lower()
        if self.suffix not in self._suffixes:
            raise SettingError(
                f"{output}: {self.suffix or 'no suffix'} cannot be written here; "
                f"allowed: {listed(self._suffixes)}"
            )

    def claim(self, inputs: AbstractSet[FileId] = frozenset()) -> None:
        """Make the folder, and check that no existing file is in the way.

        Args:
            inputs: the files that the run reads (`SourceInfo.read_files`).

        Raises:
            OutputExistsError: a file that might be written exists and may not be replaced, or
                another run is writing here.
            SinkError: one of them is an input, or the folder cannot be made.
        """
        self._inputs = inputs
        if self.folder.exists() and not self.folder.is_dir():
            raise SinkError(f"{self.folder}: is a file; a folder is needed there")
        self._refuse_existing()
        self._made_folder = not self.folder.exists()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            create_part(self.folder / "probe", keeps_suffix=False).unlink()
            self._lock = locked_output(self.folder / self._pattern, overwrite=self._overwrite)
            self._refuse_existing()  # the run that had the lock may just have finished
            self._place.check()
        except OSError as error:
            self.settle()
            raise cannot_write(self.folder, error) from None
        except RtsegError:
            self.settle()
            raise

    def _refuse_existing(self) -> None:
        for path in self._in_the_way():
            self._refuse_input(path)
            if not self._overwrite:
                raise OutputExistsError(f"{path} exists; `overwrite` replaces it")

    def _in_the_way(self) -> list[Path]:
        """Existing files whose names this output might use, in order."""
        if self._names is not None:
            paths = (self.path(i) for i in range(len(self._names)))
            return [path for path in paths if path.exists()]
        if not self.folder.is_dir():
            return []
        before, _, _, after = _NUMBER.split(self._pattern, maxsplit=1)
        frame_name = re.compile(re.escape(before) + r"\d+" + re.escape(after))
        return sorted(path for path in self.folder.iterdir() if frame_name.fullmatch(path.name))

    def _refuse_input(self, path: Path) -> None:
        if file_id(path) in self._inputs:
            raise SinkError(
                f"{path}: is one of the inputs, which are never replaced; give another folder or "
                "pattern for the output"
            )

    def path(self, number: int) -> Path:
        """The path of the picture with this number.

        Raises:
            SinkError: there are fewer names than pictures.
        """
        if self._names is None:
            return self.folder / (self._pattern % number)
        if number >= len(self._names):
            raise SinkError(f"{self.folder}: {len(self._names)} names given, and one more picture")
        name = self._names[number]
        has_suffix = Path(name).suffix.lower() in self._suffixes
        return self.folder / (name if has_suffix else name + self.suffix)

    def write(self, pixels: npt.NDArray[np.uint8]) -> None:
        """Write the next picture (grey, RGB or RGBA).

        Raises:
            OutputExistsError: another program has created a file of this name meanwhile.
            SinkError: it is an input, or cannot be encoded or written.
            DiskFullError: hardly any space is left.
        """
        self._place.check()
        path = self.path(self.count)
        self._refuse_input(path)
        data = encoded(pixels, path)
        try:
            # No fsync: a power cut may cost the last pictures, but waiting would cost time.
            write_whole(path, data, overwrite=self._overwrite, durable=False)
        except FileExistsError:
            raise OutputExistsError(
                f"{path}: was created by another program during this run; it is kept"
            ) from None
        except OSError as error:
            raise cannot_write(path, error) from None
        self.count += 1

    def settle(self) -> None:
        """Remove the folder if this run created it and it is empty."""
        lock, self._lock = self._lock, None
        if lock is not None:
            release_lock(lock)
        if self._made_folder and self.count == 0 and self.folder.is_dir():
            try:
                self.folder.rmdir()
            except OSError:
                # Another program put something into it.
                return


def encoded(pixels: npt.NDArray[np.uint8], path: Path) -> bytes:
    """Encode a picture in the format of the path's suffix. JPEG and WebP have quality 95.

    Args:
        pixels: uint8 (height, width), RGB (height, width, 3) or RGBA (height, width, 4).
        path: only its suffix matters; JPEG drops transparency.

    Raises:
        SinkError: the format cannot represent it (a WebP of more than 16,383 pixels a side).
    """
    import cv2

    suffix = path.suffix.lower()
    if pixels.ndim == 3:
        to_jpeg = pixels.shape[2] == 4 and suffix in (".jpg", ".jpeg")
        if to_jpeg or pixels.shape[2] == 3:
            code = cv2.COLOR_RGBA2BGR if to_jpeg else cv2.COLOR_RGB2BGR
        else:
            code = cv2.COLOR_RGBA2BGRA
        pixels = np.asarray(cv2.cvtColor(pixels, code), np.uint8)
    # Run-length strategy: as small as the default for photographs, faster, and best for masks.
    run_length = [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
    options = {
        ".png": [cv2.IMWRITE_PNG_COMPRESSION, 1, *run_length],
        ".webp": [cv2.IMWRITE_WEBP_QUALITY, 95],
    }.get(suffix, [cv2.IMWRITE_JPEG_QUALITY, 95])
    try:
        fine, data = cv2.imencode(suffix, pixels, options)
    except cv2.error as error:
        raise SinkError(f"{path}: cannot be encoded: {error.err}") from None
    if not fine:
        raise SinkError(f"{path}: cannot be encoded as {suffix}")
    return bytes(data)
