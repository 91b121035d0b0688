"""Report the progress of an engine build, and cancel it on request."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

Progress = Callable[[float, str], None]
"""Called with the share that is done, 0..1, and the name of the current phase."""


def make_monitor(module: Any, on_progress: Progress | None) -> Any:
    """TensorRT's progress monitor, which converts its nested phases into one share done.

    TensorRT calls it from threads of its choice, and swallows exceptions. So none leaves it: an
    exception, including a Ctrl-C in the middle of a call, is stored as `interruption` and ends
    the build at its next step. `stop` does the same from outside.
    """

    class Monitor(module.IProgressMonitor):  # type: ignore[misc] # known at run time only
        def __init__(self) -> None:
            module.IProgressMonitor.__init__(self)
            self.interruption: BaseException | None = None
            self._tracker = PhaseTracker()

        def stop(self, reason: BaseException) -> None:
            if self.interruption is None:
                self.interruption = reason

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._guarded(lambda: self._tracker.start(phase_name, parent_phase, num_steps))
            self._report(phase_name)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._guarded(lambda: self._tracker.step(phase_name, step + 1))
            self._report(phase_name)
            return self.interruption is None

        def phase_finish(self, phase_name: str) -> None:
            self._guarded(lambda: self._tracker.finish(phase_name))

        def _report(self, phase_name: str) -> None:
            if on_progress is not None and self.interruption is None:
                self._guarded(lambda: on_progress(self._tracker.share, phase_name))

        def _guarded(self, work: Callable[[], None]) -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - raised again after the build
                self.stop(error)

    return Monitor()


def run_interruptibly(monitor: Any, build: Callable[[], Any]) -> Any:
    """Run a build in a thread of its own and return its result.

    Python handles a signal only between two steps of its main thread. If a build ran there and
    stayed in TensorRT for minutes, it would not notice Ctrl-C; waiting for a thread does.

    Raises:
        BaseException: the build's exception, or what interrupted it: KeyboardInterrupt.
    """
    outcome: list[Any] = []
    failure: list[BaseException] = []
    # an interrupted join would leave the thread marked as ended (Python issue 89437)
    go, done = threading.Event(), threading.Event()

    def work() -> None:
        go.wait()  # so that the build starts only once this thread is ready to be interrupted
        try:
            outcome.append(build())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            failure.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=work, name="engine build", daemon=True)
    thread.start()
    try:
        go.set()
        while not done.wait(0.1):
            pass
    except BaseException as error:
        monitor.stop(error)
        done.wait()  # a second Ctrl-C abandons it
        raise
    finally:
        if done.is_set():
            thread.join()
    if monitor.interruption is not None:
        raise monitor.interruption
    if failure:
        raise failure[0]
    return outcome[0]


class PhaseTracker:
    """The progress of nested phases as one share that never falls.

    Phases without a parent follow one another in a number that is not known in advance; each takes
    half of the remaining share.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._phases: dict[str, tuple[str | None, int, int]] = {}
        self._finished = 0.0
        self.share = 0.0

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase begins, at the top level or inside another one."""
        with self._lock:
            self._phases[name] = (parent if parent in self._phases else None, 0, max(steps, 1))

    def step(self, name: str, done: int) -> None:
        """That many steps of a phase are done."""
        with self._lock:
            if name in self._phases:
                parent, _, steps = self._phases[name]
                self._phases[name] = (parent, min(done, steps), steps)
                self._update()

    def finish(self, name: str) -> None:
        """A phase ends, even if not all its steps were reported."""
        with self._lock:
            if name in self._phases and self._phases.pop(name)[0] is None:
                self._finished += (1 - self._finished) / 2
                self._update()

    def _update(self) -> None:
        roots = [name for name, (parent, _, _) in self._phases.items() if parent is None]
        inside = self._inside(roots[-1]) if roots else 0.0
        now = self._finished + (1 - self._finished) / 2 * inside
        self.share = max(self.share, min(now, 1.0))

    def _inside(self, name: str) -> float:
        _, done, steps = self._phases[name]
        children = [child for child, (parent, _, _) in self._phases.items() if parent == name]
        part = max((self._inside(child) for child in children), default=0.0)
        return min((done + part) / steps, 1.0)
