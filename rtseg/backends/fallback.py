"""Switch to another backend when the GPU backend that `auto` chose fails."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from rtseg.backends.base import Backend, Crops, ProbabilityBatch
from rtseg.errors import BackendError, DeviceMemoryError, RtsegError

Result = TypeVar("Result")

_log = logging.getLogger("rtseg")


class FallbackBackend(Backend):
    """Runs on the first of several backends, and switches to the next one if it fails.

    The next backend repeats the failed call, so no picture is lost. It never switches back: memory
    may well run out again, and a failed GPU stays unusable for the process. A call with invalid
    crops is the caller's mistake, and does not cause a switch.

    Args:
        first: an open backend, which this one now owns.
        others: functions that open the following backends; each is called at most once.
    """

    def __init__(self, first: Backend, others: Sequence[Callable[[], Backend]]) -> None:
        self._lock = threading.Lock()
        self._others = list(others)
        self._closed = False
        self._switch_to(first)

    def _switch_to(self, backend: Backend) -> None:
        self._current = backend
        self.name, self.device, self.precision = backend.name, backend.device, backend.precision
        self.model, self.reason = backend.model, backend.reason

    def infer(self, crops: Crops) -> ProbabilityBatch:
        """Like `Backend.infer`; raises BackendError only if no other backend is left.

        Each backend tries smaller batches before it reports that its memory is full.
        """
        self.check_crops(crops)
        return self._call_with_fallback(lambda backend: backend.infer(crops))

    def warm_up(self) -> None:
        """Warm up the current backend."""
        self._call_with_fallback(lambda backend: backend.warm_up())

    def _call_with_fallback(self, call: Callable[[Backend], Result]) -> Result:
        with self._lock:
            if self._closed:
                raise BackendError(f"the {self.name} backend is closed; open a new one")
            while True:
                try:
                    result = call(self._current)
                except BackendError as error:
                    why, kind = str(error), type(error)
                else:
                    self.max_batch = self._current.max_batch
                    self.device_seconds = self._current.device_seconds
                    return result
                # outside the handler, as the error's traceback keeps the failed call's memory alive
                self._fall_back(why, kind)

    def _fall_back(self, why: str, kind: type[BackendError]) -> None:
        """Switch to the next backend that opens.

        Raises:
            BackendError: none opens; DeviceMemoryError if that was the failure.
        """
        failure = f"{self.name} on {self.device}: {why}"
        try:
            self._current.close()
        except BackendError as error:
            # it has failed already; whatever it cannot release is freed when the process exits
            _log.debug("while closing %s: %s", self.name, error)
        problems = []
        while self._others:
            try:
                backend = self._others.pop(0)()
            except RtsegError as error:
                problems.append(str(error))
                continue
            self._switch_to(backend)
            _log.warning("%s; continuing with %s", failure, self.reason)
            return
        memory_is_full = issubclass(kind, DeviceMemoryError)
        raise (DeviceMemoryError if memory_is_full else BackendError)(
            "; ".join([failure, "no other backend is left to run it", *problems])
        )

    def side_by_side(self, count: int) -> Backend | None:
        """See `Backend.side_by_side`: the current backend's."""
        with self._lock:
            return self._current.side_by_side(count)

    def close(self) -> None:
        """See `Backend.close`."""
        with self._lock:
            self._closed = True
            self._current.close()
