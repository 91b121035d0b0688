"""What is known of a source before its first frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

from rtseg.system.files import FileId

StreamKind = Literal["audio", "subtitle"]
"""What can ride along with a video."""


@dataclass(frozen=True, kw_only=True)
class ColourTags:
    """How a stream's pixels encode colour: the code points of ITU-T H.273; 2 is "unspecified".

    `full_range` is None where the stream does not say.
    """

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    full_range: bool | None = None


@dataclass(frozen=True, kw_only=True)
class StreamInfo:
    """A stream that rides along with the video and may be copied.

    Attributes:
        index: what `Packet.stream_index` refers to.
        kind: what it carries.
        codec: FFmpeg's name of it (`aac`, `opus`, `subrip` …).
        language: ISO 639-2 code, or None.
        template: the demuxer's own stream; only the sink that copies it looks inside.
        first_packets: the demuxer's packets that it begins with, a few, as a sample: whether a
            container holds a stream can depend on them. Empty where none came soon.
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
    """What a source says of itself once it is open.

    Attributes:
        name: for people: a file's name, a URL without its secrets, `camera 0`.
        width, height: of every frame delivered, in pixels, rotation applied.
        time_base: seconds a tick of `Frame.pts`.
        is_live: frames arrive by the clock and old ones lose their worth.
        frame_rate: nominal, frames a second; None where unknown. Never for computing times.
        frame_count: an estimate, for progress only; None where unknown.
        duration_seconds: an estimate, for progress only; None where unknown.
        colour: how the source encoded colour.
        sample_aspect_ratio: a pixel's width over its height.
        streams: what can be copied beside the video.
        chapters: as in the container.
        metadata: the container's tags, for copying.
        read_files: the local files that are read, every one that a list or pattern names; no sink
            of the run writes over them.
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
