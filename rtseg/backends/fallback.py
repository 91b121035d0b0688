"""The backend that `auto` chose on a GPU, and the one that takes over when the GPU fails."""

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
    """Runs on the first of several backends, and on the next from where that fails.

    The call that failed is done again by the next one, so no picture is lost. There is no way
    back: what filled the memory may well do so again, and a GPU that failed is of no use to its
    process. A call with wrong crops is the caller's fault and no reason to change.

    Args:
        first: is open, and belongs to this one from here on.
        others: open the backends after it; each is called at most once.
    """

    def __init__(self, first: Backend, others: Sequence[Callable[[], Backend]]) -> None:
        self._lock = threading.Lock()
        self._others = list(others)
        self._closed = False
        self._become(first)

    def _become(self, backend: Backend) -> None:
        self._current = backend
        self.name, self.device, self.precision = backend.name, backend.device, backend.precision
        self.model, self.reason = backend.model, backend.reason

    def infer(self, crops: Crops) -> ProbabilityBatch:
        """As `Backend.infer`; BackendError only where no other backend is left.

        Each backend has tried smaller batches itself before it says that its memory is full.
        """
        self.check_crops(crops)
        return self._on_what_works(lambda backend: backend.infer(crops))

    def warm_up(self) -> None:
        """As the current backend's own."""
        self._on_what_works(lambda backend: backend.warm_up())

    def _on_what_works(self, call: Callable[[Backend], Result]) -> Result:
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
                # outside the handler: the error's traceback holds the memory of the failed call
                self._fall_back(why, kind)

    def _fall_back(self, why: str, kind: type[BackendError]) -> None:
        """Go on with the first of the others that opens.

        Raises:
            BackendError: none does; DeviceMemoryError where that was what failed.
        """
        failure = f"{self.name} on {self.device}: {why}"
        try:
            self._current.close()
        except BackendError as error:
            # it failed already, and what it could not give back ends with the process
            _log.debug("while closing %s: %s", self.name, error)
        problems = []
        while self._others:
            try:
                backend = self._others.pop(0)()
            except RtsegError as error:
                problems.append(str(error))
                continue
            self._become(backend)
            _log.warning("%s; going on with %s", failure, self.reason)
            return
        memory_is_full = issubclass(kind, DeviceMemoryError)
        raise (DeviceMemoryError if memory_is_full else BackendError)(
            "; ".join([failure, "nothing else is left to run it", *problems])
        )

    def close(self) -> None:
        """As `Backend.close`."""
        with self._lock:
            self._closed = True
            self._current.close()
