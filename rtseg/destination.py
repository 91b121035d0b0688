"""Resolve an output that names only a folder, or has no suffix.

A folder (one that is there, or a name that ends in `/`) holds the outputs under the names of their
inputs. Pictures are asked for by a pattern (`out/%06d.png`).
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
"""What the pictures in a folder are called."""


def is_folder(output: str) -> bool:
    """Whether a name is a folder's: it ends in a slash, or the folder is there."""
    endings = tuple(filter(None, ("/", os.sep, os.altsep)))
    return url_scheme(output) is None and (output.endswith(endings) or Path(output).is_dir())


def video_destination(
    output: str, *, source: str, encode: EncodeSettings, frames: bool = False
) -> str:
    """The file, pattern, URL or standard output that `output` stands for, for one input.

    Args:
        output: as it was asked for.
        source: what is read, after which a file in a folder is named.
        encode: its codec chooses the container of a file in a folder.
        frames: pictures are wanted, whatever the name: `out` is `out/%06d.png`.

    Raises:
        SettingError: it is neither a file's nor a folder's name.
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
        return str(path / (stem_of(source) + container_for(source, encode)))
    if path.suffix.lower() in IMAGE_SUFFIXES and path.suffix.lower() != ".webp":
        raise SettingError(
            f"{output}: is one picture, and a video has many; give a pattern "
            f"({path.with_name(path.stem + '-%06d' + path.suffix)}), or use rtseg image"
        )
    if path.suffix:
        return output
    name = stem_of(source) + container_for(source, encode)
    raise SettingError(
        f"{output}: is neither a file's name nor a folder that is there; give {output}.mp4 for a "
        f"video, {output}/ for {output}/{name}, or {output}/{NUMBERED} for pictures"
    )


def labels_destination(labels: str, *, source: str, in_folder: bool) -> str:
    """Where the label ids of one input go.

    Args:
        labels: a file, a pattern or a folder of PNGs.
        source: what is read.
        in_folder: the view goes into a folder under its input's name, and so do the labels.
    """
    if in_folder and (is_folder(labels) or not Path(labels).suffix):
        return str(Path(labels) / f"{stem_of(source)}.labels.mkv")
    return labels


def records_destination(records: str, *, source: str) -> str:
    """Where the JSON lines of one input go: a folder holds them under its input's name."""
    if is_folder(records):
        return str(Path(records) / f"{stem_of(source)}.jsonl")
    return records


def stem_of(source: str) -> str:
    """What an output is called after its input: `clip` of `x/clip.mov`, `shots` of `shots/*.png`,
    `camera-0` of a camera."""
    if is_camera(source):
        return f"camera-{Path(source).name.removeprefix('video')}"
    path = local_path(source)
    if path is not None and is_listing(source):
        if path.is_dir():
            return path.resolve().name or "pictures"
        plain = re.sub(r"%0?\d*d|[*?]|\[[^]]*\]", "", path.stem).strip("-_. ")
        return plain or path.parent.resolve().name or "pictures"
    return Path(display_name(source)).stem or "video"


def container_for(source: str, encode: EncodeSettings) -> str:
    """The suffix of a video in a folder: its input's, where that can be written and holds the
    codec; else .mkv for videos, .mp4 for pictures and animations."""
    allowed = tuple(CONTAINERS) if encode.codec == "auto" else CODECS[encode.codec].suffixes
    if is_listing(source):
        return ".mp4" if ".mp4" in allowed else ".mkv"
    suffix = Path(display_name(source)).suffix.lower()
    if suffix in STILL_SUFFIXES or is_camera(source):
        return ".mp4" if ".mp4" in allowed else ".mkv"
    return suffix if suffix in allowed else ".mkv"
