"""Times and colours of frames that were read."""

from __future__ import annotations

from fractions import Fraction

from rtseg.frames import Frame


def times_of(frames: list[Frame]) -> list[Fraction]:
    return [frame.pts_seconds for frame in frames]
