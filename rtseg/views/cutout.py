"""The cutout view: the chosen classes kept, everything else transparent or one colour."""

from __future__ import annotations

import re

import numpy as np

from rtseg.errors import SettingError
from rtseg.frames import Image, LabelMap, Picture, Segmentation
from rtseg.labels import Colour
from rtseg.views.selection import Chosen, labelled_regions
from rtseg.views.soft_edges import Cover

_BLACK = (0, 0, 0)


def background_colour(background: str, *, alpha: bool) -> Colour | None:
    """Parse the background of a cutout: an RGB colour, or None for transparency.

    Args:
        background: `auto`, `transparent` or `#rrggbb`.
        alpha: whether the output supports transparency; if not, it becomes black.

    Raises:
        SettingError: it is neither.
    """
    if background in ("auto", "transparent"):
        return None if alpha else _BLACK
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", background):
        raise SettingError(
            f"`background`: {background!r} is not a colour; allowed: auto, transparent, #rrggbb"
        )
    red, green, blue = bytes.fromhex(background[1:])
    return red, green, blue


def cutout(
    image: Image,
    segmentation: Segmentation,
    chosen: Chosen,
    *,
    background: Colour | None,
    invert: bool,
    feather: float = 0.0,
) -> Picture:
    """Cut out the chosen classes (or, inverted, everything else) on a colour or transparency.

    Edges come from soft masks if the segmentation has them, otherwise they fade inwards over a
    pixel or two; a feather makes them fade outwards over as many more pixels. Fully transparent
    pixels are black, so that what was cut away is not in the file.

    Returns:
        uint8 (height, width, 3) RGB, or (height, width, 4) RGBA if `background` is None.
    """
    channels = 4 if background is None else 3
    behind = (*_BLACK, 0) if background is None else background
    picture = np.zeros((*image.shape[:2], channels), np.uint8)
    if invert:
        picture[..., :3] = image
        picture[..., 3:] = 255
    elif any(behind):
        picture[:] = behind
    size = 3 if image.shape[0] < 1440 else 5
    cover = Cover(segmentation, chosen, feather=feather)
    for region in labelled_regions(segmentation, margin=size + cover.reach):
        opacity = cover.of(region)
        if invert:
            opacity = 255 - opacity
        if not cover.is_soft:
            opacity = _faded(opacity, size)
        _compose(picture[region], image[region], opacity, behind)
    return picture


def _faded(opacity: LabelMap, size: int) -> LabelMap:
    """Soften a mask's edge inwards only; it remains zero outside."""
    import cv2

    soft = cv2.blur(opacity, (size, size), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.bitwise_and(soft, opacity), np.uint8)


def _compose(picture: Picture, image: Image, cover: LabelMap, behind: tuple[int, ...]) -> None:
    """Blend `image` with weight `cover` over a region of the picture."""
    import cv2

    if picture.shape[2] == 4:
        rgb = np.zeros_like(image)
        cv2.copyTo(image, cover, rgb)
        picture[..., :3] = rgb
        picture[..., 3] = cover
        return
    colour = np.empty_like(image)
    colour[:] = behind
    weight = cover.astype(np.float32) / 255.0
    picture[:] = cv2.blendLinear(image, colour, weight, 1.0 - weight)
