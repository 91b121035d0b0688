"""Complete outputs that are only a folder or have no suffix.

In a folder (an existing one, or a name ending in `/`), outputs are named after their inputs. A
pattern (`out/%06d.png`) selects pictures.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from rtseg.errors import SettingError
from rtseg.media.urls import display_name, local_path, url_scheme
from rtseg.settings import EncodeSettings
from rtseg.sinks.codecs import CODECS, CONTAINERS, STANDARD_OUTPUT
from rtseg.sinks.image_sequence import IMAGE_SUFFIXES
from rtseg.sources import is_camera
from rtseg.sources.listing import is_listing
from rtseg.sources.still import SUFFIXES as STILL_SUFFIXES

_PATTERN = re.compile(r"%0?\d*d")

NUMBERED = "%06d.png"
"""The names of pictures in a folder."""

LABELS_SUFFIX = ".labels.mkv"
RECORDS_SUFFIX = ".jsonl"
COCO_SUFFIX = ".json"
"""What follows an input's name in a folder, for label ids, JSON lines and COCO annotations."""


def is_folder(output: str) -> bool:
    """Whether a name is a folder: it ends in a slash, or the folder exists."""
    endings = tuple(filter(None, ("/", os.sep, os.altsep)))
    return url_scheme(output) is None and (output.endswith(endings) or Path(output).is_dir())


def video_destination(
    output: str,
    *,
    source: str,
    encode: EncodeSettings,
    frames: bool = False,
    is_lossless: bool = False,
) -> str:
    """Resolve `output` to a file, pattern, URL or standard output for one input.

    Args:
        output: the requested output.
        source: the input, which a file in a folder is named after.
        encode: its codec determines the container of a file in a folder.
        frames: whether to write pictures whatever the name, so that `out` means `out/%06d.png`.
        is_lossless: whether a soft mask is written instead of a view.

    Raises:
        SettingError: it is the name of neither a file nor a folder.
    """
    if output == STANDARD_OUTPUT or url_scheme(output) is not None:
        if frames:
            raise SettingError(f"{display_name(output)}: pictures need a folder or a pattern")
        return output
    path = Path(output)
    if _PATTERN.search(path.name):
        return output
    if frames:
        if path.suffix and not is_folder(output):
            raise SettingError(
                f"{output}: pictures need a folder, or a pattern "
                f"({path.with_suffix('')}/{NUMBERED})"
            )
        return str(path / NUMBERED)
    if is_folder(output):
        container = container_for(source, encode, is_lossless=is_lossless)
        return str(path / (stem_of(source) + container))
    if path.suffix.lower() in IMAGE_SUFFIXES and path.suffix.lower() != ".webp":
        raise SettingError(
            f"{output}: is one picture, and a video has many; give a pattern "
            f"({path.with_name(path.stem + '-%06d' + path.suffix)}), or use rtseg image"
        )
    if path.suffix:
        return output
    name = stem_of(source) + container_for(source, encode)
    raise SettingError(
        f"{output}: is neither a file name nor an existing folder; give {output}.mp4 for a "
        f"video, {output}/ for {output}/{name}, or {output}/{NUMBERED} for pictures"
    )


def labels_destination(labels: str, *, source: str, in_folder: bool) -> str:
    """Resolve the output for one input's label ids.

    Args:
        labels: a file, a pattern or a folder of PNGs.
        source: the input.
        in_folder: whether the view goes into a folder, named after its input; if so, the labels
            do too.
    """
    if in_folder and (is_folder(labels) or not Path(labels).suffix):
        return str(Path(labels) / f"{stem_of(source)}{LABELS_SUFFIX}")
    return labels


def records_destination(records: str, *, source: str) -> str:
    """Resolve the output for one input's JSON lines; in a folder they are named after the input."""
    if is_folder(records):
        return str(Path(records) / f"{stem_of(source)}{RECORDS_SUFFIX}")
    return records


def coco_destination(coco: str, *, source: str) -> str:
    """Resolve the output for one input's COCO annotations; in a folder, named after the input."""
    if is_folder(coco):
        return str(Path(coco) / f"{stem_of(source)}{COCO_SUFFIX}")
    return coco


def stem_of(source: str) -> str:
    """The name for an output derived from its input: `clip` for `x/clip.mov`, `shots` for
    `shots/*.png`, `camera-0` for a camera."""
    if is_camera(source):
        return f"camera-{Path(source).name.removeprefix('video')}"
    path = local_path(source)
    if path is not None and is_listing(source):
        if path.is_dir():
            return path.resolve().name or "pictures"
        plain = re.sub(r"%0?\d*d|[*?]|\[[^]]*\]", "", path.stem).strip("-_. ")
        return plain or path.parent.resolve().name or "pictures"
    return Path(display_name(source)).stem or "video"


def container_for(source: str, encode: EncodeSettings, *, is_lossless: bool = False) -> str:
    """Choose the suffix of a video in a folder: its input's if that is writable and supports the
    codec; otherwise .mkv for videos, .mp4 for pictures and animations. A soft mask, which is
    written without loss (`is_lossless`), is always a .mkv."""
    if is_lossless:
        return ".mkv"
    allowed = tuple(CONTAINERS) if encode.codec == "auto" else CODECS[encode.codec].suffixes
    if is_listing(source):
        return ".mp4" if ".mp4" in allowed else ".mkv"
    suffix = Path(display_name(source)).suffix.lower()
    if suffix in STILL_SUFFIXES or is_camera(source):
        return ".mp4" if ".mp4" in allowed else ".mkv"
    return suffix if suffix in allowed else ".mkv"
