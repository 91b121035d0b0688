"""Select and shift the audio and subtitle packets that are copied beside the video."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from rtseg.frames import Packet
from rtseg.media.packets import move
from rtseg.media.streams import start_seconds

if TYPE_CHECKING:
    import av

_SUBTITLE_REACH_SECONDS = 5
"""Seconds to read beyond `end` for the last packets of the other streams."""


class Passthrough:
    """Holds packets of the other streams until time zero is known, then passes them on shifted.

    Args:
        streams: the streams to copy, by index.
        first_packets: the first few packets of each.
        start, end: the requested part, in seconds of file time; None for no limit.
        tick: seconds per tick of the pictures' times.
        keep_timestamps: leave the file's own times.

    Attributes:
        shift_seconds: subtracted from all times, including the pictures'; a whole number of
            ticks, so that the distances between pictures stay exact.
    """

    def __init__(
        self,
        streams: Mapping[int, Any],
        first_packets: Mapping[int, Sequence[Any]],
        *,
        start: Fraction | None,
        end: Fraction | None,
        tick: Fraction,
        keep_timestamps: bool,
    ) -> None:
        self.shift_seconds = Fraction(0)
        self._streams = streams
        self._first_packets = first_packets
        self._is_part = start is not None
        self._first_frame: Fraction | None = None
        self._end = end
        self._tick = tick
        self._keep_timestamps = keep_timestamps
        self._running = set(streams)
        self._waiting: deque[av.Packet[Any]] | None = deque()

    def __contains__(self, stream_index: object) -> bool:
        return stream_index in self._streams

    def take(self, packet: av.Packet[Any]) -> Iterator[Packet]:
        """Return the packet if it is in the requested part and zero is known.

        Otherwise it is held or dropped, and None is returned.
        """
        if self._waiting is not None:
            self._waiting.append(packet)
        elif self._wants(packet):
            yield self._moved(packet)

    def begin(self, first_frame: Fraction | None) -> Iterator[Packet]:
        """Set the first frame's time (None if there is no frame); return the held packets."""
        if self._waiting is None:
            return
        waiting, self._waiting = self._waiting, None
        if first_frame is not None:
            if self._is_part:
                self._first_frame = first_frame
            if not self._keep_timestamps:
                self.shift_seconds = self._zero(first_frame) // self._tick * self._tick
        for packet in waiting:
            if self._wants(packet):
                yield self._moved(packet)

    def all_ended(self, packet: av.Packet[Any]) -> bool:
        """Whether no wanted packet can follow this one, once the video has ended."""
        seconds = packet_seconds(packet)
        is_far = (
            seconds is not None
            and self._end is not None
            and seconds > self._end + _SUBTITLE_REACH_SECONDS
        )
        return is_far or not self._running

    def _zero(self, first_frame: Fraction) -> Fraction:
        """The time that becomes zero: the first picture's, or that of sound starting earlier."""
        begins = [first_frame]
        if not self._is_part:
            for index, stream in self._streams.items():
                if stream.type == "audio":
                    begin = start_seconds(stream, self._first_packets[index])
                    begins += [] if begin is None else [begin]
        return min(begins)

    def _wants(self, packet: av.Packet[Any]) -> bool:
        """Whether this packet begins within the part."""
        seconds = packet_seconds(packet)
        if not packet.size or seconds is None:
            return bool(packet.size) and self._first_frame is None
        if self._end is not None and seconds >= self._end:
            self._running.discard(packet.stream_index)
            return False
        return self._first_frame is None or seconds >= self._first_frame

    def _moved(self, packet: av.Packet[Any]) -> Packet:
        move(packet, -self.shift_seconds)
        return Packet(
            stream_index=packet.stream_index,
            time_seconds=packet_seconds(packet) or Fraction(0),
            size_bytes=packet.size,
            payload=packet,
        )


def packet_seconds(packet: av.Packet[Any]) -> Fraction | None:
    """When a packet is presented; None where it does not say."""
    ticks = packet.pts if packet.pts is not None else packet.dts
    return None if ticks is None else ticks * packet.time_base
