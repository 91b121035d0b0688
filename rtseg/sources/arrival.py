"""Timestamp the frames of live streams without timestamps by their arrival."""

from __future__ import annotations

import time
from collections import deque
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from rtseg.media.streams import frame_rate

if TYPE_CHECKING:
    from rtseg.sources.demuxer import Demuxer
    from rtseg.sources.standard_input import StandardInput

TIME_BASE = Fraction(1, 1_000_000)

_FASTER = 1.2
"""What comes so much faster than its nominal rate is a recording."""


class ArrivalTimes:
    """Gives packets the time of their arrival, counted from the first.

    Opening a stream reads some pictures at once that arrived one after the other while FFmpeg
    looked at them; they are spread evenly over that time.

    Args:
        begun_ns: when the first byte was waited for or came, `time.monotonic_ns`.
        burst_ns: when the packets that were read at once came to hand.
    """

    def __init__(self, begun_ns: int, burst_ns: list[int]) -> None:
        self._ahead: deque[int] = deque()
        self._zero_ns: int | None = None
        # The last one was waited for, if it comes clearly after the others.
        count = len(burst_ns) - 1
        if count > 0:
            step = max(0, burst_ns[count - 1] - begun_ns) / count
            self._ahead.extend(round(begun_ns + step * (i + 1)) for i in range(count))
        self._ahead.extend(burst_ns[-1:])

    def stamp(self, packet: Any) -> None:
        """Set a packet's times; packets come in the order of their arrival."""
        now = self._ahead.popleft() if self._ahead else time.monotonic_ns()
        if self._zero_ns is None:
            self._zero_ns = now
        packet.time_base = TIME_BASE
        packet.pts = packet.dts = (now - self._zero_ns) // 1000
        packet.duration = 0


def arrival_times(
    demuxer: Demuxer,
    *,
    opened_ns: int,
    pipe: StandardInput | None,
    is_live: bool,
) -> ArrivalTimes | None:
    """The clock of a live stream that carries no times; None for all others.

    Args:
        demuxer: of what does not come from a file.
        opened_ns: when opening began, `time.monotonic_ns`.
        pipe: standard input, where it is that.
        is_live: whether it is known to be live. A download is if it has no end, a pipe if it is
            filled no faster than its pictures are shown.
    """
    if demuxer.has_timestamps or (pipe is not None and pipe.seekable()):
        return None
    if not (is_live or pipe is not None or demuxer.is_endless):
        return None
    burst_ns = demuxer.burst()
    if pipe is not None:
        opened_ns = pipe.first_byte_ns or opened_ns
        if not is_live and not _is_paced(opened_ns, burst_ns, frame_rate(demuxer.video)):
            return None
    return ArrivalTimes(opened_ns, burst_ns)


def _is_paced(begun_ns: int, burst_ns: list[int], nominal_rate: Fraction | None) -> bool:
    """Whether packets arrive by the clock, no faster than they are shown.

    A recording that is poured into a pipe comes as fast as it can.
    """
    if len(burst_ns) < 2:
        return True
    seconds = max(1, burst_ns[-1] - begun_ns) / 1e9
    return len(burst_ns) / seconds <= _FASTER * float(nominal_rate or 25)
