"""Compare the flicker of precisions on the same streams, and how far their labels agree.

python -m tests.benchmarks.faces.precisions --data DIR
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np

from rtseg import Segmenter
from rtseg.backends import open_backend
from rtseg.backends.base import Backend
from rtseg.frames import LabelMap
from rtseg.settings import FaceSettings, Precision
from tests.benchmarks.faces.flicker import FRAMES, Tally
from tests.benchmarks.faces.metered import Remembering
from tests.benchmarks.faces.report import Cell, Report, percent
from tests.benchmarks.faces.streams import USUAL_NOISE, still_head

PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "int8")
_WARM_UP = 10


@dataclass(eq=False)
class Agreement:
    """The share of labelled pixels, frame by frame, on which two precisions agree."""

    frames: list[float] = field(default_factory=list)

    def add(self, labels: LabelMap, reference: LabelMap) -> None:
        """Add one frame; pixels that neither labels are left out."""
        either = (labels > 0) | (reference > 0)
        equal = int(np.count_nonzero((labels == reference) & either))
        self.frames.append(equal / max(1, int(np.count_nonzero(either))))


def _row(backends: dict[str, Backend], data: Path, *, speed: int, count: int) -> list[list[Cell]]:
    """Process the same streams in every precision, without smoothing and with the default."""
    tallies = {name: (Tally(), Tally()) for name in backends}
    agreements = {name: Agreement() for name in backends}
    for seed in range(count):
        scene = still_head(data, seed=seed, speed=speed)
        segmenters = {
            name: (
                Segmenter(backend=backend, faces=FaceSettings(smoothing=0.0)),
                Segmenter(backend=backend),
            )
            for name, backend in backends.items()
        }
        for pair in tallies.values():
            for tally in pair:
                tally.begin()
        for index in range(FRAMES):
            frame, truth = scene(index)
            shown: dict[str, LabelMap] = {}
            for name, (off, usual) in segmenters.items():
                without, labels = off(frame).labels, usual(frame).labels
                shown[name] = labels
                if index >= _WARM_UP:
                    tallies[name][0].add(without, truth)
                    tallies[name][1].add(labels, truth)
            if index >= _WARM_UP:
                for name, labels in shown.items():
                    agreements[name].add(labels, shown[PRECISIONS[0]])
    return [
        [
            f"{speed} px a frame" if speed else "still",
            name,
            percent(off.flicker, digits=3),
            percent(usual.flicker, digits=3),
            f"{usual.overall:.4f}",
            percent(float(np.mean(agreements[name].frames)), digits=2),
            percent(float(np.min(agreements[name].frames)), digits=2),
        ]
        for name, (off, usual) in tallies.items()
    ]


def main() -> None:
    """Measure, print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="Helen* and backgrounds")
    parser.add_argument("--count", type=int, default=6, help="streams a row; default 6")
    parser.add_argument("--threads", type=int, default=0, help="0 is one a core")
    parser.add_argument("--speeds", default="0,4", help="pixels a frame; default 0,4")
    options = parser.parse_args()
    with ExitStack() as stack:
        backends: dict[str, Backend] = {
            name: Remembering(
                stack.enter_context(
                    open_backend("openvino", precision=name, threads=options.threads)
                )
            )
            for name in PRECISIONS
        }
        rows = []
        for speed in map(int, options.speeds.split(",")):
            rows += _row(backends, options.data, speed=speed, count=options.count)
    report = Report(
        name="precisions",
        title="Flicker by precision",
        headings=(
            "head",
            "precision",
            "flicker, off",
            "flicker, default",
            "overall F1, default",
            "labels equal to FP32's, mean",
            "… in the worst frame",
        ),
        rows=rows,
        notes=(
            f"{options.count} streams a row, noise {USUAL_NOISE:.0f}; frames {_WARM_UP + 1} to "
            f"{FRAMES}. Equal labels: of the pixels that either labels, with smoothing.",
        ),
    )
    click.echo(report.markdown())


if __name__ == "__main__":
    main()
