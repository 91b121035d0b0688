"""Tell whether a file in an older container is shorter than its header states.

Each format states its length differently: AVI in the sizes of its RIFF chunks, FLV in its metadata
and at the end of each tag, ASF (WMV) in its properties, MXF in its footer's position, IVF frame by
frame, GIF and Ogg with an end marker.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")

_MXF_KEY = bytes.fromhex("060e2b34")
_MXF_PARTITION = bytes.fromhex("060e2b34020501010d01020101")
_MXF_RUN_IN = 65536

_MOST_STEPS = 1_000_000
"""The most chunks of a file that are visited; longer files are not checked to the end."""

_FLV_SLACK_SECONDS = 2


def ends_early(path: Path) -> bool:
    """Whether the file is shorter than it states; False if it states no length or is unknown."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(16)
        for magic, reaches_beyond in _CONTAINERS.items():
            if head.startswith(magic):
                return reaches_beyond(file, size)
        if _MXF_KEY in head or path.suffix.lower() == ".mxf":
            return _mxf_reaches_beyond(file, size)
    return False


def _riff_reaches_beyond(file: BinaryIO, size: int) -> bool:
    """RIFF with OpenDML's further chunks; a killed writer leaves a size of 0."""
    position = 0
    while position + 8 <= size:
        file.seek(position)
        name, length = struct.unpack("<4sI", file.read(8))
        if name != b"RIFF" or not 4 < length < 0xFFFFFFFF:
            return False
        if position + 8 + length > size:
            return True
        position += 8 + length + length % 2
    return False


def _flv_reaches_beyond(file: BinaryIO, size: int) -> bool:
    file.seek(0)
    head = file.read(8192)
    stated = _amf_number(head, b"filesize")
    if stated is not None and stated > 0:
        return size < stated
    last = _last_flv_tag(file, size)
    if last is None:
        return True  # Each tag is followed by its length; the last one's is missing.
    duration = _amf_number(head, b"duration")
    return duration is not None and last / 1000 + _FLV_SLACK_SECONDS < duration


def _amf_number(head: bytes, name: bytes) -> float | None:
    """Read a number from the metadata: its name, a zero byte for its type, a double."""
    place = head.find(struct.pack(">H", len(name)) + name + b"\0")
    if place < 0:
        return None
    value: float
    (value,) = struct.unpack_from(">d", head.ljust(place + 40, b"\0"), place + 3 + len(name))
    return value


def _last_flv_tag(file: BinaryIO, size: int) -> int | None:
    """The time of the last tag in milliseconds; None if the file does not end with one."""
    if size < 13 + 11 + 4:
        return None
    file.seek(size - 4)
    length = int.from_bytes(file.read(4), "big")
    if not 11 <= length <= size - 13 - 4:
        return None
    file.seek(size - 4 - length)
    tag = file.read(11)
    if tag[0] & 0x1F not in (8, 9, 18) or int.from_bytes(tag[1:4], "big") != length - 11:
        return None
    return tag[7] << 24 | int.from_bytes(tag[4:7], "big")


def _asf_reaches_beyond(file: BinaryIO, size: int) -> bool:
    file.seek(0)
    head = file.read(1 << 16)
    place = head.find(_ASF_PROPERTIES)
    if place >= 0 and place + 92 <= len(head):
        (stated,) = struct.unpack_from("<Q", head, place + 40)
        (flags,) = struct.unpack_from("<I", head, place + 88)
        if flags & 1:
            return False  # A broadcast: its header was written before its end was known.
        if stated:
            return bool(size < stated)
    position = 0
    while position + 24 <= size:
        file.seek(position)
        name, length = struct.unpack("<16sQ", file.read(24))
        if length < 24:
            return False
        position += length
        if name not in (_ASF_HEADER, _ASF_DATA) or position > size:
            break
    return position > size


def _mxf_reaches_beyond(file: BinaryIO, size: int) -> bool:
    """A sequence of key, length and value (SMPTE ST 377)."""
    file.seek(0)
    position = file.read(_MXF_RUN_IN).find(_MXF_KEY)
    if position < 0:
        return False
    for step in range(_MOST_STEPS):
        if position + 17 > size:
            return position != size
        file.seek(position)
        piece = file.read(16 + 9 + 32)
        if not piece.startswith(_MXF_KEY):
            return False
        length, width = _ber_length(piece[16:])
        if step == 0 and piece.startswith(_MXF_PARTITION):
            start = 16 + width + 24
            footer = int.from_bytes(piece[start : start + 8], "big")
            if footer and footer + 17 > size:
                return True
        position += 16 + width + length
    return False


def _ber_length(data: bytes) -> tuple[int, int]:
    """Parse a BER length; return it and the number of bytes it occupies."""
    if data[0] < 0x80:
        return data[0], 1
    width = data[0] & 0x7F
    return int.from_bytes(data[1 : 1 + width], "big"), 1 + width


def _gif_reaches_beyond(file: BinaryIO, size: int) -> bool:
    """Blocks up to the trailer, each of which must be complete."""
    file.seek(10)
    flags = (file.read(1) or b"\0")[0]
    position = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    for _ in range(_MOST_STEPS):
        file.seek(position)
        kind = file.read(1)
        if not kind:
            return True
        if kind == b"!":
            position += 2
        elif kind == b",":
            descriptor = file.read(9)
            if len(descriptor) < 9:
                return True
            flags = descriptor[8]
            position += 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
        else:
            return False  # the trailer, or not a block
        while True:
            file.seek(position)
            length = file.read(1)
            if not length:
                return True
            position += 1 + length[0]
            if not length[0]:
                break
    return False


def _ogg_reaches_beyond(file: BinaryIO, size: int) -> bool:
    """The last page must be complete and end its stream."""
    file.seek(max(0, size - (1 << 17)))
    tail = file.read()
    place = tail.rfind(b"OggS")
    if place < 0 or place + 27 > len(tail):
        return True
    count = tail[place + 26]
    segments = tail[place + 27 : place + 27 + count]
    is_last = bool(tail[place + 5] & 4)
    return place + 27 + count + sum(segments) > len(tail) or not is_last


def _ivf_reaches_beyond(file: BinaryIO, size: int) -> bool:
    position = 32
    for _ in range(_MOST_STEPS):
        if position == size:
            return False
        file.seek(position)
        piece = file.read(12)
        if len(piece) < 12:
            return True
        position += 12 + int.from_bytes(piece[:4], "little")
        if position > size:
            return True
    return False


_CONTAINERS = {
    b"RIFF": _riff_reaches_beyond,
    b"FLV\x01": _flv_reaches_beyond,
    _ASF_HEADER: _asf_reaches_beyond,
    b"GIF8": _gif_reaches_beyond,
    b"OggS": _ogg_reaches_beyond,
    b"DKIF": _ivf_reaches_beyond,
}
"""Checks by file signature."""
