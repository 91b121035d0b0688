"""Copy packets of compressed audio, video or subtitles, so that changes spare the originals."""

from __future__ import annotations

from fractions import Fraction
from typing import Any


def duplicate(packet: Any, content: bytes | None = None) -> Any:
    """Copy a packet, optionally with other content."""
    import av

    copy: Any = av.Packet(bytes(packet) if content is None else content)
    copy.pts, copy.dts = packet.pts, packet.dts
    copy.duration, copy.time_base = packet.duration, packet.time_base
    copy.is_keyframe = packet.is_keyframe
    for data in packet.iter_sidedata():
        copy.set_sidedata(data)
    return copy


def move(packet: Any, seconds: Fraction) -> Any:
    """Shift a packet's times in place, and return it."""
    shift = round(seconds / packet.time_base)
    packet.pts = None if packet.pts is None else packet.pts + shift
    packet.dts = None if packet.dts is None else packet.dts + shift
    return packet
