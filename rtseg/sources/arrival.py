"""Timestamp the frames of live streams that carry no timestamps by when they arrive."""

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
"""A stream this many times faster than its nominal rate is a recording, not live."""


class ArrivalTimes:
    """Stamps packets with their arrival times, counted from the first.

    While FFmpeg probes a stream, several pictures arrive that are then read all at once; their
    times are spread evenly over the time that probing took.

    Args:
        begun_ns: when reading began, `time.monotonic_ns`.
        burst_ns: when each packet of the initial burst was read.
    """

    def __init__(self, begun_ns: int, burst_ns: list[int]) -> None:
        self._ahead: deque[int] = deque()
        self._zero_ns: int | None = None
        # If the last one came clearly after the others, it was not part of the burst.
        count = len(burst_ns) - 1
        if count > 0:
            step = max(0, burst_ns[count - 1] - begun_ns) / count
            self._ahead.extend(round(begun_ns + step * (i + 1)) for i in range(count))
        self._ahead.extend(burst_ns[-1:])

    def stamp(self, packet: Any) -> None:
        """Set a packet's times. Packets must be passed in the order of their arrival."""
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
    """Return the clock for a live stream without timestamps; None for any other input.

    Args:
        demuxer: of an input that is not a file.
        opened_ns: when opening began, `time.monotonic_ns`.
        pipe: standard input, if that is the input.
        is_live: whether it is known to be live. Otherwise a download counts as live if it has no
            end, and a pipe if it is filled no faster than its pictures are shown.
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
    """Whether packets arrive in real time, no faster than they are shown.

    A recording piped in arrives as fast as it can be read.
    """
    if len(burst_ns) < 2:
        return True
    seconds = max(1, burst_ns[-1] - begun_ns) / 1e9
    return len(burst_ns) / seconds <= _FASTER * float(nominal_rate or 25)
