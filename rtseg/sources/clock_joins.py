"""Join timestamps where a stream's clock is reset, keeping sound and picture in sync."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

_BACK_SECONDS = 1
"""A step back of a decoding time by more than this is a new clock; by less, a muxer's slip."""

_AHEAD_SECONDS = 60
"""A step forward by more than this beyond every stream is a new clock; less may be a real gap."""


class ClockJoins:
    """Shifts the packets of a recording whose clock jumps (joined files, a new TV programme).

    The first stream that reaches the new clock continues where it was, which determines the
    offset; the others are shifted by the same offset when they reach it, however the packets of
    the streams are interleaved.
    """

    def __init__(self) -> None:
        self._offsets = [Fraction(0)]
        self._epochs: dict[int, int] = {}
        self._next: dict[int, Fraction] = {}

    def place(self, packet: Any) -> bool:
        """Shift a packet onto the first clock; return whether its stream has just jumped."""
        ticks = packet.dts if packet.dts is not None else packet.pts
        if ticks is None:
            return False
        index, tick = packet.stream_index, packet.time_base
        epoch = self._epochs.get(index, 0)
        seconds = ticks * tick
        jumped = False
        if not self._is_placed(index, seconds + self._offsets[epoch]):
            newest = len(self._offsets) - 1
            if epoch == newest or not self._is_placed(index, seconds + self._offsets[newest]):
                expected = self._next.get(index, max(self._next.values(), default=Fraction(0)))
                self._offsets.append(expected - seconds)
            epoch = len(self._offsets) - 1
            self._epochs[index] = epoch
            jumped = True
        moved = round(self._offsets[epoch] / tick)
        packet.dts = None if packet.dts is None else packet.dts + moved
        packet.pts = None if packet.pts is None else packet.pts + moved
        self._next[index] = (ticks + moved + max(1, packet.duration or 0)) * tick
        return jumped

    def _is_placed(self, index: int, seconds: Fraction) -> bool:
        """Whether a time plausibly continues what came before."""
        if not self._next:
            return True
        latest = max(self._next.values())
        earliest = self._next.get(index, min(self._next.values()) - _AHEAD_SECONDS)
        return earliest - _BACK_SECONDS <= seconds <= latest + _AHEAD_SECONDS
