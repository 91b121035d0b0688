"""One network for several callers at once, each on processor cores of its own."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence

import numpy as np

from rtseg.backends.base import Backend, Crops, ProbabilityBatch
from rtseg.errors import BackendError
from rtseg.frames import Image, Probabilities

Lane = Callable[[Image], Probabilities]
"""Runs the network on one crop; the next call may overwrite the result."""


class SideBySideBackend(Backend):
    """Runs each caller's crops one by one on a free lane; callers beyond the lanes wait for one.

    On a processor a batch is no faster than its crops. Several cores do more with one crop each
    than together on one crop, where each waits for the slowest; one that is busy decoding or
    drawing would keep all of them waiting.

    Args:
        like: the backend that it stands beside, whose description it has.
        lanes: independent copies of the network.
    """

    def __init__(self, like: Backend, lanes: Sequence[Lane]) -> None:
        self.name, self.device, self.precision = like.name, like.device, like.precision
        self.model, self.max_batch = like.model, like.max_batch
        self.reason = f"{like.reason}; {len(lanes)} crops at once for several streams"
        self._free: queue.SimpleQueue[Lane | None] = queue.SimpleQueue()
        for lane in lanes:
            self._free.put(lane)

    def infer(self, crops: Crops) -> ProbabilityBatch:
        """See `Backend.infer`."""
        self.check_crops(crops)
        out = np.empty(self.model.output_shape(len(crops)), np.float32)
        lane = self._free.get()
        try:
            if lane is None:
                raise BackendError(f"the {self.name} backend is closed; open a new one")
            for index, crop in enumerate(crops):
                out[index] = lane(crop)
        except RuntimeError as error:
            raise BackendError(f"{self.name} failed: {' '.join(str(error).split())}") from error
        finally:
            self._free.put(lane)
        return out

    def close(self) -> None:
        """See `Backend.close`. Lanes that are at work finish first."""
        lanes = []
        while not self._free.empty():
            lanes.append(self._free.get())
        for _ in lanes:
            self._free.put(None)
