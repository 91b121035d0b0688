"""Wrappers around a backend: one counts the calls, one caches the results."""

from __future__ import annotations

import dataclasses
import time
from collections import deque

import numpy as np

from rtseg.backends.base import Backend, Crops, ProbabilityBatch
from rtseg.checkpoint import View


class Around(Backend):
    """Forwards everything to another backend.

    Args:
        backend: the other backend, which stays open.
        view: overrides the view stated in the model's checkpoint.
    """

    def __init__(self, backend: Backend, *, view: View | None = None) -> None:
        self.inner = backend
        self.name, self.device, self.precision = backend.name, backend.device, backend.precision
        self.max_batch, self.reason = backend.max_batch, backend.reason
        self.model = dataclasses.replace(backend.model, view=view or backend.model.view)

    def infer(self, crops: Crops) -> ProbabilityBatch:
        """See `Backend.infer`."""
        return self.inner.infer(crops)

    def close(self) -> None:
        """Leave the inner backend open."""


class Metered(Around):
    """Counts crops and measures their time.

    Attributes:
        crops: number of crops since `restart`.
        seconds: the network's time for them.
    """

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self.restart()

    def restart(self) -> None:
        """Reset the counts."""
        self.crops, self.seconds = 0, 0.0

    def infer(self, crops: Crops) -> ProbabilityBatch:
        """See `Backend.infer`."""
        before = time.perf_counter()
        probabilities = super().infer(crops)
        self.seconds += time.perf_counter() - before
        self.crops += len(crops)
        return probabilities


class Remembering(Around):
    """Caches the results for crops that are repeated.

    Two segmenters that process the same frames differently then need the network only once.
    """

    _CALLS = 4

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self._known: deque[tuple[Crops, ProbabilityBatch]] = deque(maxlen=self._CALLS)

    def infer(self, crops: Crops) -> ProbabilityBatch:
        """Return the cached result, or compute it."""
        for known, probabilities in self._known:
            if np.array_equal(known, crops):
                return probabilities.copy()
        probabilities = super().infer(crops)
        self._known.append((crops.copy(), probabilities.copy()))
        return probabilities
