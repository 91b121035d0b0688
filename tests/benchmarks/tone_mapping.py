"""Measure the cost of tone mapping per frame, in processor time of one core.

python -m tests.benchmarks.tone_mapping [WIDTH HEIGHT]
"""

from __future__ import annotations

import statistics
import sys
import time

import cv2
import numpy as np

from rtseg.media.tone_mapping import HLG, PQ, ToneMapper

REPEATS = 9


def main() -> None:
    """Print the median of nine frames for HLG and PQ."""
    width, height = (int(side) for side in sys.argv[1:3]) if len(sys.argv) > 2 else (1920, 1080)
    cv2.setNumThreads(1)
    # Smooth like real pictures: noise would miss the processor's cache at every pixel.
    coarse = np.random.default_rng(0).integers(0, 50_000, (27, 48, 3)).astype(np.uint16)
    signal = np.asarray(
        cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint16
    )
    for name, transfer in (("HLG", HLG), ("PQ", PQ)):
        mapper = ToneMapper(transfer)
        mapper.map(signal)
        costs = []
        for _ in range(REPEATS):
            begun = time.thread_time()
            mapper.map(signal)
            costs.append(1000 * (time.thread_time() - begun))
        cost = statistics.median(costs)
        sys.stdout.write(f"{name} {width}x{height}: {cost:.0f} ms of one core a frame\n")


if __name__ == "__main__":
    main()
