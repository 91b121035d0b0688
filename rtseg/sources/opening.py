"""Open an input within one overall time limit, even if it never answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

from rtseg.errors import LostError

_OWN_WORK_SECONDS = 0.5
"""Seconds beyond the time limit that are granted to the work of opening itself."""


def open_in_time(
    work: Callable[[], None],
    *,
    name: str,
    seconds: float,
    lock: threading.Lock,
    abandoned: threading.Event,
    close: Callable[[], None],
) -> None:
    """Open on a thread that is abandoned if it takes too long.

    FFmpeg applies the whole time limit to each step (connecting, probing the streams, reading the
    first picture), so a silent server could take three times as long.

    Args:
        work: opens the input; its errors are re-raised.
        name: the input's name in the message.
        seconds: the time limit.
        lock: held while `work` runs.
        abandoned: set by `close`; the thread then closes whatever it opens afterwards.
        close: releases everything.

    Raises:
        LostError: it took too long.
    """
    ended: SimpleQueue[BaseException | None] = SimpleQueue()

    def run() -> None:
        error: BaseException | None = None
        with lock:
            try:
                work()
            except BaseException as caught:  # noqa: BLE001  raised again in the thread that waits
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
        # One of the steps timed out; reading would wait for just as long again.
        raise late
