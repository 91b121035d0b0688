"""A sink of one's own: writes the share of each frame that is skin, under a suffix of its own.

    python examples/custom_sink.py INPUT out.skin

`register_sink` makes it known to `open_sink`; a package that does so in a function named by an
entry point of the group `rtseg.sinks` gives it to the `rtseg` command as well.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rtseg import Frame, Segmentation, Segmenter, open_source
from rtseg.frames import Picture
from rtseg.media.info import SourceInfo
from rtseg.sinks import Sink, open_sink, register_sink
from rtseg.sinks.base import Outcome
from rtseg.sinks.registry import SinkOptions


class SkinShareSink(Sink):
    """One line a frame: its time in seconds, and how much of it is skin, 0..1."""

    wants_pixels = False

    def __init__(self, output: str, _options: SinkOptions) -> None:
        self._path = Path(output)
        self._lines: list[str] = []

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Remember what it is about."""
        self._lines = [f"# {info.name}, {width}x{height}"]

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Add the frame's line."""
        share = float(segmentation.mask("skin").mean())
        self._lines.append(f"{float(frame.pts_seconds):.3f} {share:.4f}")

    def close(self, outcome: Outcome) -> None:
        """Write the file, however the run ended."""
        self._path.write_text("\n".join(self._lines) + "\n", encoding="utf-8")


def main(source: str, output: str) -> None:
    """Segment a file into such a sink."""
    register_sink(SkinShareSink, suffixes=(".skin",))
    sink = open_sink(output)
    with open_source(source) as frames, Segmenter() as segmenter:
        sink.open(frames.info, width=frames.info.width, height=frames.info.height)
        for item in frames:
            if isinstance(item, Frame):
                sink.write(item, segmenter(item), None)
        sink.close("finished")


if __name__ == "__main__":
    main(*sys.argv[1:3])
