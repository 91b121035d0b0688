"""The packets of the streams beside the video: which are wanted, and at which times."""

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
"""How far beyond `end` the demuxer is read for the last packets of the other streams."""


class Passthrough:
    """Holds the packets of the other streams until zero is known, then hands them on, moved.

    Args:
        streams: those that are copied, by index.
        first_packets: of each of them, a few.
        start, end: of the part that is wanted, seconds in the file's time; None for all.
        tick: seconds a tick of the pictures' times.
        keep_timestamps: leave the file's own times.

    Attributes:
        shift_seconds: what is taken from all times, of pictures too; a whole number of ticks, so
            that pictures lie where they lay to each other.
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
        """The packet, if it lies in the part and zero is known; else it waits or is left out."""
        if self._waiting is not None:
            self._waiting.append(packet)
        elif self._wants(packet):
            yield self._moved(packet)

    def begin(self, first_frame: Fraction | None) -> Iterator[Packet]:
        """The time of the first frame is known, or that there is none: what waited comes."""
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
        """Whether nothing more can come, now that the video has ended and this packet was seen."""
        seconds = packet_seconds(packet)
        is_far = (
            seconds is not None
            and self._end is not None
            and seconds > self._end + _SUBTITLE_REACH_SECONDS
        )
        return is_far or not self._running

    def _zero(self, first_frame: Fraction) -> Fraction:
        """The time that becomes zero: the first picture's, or that of sound that begins before."""
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
