"""Describe a source before its first frame: size, times, colour, streams, chapters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

from rtseg.system.files import FileId

StreamKind = Literal["audio", "subtitle"]
"""Kinds of stream that are copied beside a video."""


@dataclass(frozen=True, kw_only=True)
class ColourTags:
    """A stream's colour encoding as code points of ITU-T H.273, where 2 is "unspecified".

    `full_range` is None if the stream does not state it.
    """

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    full_range: bool | None = None


@dataclass(frozen=True, kw_only=True)
class StreamInfo:
    """An audio or subtitle stream beside the video, which may be copied.

    Attributes:
        index: the index that `Packet.stream_index` refers to.
        kind: audio or subtitle.
        codec: FFmpeg's name (`aac`, `opus`, `subrip` …).
        language: ISO 639-2 code, or None.
        template: the demuxer's stream object; only the sink that copies it uses it.
        first_packets: its first few packets as a sample, since these can determine whether a
            container supports the stream. Empty if none arrived soon.
    """

    index: int
    kind: StreamKind
    codec: str
    language: str | None = None
    template: object = field(default=None, repr=False, compare=False)
    first_packets: tuple[object, ...] = field(default=(), repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """A named stretch of time."""

    start_seconds: Fraction
    end_seconds: Fraction
    title: str


@dataclass(frozen=True, kw_only=True)
class SourceInfo:
    """A source's description of itself, once it is open.

    Attributes:
        name: for people: a file's name, a URL without its secrets, `camera 0`.
        width, height: size of every frame in pixels, after rotation.
        time_base: seconds per tick of `Frame.pts`.
        is_live: frames arrive in real time, and old ones become worthless.
        frame_rate: nominal frames per second; None if unknown. Never used to compute times.
        frame_count: an estimate, for progress only; None if unknown.
        duration_seconds: an estimate, for progress only; None if unknown.
        colour: the source's colour encoding.
        sample_aspect_ratio: a pixel's width over its height.
        streams: the streams that can be copied beside the video.
        chapters: the container's chapters.
        metadata: the container's tags, for copying.
        read_files: every local file that is read, including those named by a list or pattern;
            no sink of the run overwrites them.
    """

    name: str
    width: int
    height: int
    time_base: Fraction
    is_live: bool = False
    frame_rate: Fraction | None = None
    frame_count: int | None = None
    duration_seconds: float | None = None
    colour: ColourTags = ColourTags()
    sample_aspect_ratio: Fraction = Fraction(1)
    streams: tuple[StreamInfo, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    read_files: frozenset[FileId] = frozenset()
