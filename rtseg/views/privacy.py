"""The privacy views: blur and pixelate. What they hide is gone from the picture.

Both first average the picture down until a face is only a few pixels high, and draw from those:
the detail is not mixed but removed, so that no sharpening brings it back. The hidden area reaches
a little over the mask, so that no rim is left to recognise someone by. Where a face was lost from
sight a moment ago, its whole place is hidden too: one missed frame must not show it.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from rtseg.frames import Image, LabelMap, Picture, Segmentation
from rtseg.views.selection import Chosen, Region, labelled_regions
from rtseg.views.soft_edges import Cover

BLUR_ROWS = 10
"""Pixels that a face's height is averaged down to before it is blurred further."""

PIXELATE_ROWS = 9
"""Blocks in a face's height."""

GROWTH = 0.04
"""How far the hidden area reaches over the mask, as a fraction of a face's height."""


def blur(
    image: Image,
    segmentation: Segmentation,
    chosen: Chosen,
    *,
    invert: bool,
    feather: float = 0.0,
) -> Picture:
    """The chosen classes blurred beyond recognition, or, inverted, everything else.

    The blur begins where the hidden area ends, and fades out beyond it over `feather` pixels more.
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
            # never less hidden than by the labels alone
            np.maximum(weight, cover.of(region) / np.float32(255), out=weight)
        # OpenCV writes into neither argument, and the region's own pixels are still untouched.
        seen = picture[region]
        seen[:] = cv2.blendLinear(_blurred(seen, size), seen, weight, 1.0 - weight)
    for region in _held_regions(segmentation):
        picture[region] = _blurred(image[region], size)
    return picture


def pixelate(image: Image, segmentation: Segmentation, chosen: Chosen, *, invert: bool) -> Picture:
    """The chosen classes in coarse blocks of one colour each, or, inverted, everything else."""
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
    """The height that the strength goes by: the largest face's, else that of what is chosen."""
    height, width = segmentation.labels.shape
    sizes = [max(face.box.height, face.box.width) for face in segmentation.faces]
    sizes += [max(box.height, box.width) for box in segmentation.held]
    if not sizes:
        import cv2

        _, _, box_width, box_height = cv2.boundingRect(chosen.where(segmentation.labels))
        sizes = [max(box_height, box_width)] if box_height else [height / 3]
    return float(min(max(sizes), 2 * max(height, width)))


def _held_regions(segmentation: Segmentation) -> list[Region]:
    """The places where faces were lost, each of at least a pixel."""
    height, width = segmentation.labels.shape
    regions = []
    for box in segmentation.held:
        rows = slice(max(0, math.floor(box.top)), min(height, math.ceil(box.bottom)))
        columns = slice(max(0, math.floor(box.left)), min(width, math.ceil(box.right)))
        if rows.start < rows.stop and columns.start < columns.stop:
            regions.append((rows, columns))
    return regions


def _blurred(image: Image, face_pixels: float) -> Image:
    """The picture without any detail finer than a tenth of a face."""
    import cv2

    height, width = image.shape[:2]
    step = max(face_pixels / BLUR_ROWS, 2.0)
    small_size = (max(1, round(width / step)), max(1, round(height / step)))
    small = cv2.resize(image, small_size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), 1.2, borderType=cv2.BORDER_REPLICATE)
    # Two steps up, so that the triangles of one long linear stretch do not show.
    middle_size = (min(width, 4 * small_size[0]), min(height, 4 * small_size[1]))
    middle = cv2.resize(small, middle_size, interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.resize(middle, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _dilated(mask: LabelMap, radius: int) -> LabelMap:
    import cv2

    kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    return np.asarray(cv2.dilate(mask, kernel), np.uint8)


def _soft_cover(mask: LabelMap, growth: int, feather: float) -> npt.NDArray[np.float32]:
    """1 on the mask and half a growth around it, falling to 0 over one more growth.

    With a feather it is 1 as far as it would else be above 0, and falls to 0 over those pixels.
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
    """A block's side, in steps of a fifth: a face that comes closer must not shimmer."""
    wanted = max(face_pixels / PIXELATE_ROWS, 2.0)
    return max(2, round(1.2 ** math.ceil(math.log(wanted, 1.2))))


def _on_grid(region: Region, block: int, width: int, height: int) -> Region:
    """The region grown to whole blocks of the frame's grid."""
    rows, columns = region
    return (
        slice(rows.start // block * block, min(-(-rows.stop // block) * block, height)),
        slice(columns.start // block * block, min(-(-columns.stop // block) * block, width)),
    )


def _whole_blocks(part: npt.NDArray[np.uint8], block: int) -> npt.NDArray[np.uint8]:
    """The part, its last row and column repeated to whole blocks."""
    import cv2

    below, right = -part.shape[0] % block, -part.shape[1] % block
    if not below and not right:
        return part
    return np.asarray(cv2.copyMakeBorder(part, 0, below, 0, right, cv2.BORDER_REPLICATE), np.uint8)


def _blocks(image: Image, region: Region, block: int) -> Image:
    """A region that lies on the grid, each block in its mean colour."""
    import cv2

    part = image[region]
    whole = _whole_blocks(part, block)
    small_size = (whole.shape[1] // block, whole.shape[0] // block)
    small = cv2.resize(whole, small_size, interpolation=cv2.INTER_AREA)
    large_size = (whole.shape[1], whole.shape[0])
    large = cv2.resize(small, large_size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(large, np.uint8)[: part.shape[0], : part.shape[1]]


def _touched_blocks(mask: LabelMap, block: int) -> LabelMap:
    """255 over every block in which the mask has a pixel."""
    whole = _whole_blocks(mask, block)
    rows, columns = whole.shape[0] // block, whole.shape[1] // block
    touched = whole.reshape(rows, block, columns, block).max(axis=(1, 3))
    large = touched.repeat(block, axis=0).repeat(block, axis=1)
    return np.ascontiguousarray(large[: mask.shape[0], : mask.shape[1]])
