"""Share one backend between streams, combining crops requested at the same time into one batch."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import numpy as np

from rtseg.backends.base import Backend, Crops, ProbabilityBatch
from rtseg.errors import BackendError

LONGEST_WAIT_SECONDS = 0.0015
"""How long crops may wait for another stream's, so that both run as one batch."""


_log = logging.getLogger("rtseg")


class _Request:
    """One stream's request: its crops, and their results."""

    def __init__(self, crops: Crops) -> None:
        self.crops = crops
        self.result: ProbabilityBatch | None = None
        self.error: Exception | None = None
        self.is_done = False


class SharedBackend(Backend):
    """Combines requests that several threads make at nearly the same time into one batch.

    The first thread to call waits a moment for those about to call, then runs everything waiting,
    oldest first and at most `max_batch` crops; requests made while a batch runs join the next one.
    No additional thread is needed. A batch that fails is run again request by request, so that one
    stream's error does not affect the others.

    Args:
        backend: runs the network; it stays open.
        expected: how many threads may be about to call, including the caller; without others,
            there is no wait.
        side_by_side: runs the crops of several threads at once, instead of in a batch; it is used
            while others are expected, and closed with this object.
        longest_wait_seconds: the longest wait for another thread's crops.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        expected: Callable[[], int] = lambda: 1,
        side_by_side: Backend | None = None,
        longest_wait_seconds: float = LONGEST_WAIT_SECONDS,
    ) -> None:
        self._backend = backend
        self._expected = expected
        self._side_by_side = side_by_side
        self._longest_wait_seconds = longest_wait_seconds
        self._arrival = threading.Condition()
        self._running = threading.Lock()
        self._waiting: list[_Request] = []
        self.batches = 0
        self.crops = 0
        self._describe()

    def _describe(self) -> None:
        backend = self._backend
        self.name, self.device, self.precision = backend.name, backend.device, backend.precision
        self.model, self.reason = backend.model, backend.reason
        self.max_batch = backend.max_batch

    def infer(self, crops: Crops) -> ProbabilityBatch:
        """See `Backend.infer`."""
        self.check_crops(crops)
        side_by_side = self._side_by_side
        if side_by_side is not None and self._expected() > 1:
            try:
                result = side_by_side.infer(crops)
            except BackendError as error:
                # the backend itself knows what to do when it fails
                _log.debug("the network side by side: %s", error)
                self._side_by_side = None
            else:
                with self._arrival:
                    self.batches += 1
                    self.crops += len(crops)
                return result
        request = _Request(crops)
        with self._arrival:
            self._waiting.append(request)
            self._arrival.notify()
        with self._running:
            if not request.is_done:
                self._run(self._together())
            while not request.is_done:  # more crops waited than one batch holds
                self._run(self._together())
        if request.error is not None:
            raise request.error
        assert request.result is not None
        return request.result

    def close(self) -> None:
        """Close what runs side by side; whoever opened the backend closes that."""
        if self._side_by_side is not None:
            self._side_by_side.close()

    def _together(self) -> list[_Request]:
        """Remove the oldest requests, as many as fit into one batch."""
        deadline = time.monotonic() + self._longest_wait_seconds
        with self._arrival:
            while len(self._waiting) < self._expected() and self._count() < self.max_batch:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._arrival.wait(left)
            chosen: list[_Request] = []
            size = 0
            while self._waiting and (
                not chosen or size + len(self._waiting[0].crops) <= self.max_batch
            ):
                chosen.append(self._waiting.pop(0))
                size += len(chosen[-1].crops)
        return chosen

    def _count(self) -> int:
        return sum(len(request.crops) for request in self._waiting)

    def _run(self, requests: list[_Request]) -> None:
        try:
            if len(requests) > 1:
                self._infer_together(requests)
            for request in requests:
                if not request.is_done:
                    self._infer_alone(request)
        finally:
            for request in requests:
                if not request.is_done:  # interrupted by Ctrl-C: nobody may wait for ever
                    request.error = BackendError("the network was interrupted")
                    request.is_done = True
        with self._arrival:
            self.batches += 1
            self.crops += sum(len(request.crops) for request in requests)
        self._describe()  # a backend that fell back is now another one

    def _infer_together(self, requests: list[_Request]) -> None:
        try:
            results = self._backend.infer(np.concatenate([request.crops for request in requests]))
        except Exception as error:  # noqa: BLE001  each request is run again by itself
            _log.debug("a batch of %d streams failed: %s", len(requests), error)
            return
        first = 0
        for request in requests:
            last = first + len(request.crops)
            # a copy, so that no stream keeps the others' results in memory
            request.result = results[first:last].copy()
            request.is_done = True
            first = last

    def _infer_alone(self, request: _Request) -> None:
        try:
            request.result = self._backend.infer(request.crops)
        except Exception as error:  # noqa: BLE001  raised again on the thread that asked
            request.error = error
        request.is_done = True
