"""Open an input within one overall time limit, even if it never answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

from rtseg.errors import LostError

_OWN_WORK_SECONDS = 0.5
"""What opening may take beyond the time limit, for its own work."""


def open_in_time(
    work: Callable[[], None],
    *,
    name: str,
    seconds: float,
    lock: threading.Lock,
    abandoned: threading.Event,
    close: Callable[[], None],
) -> None:
    """Open on a thread that is left to itself where it takes too long.

    FFmpeg grants the whole time limit to each step (connect, look at the streams, read the first
    picture), so that whoever falls silent in the first one is waited for three times.

    Args:
        work: opens; its errors are raised here.
        name: for the message.
        seconds: the limit.
        lock: held while it works.
        abandoned: set by `close`; what is opened after that is closed by the thread itself.
        close: gives everything back.

    Raises:
        LostError: it took too long.
    """
    ended: SimpleQueue[BaseException | None] = SimpleQueue()

    def run() -> None:
        error: BaseException | None = None
        with lock:
            try:
                work()
            except BaseException as caught:  # noqa: BLE001  raised again by who waits for it
                error = caught
        ended.put(error)
        if abandoned.is_set():
            close()

    begun = time.monotonic()
    threading.Thread(target=run, name="rtseg-open", daemon=True).start()
    late = LostError(
        f"{name}: did not answer within {seconds:g} s; check the address, or raise `timeout`"
    )
    try:
        error = ended.get(timeout=seconds + _OWN_WORK_SECONDS)
    except Empty:
        raise late from None
    if error is not None:
        raise error
    if time.monotonic() - begun >= seconds:
        # One of the steps waited in vain: reading on would wait for as long again.
        raise late
