"""Distances between a label set's colours for normal and colour-blind vision, and new colours.

    python -m tests.benchmarks.colours [LABEL_SET] [--choose COUNT]

Distances are CIE76 in Lab. Colour-blind eyes are simulated after Machado, Oliveira and Fernandes
(IEEE TVCG 2009), severity 1. `--choose` keeps the first classes' colours and picks the others one
by one from a grid: each time the colour whose nearest neighbour, over all kinds of vision, is
farthest.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from rtseg.labels import LABEL_SETS

Colours = npt.NDArray[np.float64]
"""RGB, 0..1, (count, 3)."""

EYES = {
    "usual": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
"""Matrices that simulate each kind of vision on linear RGB."""


def as_seen_by(colours: Colours, eye: str) -> Colours:
    """Convert colours to Lab as one kind of vision perceives them."""
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    linear = (linear @ EYES[eye].T).clip(0, 1)
    srgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    lab = cv2.cvtColor(srgb.astype(np.float32)[None], cv2.COLOR_RGB2Lab)
    return np.asarray(lab[0], np.float64)


def distances(first: Colours, second: Colours) -> npt.NDArray[np.float64]:
    """The smallest distance over all kinds of vision, (first, second)."""
    every = [
        np.linalg.norm(as_seen_by(first, eye)[:, None] - as_seen_by(second, eye)[None], axis=2)
        for eye in EYES
    ]
    return np.asarray(np.min(every, axis=0), np.float64)


def choose(kept: Colours, count: int) -> Colours:
    """Choose `count` colours far from the kept ones and from each other, none nearly black."""
    steps = np.linspace(0, 1, 18)
    grid = np.array([c for c in itertools.product(steps, repeat=3) if sum(c) > 0.7])
    chosen = kept
    for _ in range(count):
        nearest = distances(grid, chosen).min(1)
        chosen = np.vstack([chosen, grid[nearest.argmax()]])
    return chosen[len(kept) :]


def main(words: Sequence[str]) -> None:
    """Print the closest pairs, or the chosen colours."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.colours")
    parser.add_argument("label_set", nargs="?", default="face-parts", choices=sorted(LABEL_SETS))
    parser.add_argument("--choose", type=int, default=0, metavar="COUNT")
    asked = parser.parse_args(words)
    label_set = LABEL_SETS[asked.label_set]
    colours = np.array(label_set.colours) / 255
    if asked.choose:
        for colour in choose(colours[: len(colours) - asked.choose], asked.choose):
            red, green, blue = (round(255 * float(channel)) for channel in colour)
            sys.stdout.write(f"{red:02x}{green:02x}{blue:02x}\n")
        return
    apart = distances(colours, colours)
    pairs = sorted(itertools.combinations(range(len(colours)), 2), key=lambda pair: apart[pair])
    for first, second in pairs[:8]:
        names = f"{label_set.names[first]}, {label_set.names[second]}"
        sys.stdout.write(f"{apart[first, second]:5.1f}  {names}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
