"""Write soft masks without loss: how much of each pixel belongs to certain classes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from rtseg.errors import SettingError, listed
from rtseg.frames import Frame, Picture, Segmentation
from rtseg.media.info import SourceInfo
from rtseg.sinks.base import Outcome, Sink
from rtseg.sinks.image_sequence import ImageSequence
from rtseg.sinks.labels.video import GreyVideoSink

CLASSES_TAG = "RTSEG_ALPHA"
"""The Matroska tag for the class names, as a JSON list."""

AlphaBits = Literal[8, 16]

Plane = npt.NDArray[np.unsignedinteger]


def open_alpha_sink(
    output: str, *, classes: Sequence[str], bits: AlphaBits = 8, overwrite: bool = False
) -> Sink:
    """Make the sink for a soft mask: `.mkv` (FFV1), or a folder or pattern of PNGs.

    It needs segmentations with soft masks (`Segmenter(soft=True)`).

    Args:
        output: `hair.mkv`, `hair/` or `hair/%06d.png`.
        classes: the classes and groups whose shares are added.
        bits: bits per pixel; white means that the whole pixel belongs to them.
        overwrite: whether existing files may be replaced.

    Raises:
        SettingError: the format or the number of bits is not supported.
    """
    if bits not in get_args(AlphaBits):
        raise SettingError(f"`bits` is {bits}; allowed: {listed(map(str, get_args(AlphaBits)))}")
    suffix = Path(output).suffix.lower()
    if suffix == ".mkv":
        return _AlphaVideoSink(output, classes=classes, bits=bits, overwrite=overwrite)
    if suffix and suffix != ".png":
        raise SettingError(
            f"{output}: {suffix} cannot hold a soft mask without loss; "
            "allowed: .mkv, a folder, or a pattern (hair/%06d.png)"
        )
    if suffix == ".png" and "%" not in Path(output).name:
        raise SettingError(
            f"{output}: one file for many frames; give a folder, or a pattern (hair/%06d.png)"
        )
    return _AlphaImagesSink(output, classes=classes, bits=bits, overwrite=overwrite)


def alpha_plane(segmentation: Segmentation, classes: Sequence[str], bits: AlphaBits) -> Plane:
    """A soft mask as integers: uint8 or uint16 (height, width), the largest value meaning 1.

    Raises:
        SettingError: a class is unknown, or the segmentation has no soft masks.
    """
    alpha = segmentation.alpha(*classes)
    full = 255 if bits == 8 else 65_535
    scaled = alpha * np.float32(full) + np.float32(0.5)
    return scaled.clip(0, full).astype(np.uint8 if bits == 8 else np.uint16)


class _AlphaVideoSink(GreyVideoSink):
    def __init__(
        self, output: str, *, classes: Sequence[str], bits: AlphaBits, overwrite: bool
    ) -> None:
        pixel_format = "gray" if bits == 8 else "gray16le"
        super().__init__(output, overwrite=overwrite, pixel_format=pixel_format)
        self._classes = tuple(classes)
        self._bits: AlphaBits = bits

    def plane(self, segmentation: Segmentation) -> Plane:
        return alpha_plane(segmentation, self._classes, self._bits)

    def tags(self, segmentation: Segmentation) -> Mapping[str, str]:
        return {CLASSES_TAG: json.dumps(self._classes)}


class _AlphaImagesSink(Sink):
    wants_pixels = False

    def __init__(
        self, output: str, *, classes: Sequence[str], bits: AlphaBits, overwrite: bool
    ) -> None:
        self._output = output
        self._classes = tuple(classes)
        self._bits: AlphaBits = bits
        self._files = ImageSequence(output, suffixes=(".png",), overwrite=overwrite)

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        self._files.claim(info.read_files)

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        self._files.write(alpha_plane(segmentation, self._classes, self._bits))

    def close(self, outcome: Outcome) -> None:
        self._files.settle()

    def describe(self) -> str:
        return self._output
