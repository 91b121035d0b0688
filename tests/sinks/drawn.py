"""Frames with known labels and pictures, to be written by the sinks under test."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from rtseg.frames import Box, Face, Frame, Segmentation
from rtseg.labels import HELEN
from rtseg.media.info import SourceInfo

WIDTH, HEIGHT = 48, 32


def info(*, time_base=Fraction(1, 30), width=WIDTH, height=HEIGHT):
    return SourceInfo(
        name="drawn", width=width, height=height, time_base=time_base, frame_rate=Fraction(30)
    )


def picture(index, channels=3):
    rng = np.random.default_rng(index)
    return rng.integers(0, 256, (HEIGHT, WIDTH, channels), np.uint8)


def labels(index):
    rng = np.random.default_rng(100 + index)
    return rng.integers(0, len(HELEN), (HEIGHT, WIDTH)).astype(np.uint8)


def item(index, *, pts=None, time_base=Fraction(1, 30), channels=3):
    """(frame, segmentation, picture) of a run."""
    face = Face(box=Box(left=4, top=2.5, right=20, bottom=30), track_id=1, score=0.75)
    frame = Frame(
        image=picture(index), index=index, pts=index if pts is None else pts, time_base=time_base
    )
    segmentation = Segmentation(labels=labels(index), label_set=HELEN, faces=(face,))
    return frame, segmentation, picture(index, channels)


def write_run(sink, count, *, outcome="finished", channels=3):
    """Write a whole run into a sink."""
    sink.open(info(), width=WIDTH, height=HEIGHT)
    for i in range(count):
        sink.write(*item(i, channels=channels))
    sink.close(outcome)
