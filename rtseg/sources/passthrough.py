"""Which packets of the streams beside the video are copied, where only a part is wanted."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import av

_SUBTITLE_REACH_SECONDS = 5
"""How far beyond `end` the demuxer is read for the last packets of the other streams."""


class PassthroughWindow:
    """Which packets of the copied streams lie in the window.

    Args:
        end: seconds, in the file's time; None for all.
        streams: the indices of the copied streams.

    Attributes:
        start: seconds of the first frame, once it is known; None where nothing is cut off.
    """

    def __init__(self, end: Fraction | None, streams: Iterable[int]) -> None:
        self.start: Fraction | None = None
        self._end = end
        self._running = set(streams)

    def wants(self, packet: av.Packet[Any]) -> bool:
        """Whether this packet begins within the window."""
        seconds = packet_seconds(packet)
        if not packet.size or seconds is None:
            return bool(packet.size) and self.start is None
        if self._end is not None and seconds >= self._end:
            self._running.discard(packet.stream_index)
            return False
        return self.start is None or seconds >= self.start

    def all_ended(self, packet: av.Packet[Any]) -> bool:
        """Whether nothing more can come, now that the video has ended and this packet was seen."""
        seconds = packet_seconds(packet)
        is_far = (
            seconds is not None
            and self._end is not None
            and seconds > self._end + _SUBTITLE_REACH_SECONDS
        )
        return is_far or not self._running


def packet_seconds(packet: av.Packet[Any]) -> Fraction | None:
    """When a packet is presented; None where it does not say."""
    ticks = packet.pts if packet.pts is not None else packet.dts
    return None if ticks is None else ticks * packet.time_base
