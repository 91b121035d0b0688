"""Write small data sets in the exact layouts of the published ones."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.uint8]


def write(path: Path, pixels: Array) -> Path:
    """Write a picture file from RGB, in the suffix's format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = pixels[:, :, ::-1] if pixels.ndim == 3 else pixels
    quality = [cv2.IMWRITE_JPEG_QUALITY, 98] if path.suffix == ".jpg" else []
    assert cv2.imwrite(str(path), np.ascontiguousarray(stored), quality)
    return path


def write_bmp32(path: Path, pixels: Array, *, alpha: int) -> Path:
    """A 32-bit BMP (BGRA, bottom up), as some of FASSEG's labels are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = pixels.shape[:2]
    four = np.dstack([pixels[:, :, ::-1], np.full((height, width), alpha, np.uint8)])[::-1]
    size = 54 + four.nbytes
    header = b"BM" + size.to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    header += (
        (40).to_bytes(4, "little") + width.to_bytes(4, "little") + height.to_bytes(4, "little")
    )
    header += (1).to_bytes(2, "little") + (32).to_bytes(2, "little") + bytes(24)
    path.write_bytes(header + four.tobytes())
    return path


def flat(height: int, width: int, colour: tuple[int, int, int]) -> Array:
    """A picture of one colour."""
    return np.full((height, width, 3), colour, np.uint8)


def picture(seed: int, height: int = 32, width: int = 32) -> Array:
    """A smooth picture, different for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    smooth: Array = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return smooth


def blocks(ids: list[int], height: int = 32, width: int = 32) -> Array:
    """Vertical stripes of label ids."""
    edges = np.linspace(0, width, len(ids) + 1).astype(int)
    labels = np.zeros((height, width), np.uint8)
    for value, left, right in zip(ids, edges, edges[1:], strict=False):
        labels[:, left:right] = value
    return labels
