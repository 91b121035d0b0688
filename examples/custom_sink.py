"""A custom sink: writes the share of each frame that is skin, under its own suffix.

    python examples/custom_sink.py INPUT out.skin

A package whose entry point in the group `rtseg.sinks` calls `register_sink` adds its outputs to the
`rtseg` command as well.
"""

import sys
from pathlib import Path

from rtseg import Sink, process_video, register_sink


class SkinShareSink(Sink):
    """Writes one line per frame: its time in seconds, and how much of it is skin, 0..1."""

    wants_pixels = False

    def __init__(self, output, _options) -> None:
        self._path, self._lines = Path(output), []

    def open(self, info, *, width, height) -> None:
        """Note what the file describes."""
        self._lines = [f"# {info.name}, {width}x{height}"]

    def write(self, frame, segmentation, picture) -> None:
        """Add the frame's line."""
        share = segmentation.mask("skin").mean()
        self._lines.append(f"{float(frame.pts_seconds):.3f} {share:.4f}")

    def close(self, outcome) -> None:
        """Write the file, however the run ended."""
        self._path.write_text("\n".join(self._lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    register_sink(SkinShareSink, suffixes=(".skin",))
    process_video(sys.argv[1], sys.argv[2])
