"""Find the Dolby Vision profile of a video, and whether it displays without a Dolby decoder.

Profiles 7 and 8 add their data to pictures that are HDR10, HLG or SDR by themselves. Pictures of
profile 5, and of profile 10 without such a base layer, use a proprietary colour space.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from rtseg.media.side_data import side_data

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_BOXES = (b"dvcC", b"dvvC", b"dvwC")
"""Names of the configuration record: an ISO box, or a Matroska block addition."""

_MATROSKA_DATA = b"\x41\xed"
"""BlockAddIDExtraData (RFC 9559)."""

_TRANSPORT_REGISTRATION, _TRANSPORT_DESCRIPTOR = b"\x05\x04DOVI", b"\xb0"

_ENTRY_POINTS = frozenset({"dvh1", "dvhe", "dav1", "dva1", "dvav"})
"""Codec tags of streams that need a Dolby decoder, or claim to."""

_HEAD_BYTES = 1 << 20
_LARGEST_MOOV = 64 << 20


@dataclass(frozen=True, kw_only=True)
class DolbyVision:
    """A video's Dolby Vision configuration.

    Attributes:
        profile: 4, 5, 7, 8, 9, 10 or 20.
        base: the base layer that the pictures are compatible with: 0 none, 1 HDR10, 2 SDR,
            4 HLG, 6 Ultra HD Blu-ray.
    """

    profile: int
    base: int

    @property
    def has_base(self) -> bool:
        """Whether the pictures display correctly without a Dolby decoder."""
        return self.base != 0 or self.profile in (4, 7, 8, 9)

    @classmethod
    def of(cls, picture: VideoFrame, *, path: Path | None, codec_tag: str) -> Self | None:
        """Read the configuration from the first picture or its file; None if not Dolby Vision."""
        configuration = None if path is None else cls.in_file(path)
        if configuration is None:
            configuration = cls._of_picture(picture)
        if configuration is None and codec_tag in _ENTRY_POINTS and picture.color_trc == 2:
            configuration = cls(profile=5, base=0)
        return configuration

    @classmethod
    def in_file(cls, path: Path) -> Self | None:
        """Read the configuration from an ISO media, Matroska or MPEG-TS file."""
        try:
            data = _header(path)
        except OSError:
            return None
        for name in _BOXES:
            place = data.find(name)
            while place >= 0:
                record = _record(data, place + 4)
                configuration = None if record is None else cls._parsed(record)
                if configuration is not None:
                    return configuration
                place = data.find(name, place + 4)
        place = data.find(_TRANSPORT_REGISTRATION)
        if data[:1] == b"\x47" and place >= 0:
            place = data.find(_TRANSPORT_DESCRIPTOR, place, place + 64)
            if place >= 0:
                return cls._parsed(data[place + 2 :], is_transport=True)
        return None

    @classmethod
    def _parsed(cls, record: bytes, *, is_transport: bool = False) -> Self | None:
        """Parse a configuration record: versions, profile (7 bits), level (6), flags, base (4)."""
        if len(record) < 7 or not 1 <= record[0] <= 3:
            return None
        bits = int.from_bytes(record[2:4], "big")
        profile, has_base_layer = bits >> 9, bits & 1
        base = record[4] >> 4
        if is_transport and not has_base_layer:
            base = record[6] >> 4  # preceded by the number of the stream that it depends on
        is_known = profile in (4, 5, 7, 8, 9, 10, 20)
        return cls(profile=profile, base=base) if is_known else None

    @classmethod
    def _of_picture(cls, picture: VideoFrame) -> Self | None:
        """Read what FFmpeg's decoder attached to the picture (AVDOVIMetadata)."""
        data = side_data(picture, "DOVI_METADATA")
        if data is None:
            return None
        (header,) = struct.unpack_from("@N", data)
        if header + 11 > len(data):
            return None
        kind, is_full_range = data[header + 4], data[header + 10]
        if kind == 0:
            return cls(profile=5 if is_full_range else 4, base=0 if is_full_range else 2)
        return cls(profile=8, base=1)


def _header(path: Path) -> bytes:
    """Read the part of a file that holds its metadata."""
    from rtseg.media.truncation import boxes

    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        for kind, end, length in boxes(file, size):
            if kind == b"moov" and length <= _LARGEST_MOOV:
                file.seek(end - length)
                return file.read(length)
    return head


def _record(data: bytes, place: int) -> bytes | None:
    """The configuration that follows a name: at once in a box, as an element in Matroska."""
    if int.from_bytes(data[place - 8 : place - 4], "big") in (24, 32):
        return data[place : place + 24]
    element = data.find(_MATROSKA_DATA, place, place + 64)
    if element < 0:
        return None
    start = element + len(_MATROSKA_DATA) + 1
    return data[start : start + 24]
