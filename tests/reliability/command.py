"""Run `rtseg`'s command line in its own process with a fake model, so that it starts fast.

    python -m tests.reliability.command SECONDS_A_FRAME ARGUMENTS…

The first frame is processed at once. `segmented N` on standard error counts the frames.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import rtseg.segmenter
from rtseg.cli import main
from rtseg.frames import Frame, Segmentation
from rtseg.labels import HELEN
from rtseg.pending import PendingSegmentation


class StandInSegmenter:
    """Labels the middle of every picture as skin."""

    label_set = HELEN
    backend = SimpleNamespace(name="stand-in", device="none", precision="none")
    seconds = 0.0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._count = 0

    def __call__(self, frame: Frame) -> Segmentation:
        image = getattr(frame, "image", frame)  # a still is passed as an array
        labels = image[..., 0] * 0
        labels[labels.shape[0] // 4 : -labels.shape[0] // 4] = 1
        self._count += 1
        time.sleep(self.seconds if self._count > 1 else 0)
        sys.stderr.write(f"segmented {self._count}\n")
        return Segmentation(labels=labels, label_set=HELEN)

    def begin(self, frame: Frame) -> PendingSegmentation:
        segmentation = self(frame)
        return PendingSegmentation(
            finish=lambda: segmentation, size_bytes=segmentation.labels.nbytes
        )

    def warm_up(self) -> None:
        pass

    def __enter__(self) -> StandInSegmenter:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def start(*arguments: object, seconds: float = 0.0, **options: Any) -> subprocess.Popen[str]:
    """Start the command; its standard error is a pipe."""
    command = [sys.executable, "-m", "tests.reliability.command", str(seconds)]
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        **options,
    )


def wait_until_ready(process: subprocess.Popen[str]) -> None:
    """Wait until five frames have been segmented."""
    assert process.stderr is not None
    lines = []
    while (line := process.stderr.readline()) != "segmented 5\n":
        lines.append(line)
        assert line, lines


def segmented(errors: str) -> int:
    """The number of segmented frames, according to the process's standard error."""
    counts = [int(number) for number in re.findall(r"^segmented (\d+)$", errors, re.MULTILINE)]
    return max(counts, default=0)


if __name__ == "__main__":
    # Background jobs of a shell, and what they start, ignore the signal.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    StandInSegmenter.seconds = float(sys.argv[1])
    rtseg.segmenter.Segmenter = StandInSegmenter  # type: ignore[assignment,misc]
    main(sys.argv[2:])
