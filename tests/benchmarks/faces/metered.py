"""Backends around a backend: one counts what it is asked, one remembers what it answered."""

from __future__ import annotations

import dataclasses
import time
from collections import deque

import numpy as np

from rtseg.backends.base import Backend, Crops, ProbabilityBatch
from rtseg.checkpoint import View


class Around(Backend):
    """Hands everything on to another backend.

    Args:
        backend: the other one; it stays open, as others use it.
        view: what the model is said to see, where that is not what its checkpoint says.
    """

    def __init__(self, backend: Backend, *, view: View | None = None) -> None:
        self.inner = backend
        self.name, self.device, self.precision = backend.name, backend.device, backend.precision
        self.max_batch, self.reason = backend.max_batch, backend.reason
        self.model = dataclasses.replace(backend.model, view=view or backend.model.view)

    def infer(self, crops: Crops) -> ProbabilityBatch:
        """As the inner backend does it."""
        return self.inner.infer(crops)

    def close(self) -> None:
        """Leaves the inner backend open."""


class Metered(Around):
    """Notes how many crops took how long.

    Attributes:
        crops: of the calls since `restart`, in all.
        seconds: that the network took for them.
    """

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self.restart()

    def restart(self) -> None:
        """Count anew."""
        self.crops, self.seconds = 0, 0.0

    def infer(self, crops: Crops) -> ProbabilityBatch:
        """As the inner backend does it."""
        before = time.perf_counter()
        probabilities = super().infer(crops)
        self.seconds += time.perf_counter() - before
        self.crops += len(crops)
        return probabilities


class Remembering(Around):
    """Answers the same crops from memory.

    Two segmenters that look at the same frames, and differ in what they make of them, then cost
    the network once.
    """

    _CALLS = 4

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self._known: deque[tuple[Crops, ProbabilityBatch]] = deque(maxlen=self._CALLS)

    def infer(self, crops: Crops) -> ProbabilityBatch:
        """As the inner backend does it, or did it a moment ago."""
        for known, probabilities in self._known:
            if np.array_equal(known, crops):
                return probabilities.copy()
        probabilities = super().infer(crops)
        self._known.append((crops.copy(), probabilities.copy()))
        return probabilities
