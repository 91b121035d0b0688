"""Write rendered views as numbered picture files."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rtseg.errors import OutputExistsError, SinkError
from rtseg.frames import Frame, Picture, Segmentation
from rtseg.media.info import SourceInfo
from rtseg.settings import EncodeSettings
from rtseg.sinks.base import Outcome, Sink
from rtseg.sinks.image_sequence import ImageSequence, encoded
from rtseg.system.files import FileId, file_id, write_whole


class ImagesSink(Sink):
    """Writes one picture file per frame, numbered from 0, each completely or not at all.

    Args:
        output: a folder (PNG files `000000.png` …) or a pattern (`out/%06d.png`; .png, .jpg,
            .jpeg or .webp).
        settings: only `overwrite` matters here.
        names: file names to use instead of numbers, in order, with or without a suffix.

    Raises:
        SettingError: the output is neither a folder nor a pattern of a known format.
    """

    wants_pixels = True

    def __init__(
        self, output: str, *, settings: EncodeSettings, names: Sequence[str] | None = None
    ) -> None:
        self._output = output
        self._files = ImageSequence(output, names=names, overwrite=settings.overwrite)
        self.has_alpha = self._files.suffix in (".png", ".webp")

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Make the folder. See `Sink.open`."""
        self._files.claim(info.read_files)

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Write the picture. See `Sink.write`."""
        if picture is None:
            raise SinkError(f"{self._output}: needs the rendered view, and was given none")
        self._files.write(picture)

    def close(self, outcome: Outcome) -> None:
        """Nothing to finish: every file is already complete."""
        self._files.settle()

    def describe(self) -> str:
        """The folder or pattern."""
        return self._output


def write_picture(
    path: Path | str,
    pixels: npt.NDArray[np.uint8],
    *,
    overwrite: bool = False,
    inputs: AbstractSet[FileId] = frozenset(),
) -> None:
    """Write a picture completely or not at all, creating its folder if needed.

    Args:
        path: the file; its suffix selects the format (PNG, JPEG, WebP).
        pixels: grey, RGB or RGBA.
        overwrite: whether a file there may be replaced.
        inputs: files that must not be replaced.

    Raises:
        OutputExistsError: the file exists and may not be replaced.
        SinkError: it is an input, or cannot be written.
    """
    target = Path(path)
    data = encoded(pixels, target)
    if file_id(target) in inputs:
        raise SinkError(f"{target}: is an input itself; give another output folder")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, data, overwrite=overwrite, durable=False)
    except FileExistsError:
        raise OutputExistsError(f"{target} exists; `overwrite` replaces it") from None
    except OSError as error:
        raise SinkError(f"{path}: cannot be written: {error.strerror or error}") from None
