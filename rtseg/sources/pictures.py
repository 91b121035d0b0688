"""Convert a still picture (array, path or Pillow image) to an RGB array."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from rtseg.errors import SettingError, SourceError, listed
from rtseg.frames import Image, check_image
from rtseg.media.urls import display_name, local_path

if TYPE_CHECKING:
    from PIL.Image import Image as PillowPicture

    Still = Image | Path | str | PillowPicture

Channels = Literal["rgb", "bgr"]
"""Channel order of an array. OpenCV's own functions (`cv2.imread`) return BGR."""


def as_image(still: Any, *, channels: Channels = "rgb") -> Image:
    """Return a still as uint8 (height, width, 3) RGB.

    Args:
        still: an array of that shape, a file's path (`~` and file:// too), or a Pillow picture,
            whose orientation tag is applied.
        channels: the channel order of an array; ignored for files and Pillow pictures.

    Raises:
        SettingError: it is none of these.
        SourceError: the file cannot be read.
    """
    if channels not in get_args(Channels):
        raise SettingError(
            f"channels: {channels!r} is unknown; allowed: {listed(get_args(Channels))}"
        )
    if isinstance(still, (str, Path)):
        from rtseg.sources.images import read_image

        path = local_path(str(still))
        if path is None:
            raise SettingError(
                f"{display_name(str(still))}: a still is a file; open a URL as a source"
            )
        return read_image(path)
    if _is_pillow(still):
        from rtseg.sources.images import rgb_of

        try:
            return rgb_of(still)
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise SourceError(f"the Pillow picture cannot be read: {error}") from None
    if not isinstance(still, np.ndarray):
        raise SettingError(
            f"a still is an array, a path or a Pillow picture; found {type(still).__name__}"
        )
    check_image(still)
    if channels == "bgr":
        import cv2

        return np.asarray(cv2.cvtColor(still, cv2.COLOR_BGR2RGB), np.uint8)
    return still


def _is_pillow(still: Any) -> bool:
    """Whether it is a Pillow picture, without importing Pillow for anything else."""
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(still, pillow.Image)
