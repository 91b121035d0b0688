"""The privacy views, blur and pixelate, which remove what they hide for good.

Both first reduce the picture until a face is only a few pixels high, and draw from that. Detail is
removed rather than mixed, so sharpening cannot restore it. The hidden area extends a little beyond
the mask, so that no recognisable rim is left. If a face was lost a moment ago, its whole area stays
hidden, so that a single missed frame does not reveal it.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from rtseg.frames import Image, LabelMap, Picture, Segmentation
from rtseg.views.selection import Chosen, Region, labelled_regions
from rtseg.views.soft_edges import Cover

BLUR_ROWS = 10
"""Height in pixels to which a face is reduced before it is blurred further."""

PIXELATE_ROWS = 9
"""Blocks per face height."""

GROWTH = 0.04
"""How far the hidden area extends beyond the mask, as a fraction of the face's height."""


def blur(
    image: Image,
    segmentation: Segmentation,
    chosen: Chosen,
    *,
    invert: bool,
    feather: float = 0.0,
) -> Picture:
    """Blur the chosen classes (or, inverted, everything else) beyond recognition.

    The hidden area is fully blurred; beyond it, the blur fades out over `feather` more pixels.
    """
    import cv2

    size = _face_pixels(segmentation, chosen)
    growth = max(2, round(GROWTH * size))
    if invert:
        picture = _blurred(image, size)
        for region in labelled_regions(segmentation, margin=3 * growth):
            hidden = 255 - chosen.where(segmentation.labels[region])
            weight = _soft_cover(hidden, growth, feather)
            picture[region] = cv2.blendLinear(picture[region], image[region], weight, 1.0 - weight)
        return picture
    picture = image.copy()
    cover = Cover(segmentation, chosen, feather=0.0)
    reach = 3 * growth + math.ceil(feather) + cover.reach
    for region in labelled_regions(segmentation, margin=reach):
        hidden = chosen.where(segmentation.labels[region])
        if not cv2.countNonZero(hidden):
            continue
        weight = _soft_cover(hidden, growth, feather)
        if cover.is_soft:
            # hide at least what the labels alone would hide
            np.maximum(weight, cover.of(region) / np.float32(255), out=weight)
        # OpenCV writes into neither argument, and the region's pixels are still unmodified.
        part = picture[region]
        part[:] = cv2.blendLinear(_blurred(part, size), part, weight, 1.0 - weight)
    for region in _held_regions(segmentation):
        picture[region] = _blurred(image[region], size)
    return picture


def pixelate(image: Image, segmentation: Segmentation, chosen: Chosen, *, invert: bool) -> Picture:
    """Replace the chosen classes (or, inverted, everything else) with coarse blocks of colour."""
    import cv2

    size = _face_pixels(segmentation, chosen)
    block, growth = _block_pixels(size), max(1, round(0.5 * GROWTH * size))
    height, width = image.shape[:2]
    if invert:
        everything = (slice(0, height), slice(0, width))
        picture = _blocks(image, everything, block)
        for region in labelled_regions(segmentation, margin=2 * growth + 1):
            hidden = _dilated(255 - chosen.where(segmentation.labels[region]), growth)
            cv2.copyTo(image[region], 255 - hidden, picture[region])
        return picture
    picture = image.copy()
    for region in labelled_regions(segmentation, margin=growth):
        region = _on_grid(region, block, width, height)
        hidden = _dilated(chosen.where(segmentation.labels[region]), growth)
        if cv2.countNonZero(hidden):
            touched = _touched_blocks(hidden, block)
            cv2.copyTo(_blocks(picture, region, block), touched, picture[region])
    for region in _held_regions(segmentation):
        region = _on_grid(region, block, width, height)
        picture[region] = _blocks(image, region, block)
    return picture


def _face_pixels(segmentation: Segmentation, chosen: Chosen) -> float:
    """The height that determines the strength: the largest face's, else the chosen area's."""
    height, width = segmentation.labels.shape
    sizes = [max(face.box.height, face.box.width) for face in segmentation.faces]
    sizes += [max(box.height, box.width) for box in segmentation.held]
    if not sizes:
        import cv2

        _, _, box_width, box_height = cv2.boundingRect(chosen.where(segmentation.labels))
        sizes = [max(box_height, box_width)] if box_height else [height / 3]
    return float(min(max(sizes), 2 * max(height, width)))


def _held_regions(segmentation: Segmentation) -> list[Region]:
    """The areas of recently lost and of unlabelled faces, each at least one pixel."""
    height, width = segmentation.labels.shape
    regions = []
    for box in segmentation.held:
        rows = slice(max(0, math.floor(box.top)), min(height, math.ceil(box.bottom)))
        columns = slice(max(0, math.floor(box.left)), min(width, math.ceil(box.right)))
        if rows.start < rows.stop and columns.start < columns.stop:
            regions.append((rows, columns))
    return regions


def _blurred(image: Image, face_pixels: float) -> Image:
    """Remove all detail finer than a tenth of a face."""
    import cv2

    height, width = image.shape[:2]
    step = max(face_pixels / BLUR_ROWS, 2.0)
    small_size = (max(1, round(width / step)), max(1, round(height / step)))
    small = cv2.resize(image, small_size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), 1.2, borderType=cv2.BORDER_REPLICATE)
    # Enlarged in two steps, so that the artefacts of one large linear step do not show.
    middle_size = (min(width, 4 * small_size[0]), min(height, 4 * small_size[1]))
    middle = cv2.resize(small, middle_size, interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.resize(middle, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _dilated(mask: LabelMap, radius: int) -> LabelMap:
    import cv2

    kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    return np.asarray(cv2.dilate(mask, kernel), np.uint8)


def _soft_cover(mask: LabelMap, growth: int, feather: float) -> npt.NDArray[np.float32]:
    """1 on the mask and within half of `growth` around it, falling to 0 over one more `growth`.

    With a feather it is 1 wherever it would otherwise be positive, and falls to 0 over `feather`
    pixels.
    """
    import cv2

    half = max(1, growth // 2)
    grown = _dilated(mask, growth + half if feather else growth)
    if feather:
        away = cv2.distanceTransform(255 - grown, cv2.DIST_L2, cv2.DIST_MASK_5)
        ramp = 1 - np.asarray(away, np.float32) / np.float32(feather + 1)
        return ramp.clip(0, 1, out=ramp)
    soft = cv2.blur(grown, (2 * half + 1, 2 * half + 1), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(soft, np.float32) / np.float32(255.0)


def _block_pixels(face_pixels: float) -> int:
    """A block's side, in steps of a fifth, so that an approaching face does not shimmer."""
    pixels = max(face_pixels / PIXELATE_ROWS, 2.0)
    return max(2, round(1.2 ** math.ceil(math.log(pixels, 1.2))))


def _on_grid(region: Region, block: int, width: int, height: int) -> Region:
    """Extend the region to whole blocks of the frame's grid."""
    rows, columns = region
    return (
        slice(rows.start // block * block, min(-(-rows.stop // block) * block, height)),
        slice(columns.start // block * block, min(-(-columns.stop // block) * block, width)),
    )


def _whole_blocks(part: npt.NDArray[np.uint8], block: int) -> npt.NDArray[np.uint8]:
    """Repeat the last row and column to fill whole blocks."""
    import cv2

    below, right = -part.shape[0] % block, -part.shape[1] % block
    if not below and not right:
        return part
    return np.asarray(cv2.copyMakeBorder(part, 0, below, 0, right, cv2.BORDER_REPLICATE), np.uint8)


def _blocks(image: Image, region: Region, block: int) -> Image:
    """Replace each block of a grid-aligned region with its mean colour."""
    import cv2

    part = image[region]
    whole = _whole_blocks(part, block)
    small_size = (whole.shape[1] // block, whole.shape[0] // block)
    small = cv2.resize(whole, small_size, interpolation=cv2.INTER_AREA)
    large_size = (whole.shape[1], whole.shape[0])
    large = cv2.resize(small, large_size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(large, np.uint8)[: part.shape[0], : part.shape[1]]


def _touched_blocks(mask: LabelMap, block: int) -> LabelMap:
    """255 in every block that contains a pixel of the mask, else 0."""
    whole = _whole_blocks(mask, block)
    rows, columns = whole.shape[0] // block, whole.shape[1] // block
    touched = whole.reshape(rows, block, columns, block).max(axis=(1, 3))
    large = touched.repeat(block, axis=0).repeat(block, axis=1)
    return np.ascontiguousarray(large[: mask.shape[0], : mask.shape[1]])
