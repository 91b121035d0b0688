"""Write a video with frames at given times."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

from rtseg.frames import Frame, Image
from rtseg.media.info import ColourTags, SourceInfo
from rtseg.settings import EncodeSettings
from rtseg.sinks.video import VideoSink
from tests.support.clips import (
    NO_LABELS,
    picture,
)

UNTAGGED = ColourTags()


def frame_at(pts: int, time_base: Fraction, index: int, **more: Any) -> Frame:
    return Frame(image=picture(index), index=index, pts=pts, time_base=time_base, **more)


def write_video(
    output: Path | str,
    ticks: list[int],
    *,
    time_base: Fraction = Fraction(1, 25),
    durations: list[int] | None = None,
    images: list[Image] | None = None,
    colour: ColourTags = UNTAGGED,
    aspect: Fraction = Fraction(1),
    outcome: Any = "finished",
    **settings: Any,
) -> VideoSink:
    images = images or [picture(i) for i in range(len(ticks))]
    height, width = images[0].shape[:2]
    info = SourceInfo(
        name="test",
        width=width,
        height=height,
        time_base=time_base,
        colour=colour,
        sample_aspect_ratio=aspect,
    )
    sink = VideoSink(str(output), settings=EncodeSettings(**settings), threads=1)
    sink.open(info, width=width, height=height)
    for i, (pts, image) in enumerate(zip(ticks, images, strict=True)):
        duration = durations[i] if durations else None
        frame = frame_at(pts, time_base, i, duration=duration)
        sink.write(frame, NO_LABELS, image)
    sink.close(outcome)
    return sink
