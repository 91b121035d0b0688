"""Tell whether a file is truncated, from the sizes that its container states.

A demuxer that reaches the end of a file early often reports a clean end. The most common containers
state their length: ISO media files (mp4, mov) box by box (ISO/IEC 14496-12), Matroska and WebM in
the size of their segment (RFC 9559). `stated_sizes.py` covers older containers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from rtseg.media.stated_sizes import ends_early

_BOXES = frozenset(
    {b"ftyp", b"moov", b"mdat", b"moof", b"mfra", b"sidx", b"free", b"skip", b"wide", b"uuid"}
    | {b"styp", b"udta", b"meta", b"emsg", b"pnot", b"prft"}
)
_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"


def is_cut_short(path: Path) -> bool:
    """Whether the file ends before its container says; False for unknown containers."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        file.seek(0)
        if start[4:8] in _BOXES:
            return _boxes_reach_beyond(file, size)
        if start[:4] == _EBML:
            return _segment_reaches_beyond(file, size)
    return ends_early(path)


def whole_length(path: Path) -> int | None:
    """The offset in bytes where the last complete box of a truncated ISO file ends, or None."""
    size = path.stat().st_size
    with path.open("rb") as file:
        ends = [end for kind, end, _ in boxes(file, size) if kind == b"mdat" and end <= size]
    return ends[-1] if ends else None


def _boxes_reach_beyond(file: BinaryIO, size: int) -> bool:
    last, last_end = b"", 0
    for kind, end, _ in boxes(file, size):
        last, last_end = kind, end
    # Or a fragment's header without its data, or only the first bytes of a box.
    return last_end > size or last == b"moof" or 0 < size - last_end < 8


def boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, end and length of each top-level box of an ISO file, up to the first invalid."""
    position = 0
    while position + 8 <= size:
        file.seek(position)
        head = file.read(16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1:
            # A 64-bit length follows; if that is cut off, so is the box.
            length = int.from_bytes(head[8:16], "big") if len(head) == 16 else size + 1
        if kind not in _BOXES or length < 8:
            return  # Length 0 means "to the end of the file".
        position += length
        yield kind, position, length


def _segment_reaches_beyond(file: BinaryIO, size: int) -> bool:
    head = file.read(4096)
    position = head.find(_SEGMENT)
    if position < 0:
        return False
    position += len(_SEGMENT)
    if position >= len(head) or head[position] == 0:
        return False
    width = 9 - head[position].bit_length()
    field = int.from_bytes(head[position : position + width], "big")
    mask = (1 << 7 * width) - 1
    if field & mask == mask:
        return False  # Unknown length, as left by live and killed writers.
    return position + width + (field & mask) > size
