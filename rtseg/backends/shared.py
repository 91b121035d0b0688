"""One backend for several streams: what they ask at the same time is one batch."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import numpy as np

from rtseg.backends.base import Backend, Crops, ProbabilityBatch
from rtseg.errors import BackendError

LONGEST_WAIT_SECONDS = 0.0015
"""How long crops may wait for another stream's, so that both are one batch."""


_log = logging.getLogger("rtseg")


class _Question:
    """One stream's crops, and what became of them."""

    def __init__(self, crops: Crops) -> None:
        self.crops = crops
        self.answer: ProbabilityBatch | None = None
        self.error: Exception | None = None
        self.is_done = False


class SharedBackend(Backend):
    """Runs what several threads ask as one batch, where they ask at nearly the same time.

    Whoever comes first waits a moment for those who are about to ask, then runs everything that
    waits, oldest first and at most `max_batch` crops; what comes while a batch runs is the next
    one. No thread of its own is needed. A batch that fails is run again question by question, so
    that one stream's fault is no other's.

    Args:
        backend: what runs the network; it stays open.
        expected: how many may be about to ask, the asker included; nobody is waited for where no
            other is.
        longest_wait_seconds: for another's crops.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        expected: Callable[[], int] = lambda: 1,
        longest_wait_seconds: float = LONGEST_WAIT_SECONDS,
    ) -> None:
        self._backend = backend
        self._expected = expected
        self._longest_wait_seconds = longest_wait_seconds
        self._arrival = threading.Condition()
        self._running = threading.Lock()
        self._waiting: list[_Question] = []
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
        question = _Question(crops)
        with self._arrival:
            self._waiting.append(question)
            self._arrival.notify()
        with self._running:
            if not question.is_done:
                self._run(self._together())
            while not question.is_done:  # more crops waited than one batch holds
                self._run(self._together())
        if question.error is not None:
            raise question.error
        assert question.answer is not None
        return question.answer

    def close(self) -> None:
        """The backend stays open: it is whoever's that opened it."""

    def _together(self) -> list[_Question]:
        """The oldest questions, as many as make a batch."""
        deadline = time.monotonic() + self._longest_wait_seconds
        with self._arrival:
            while len(self._waiting) < self._expected() and self._count() < self.max_batch:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._arrival.wait(left)
            chosen: list[_Question] = []
            size = 0
            while self._waiting and (
                not chosen or size + len(self._waiting[0].crops) <= self.max_batch
            ):
                chosen.append(self._waiting.pop(0))
                size += len(chosen[-1].crops)
        return chosen

    def _count(self) -> int:
        return sum(len(question.crops) for question in self._waiting)

    def _run(self, questions: list[_Question]) -> None:
        try:
            if len(questions) > 1:
                self._answer_together(questions)
            for question in questions:
                if not question.is_done:
                    self._answer_alone(question)
        finally:
            for question in questions:
                if not question.is_done:  # by Ctrl-C in the middle: nobody may wait for ever
                    question.error = BackendError("the network was interrupted")
                    question.is_done = True
        self.batches += 1
        self.crops += sum(len(question.crops) for question in questions)
        self._describe()  # a backend that fell back is another one now

    def _answer_together(self, questions: list[_Question]) -> None:
        try:
            answers = self._backend.infer(np.concatenate([q.crops for q in questions]))
        except Exception as error:  # noqa: BLE001  each is asked again by itself, and told its own
            _log.debug("a batch of %d streams failed: %s", len(questions), error)
            return
        first = 0
        for question in questions:
            last = first + len(question.crops)
            # a copy, so that no stream keeps the others' answers
            question.answer = answers[first:last].copy()
            question.is_done = True
            first = last

    def _answer_alone(self, question: _Question) -> None:
        try:
            question.answer = self._backend.infer(question.crops)
        except Exception as error:  # noqa: BLE001  raised again on the thread that asked
            question.error = error
        question.is_done = True
