"""Draw and save a single result: `Segmentation.plot` and `Segmentation.save`."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

from rtseg.errors import SettingError, SinkError, listed
from rtseg.frames import Frame, Image, Picture, Segmentation
from rtseg.settings import ViewSettings
from rtseg.system.files import write_whole

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
"""The suffixes that `save` supports."""

_QUALITY = 92
_OPAQUE = (".jpg", ".jpeg", ".bmp")


def plot(
    segmentation: Segmentation,
    picture: Image | Frame | None = None,
    *,
    transparent: bool = False,
    **view: Any,
) -> Picture:
    """See `Segmentation.plot`.

    Args:
        transparent: whether a cutout may be RGBA.
    """
    from rtseg.views import check_view, render

    if picture is None:
        picture = segmentation.image
    if picture is None:
        raise SettingError(
            "this result has no picture, since it comes from a stream; pass the frame: plot(frame)"
        )
    if not isinstance(picture, Frame):
        picture = Frame(image=picture, index=0, pts=0, time_base=Fraction(1, 25))
    unknown = sorted(set(view) - set(ViewSettings.__dataclass_fields__))
    if unknown:
        raise SettingError(
            f"plot: {listed(unknown)} unknown; allowed: {listed(ViewSettings.__dataclass_fields__)}"
        )
    settings = ViewSettings(**view)
    check_view(settings, segmentation.label_set, alpha=transparent)
    return render(picture, segmentation, settings, alpha=transparent)


def save(
    segmentation: Segmentation,
    path: str | Path,
    picture: Image | Frame | None = None,
    **view: Any,
) -> Path:
    """See `Segmentation.save`."""
    from PIL import Image as Pictures

    target = Path(path).expanduser()
    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        raise SettingError(
            f"{path}: {suffix or 'no suffix'} is not a picture suffix; allowed: {listed(SUFFIXES)}"
        )
    drawn = plot(segmentation, picture, transparent=suffix not in _OPAQUE, **view)
    data = io.BytesIO()
    picture_file = Pictures.fromarray(drawn)
    if suffix in (".jpg", ".jpeg", ".webp"):
        picture_file.save(data, format=Pictures.registered_extensions()[suffix], quality=_QUALITY)
    else:
        picture_file.save(data, format=Pictures.registered_extensions()[suffix])
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, data.getvalue(), overwrite=True)
    except OSError as error:
        raise SinkError(f"{path}: cannot be written: {error.strerror or error}") from None
    return target
