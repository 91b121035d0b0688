"""Write a video output's metadata: the input's tags and chapters, and colour tags."""

from __future__ import annotations

import logging
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from rtseg.errors import listed
from rtseg.media.colour import FULL_RANGE, LIMITED_RANGE, RGB_MATRIX
from rtseg.media.info import ColourTags, SourceInfo

if TYPE_CHECKING:
    from av.container.output import OutputContainer

_OLD_TAGS = frozenset(
    {"major_brand", "minor_version", "compatible_brands", "encoder", "duration", "creation_time"}
)
"""Container tags that describe the old file rather than its content."""

_TICK = Fraction(1, 1_000_000)

_log = logging.getLogger(__name__)


def describe_container(container: OutputContainer, info: SourceInfo, *, keep_tags: bool) -> None:
    """Copy the chapters and, if requested, the tags."""
    if keep_tags:
        container.metadata.update({key: info.metadata[key] for key in _content_tags(info)})
    if info.chapters:
        chapters: list[Any] = [
            {
                "id": number,
                "start": round(chapter.start_seconds / _TICK),
                "end": round(chapter.end_seconds / _TICK),
                "time_base": _TICK,
                "metadata": {"title": chapter.title} if chapter.title else {},
            }
            for number, chapter in enumerate(info.chapters, start=1)
        ]
        container.set_chapters(chapters)


def log_dropped_tags(info: SourceInfo, *, output: str) -> None:
    """Log the tags that are dropped, if any."""
    tags = _content_tags(info)
    if tags:
        _log.info(
            "%s: the input's tags are dropped (%s); `metadata` keep copies them",
            output,
            listed(tags),
        )


def _content_tags(info: SourceInfo) -> list[str]:
    return sorted(key for key in info.metadata if key.lower() not in _OLD_TAGS)


def tag_colour(context: Any, colour: ColourTags, *, is_yuv: bool) -> None:
    """Set an encoder's colour tags."""
    context.color_primaries, context.color_trc = colour.primaries, colour.transfer
    if not is_yuv:
        context.colorspace, context.color_range = RGB_MATRIX, FULL_RANGE
        return
    context.colorspace = colour.matrix
    if colour.full_range is not None:
        context.color_range = FULL_RANGE if colour.full_range else LIMITED_RANGE
