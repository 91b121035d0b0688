"""Run a pipeline on a thread and iterate over its results."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator

from rtseg.frames import Frame, Packet, Picture, Segmentation
from rtseg.media.info import SourceInfo
from rtseg.runtime.channel import Channel, Nothing, StopFlag
from rtseg.runtime.pipeline import Pipeline
from rtseg.sinks.base import Outcome, Sink

JOIN_SECONDS = 60.0
"""Seconds that an ended run may take to close: more than its own limits together."""

Result = tuple[Frame, Segmentation]

_log = logging.getLogger(__name__)


class _ChannelSink(Sink):
    """Passes each frame and its segmentation to the iterating thread."""

    wants_pixels = False

    def __init__(self, channel: Channel[Result]) -> None:
        self._channel = channel

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        pass

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        self._channel.put((frame, segmentation))

    def copy(self, packet: Packet) -> None:
        pass

    def close(self, outcome: Outcome) -> None:
        self._channel.close()


def iterate(
    make_pipeline: Callable[[Sink], Pipeline], *, is_live: bool
) -> Generator[Result, None, None]:
    """Run a pipeline on a separate thread, and yield its results.

    For a live source the newest result is yielded, and results not taken in time are dropped; for a
    file every result is yielded. Closing the generator, or an exception in the loop, ends the run
    and joins its threads.

    Args:
        make_pipeline: makes the pipeline that writes to the given sink.
        is_live: whether results not taken in time are dropped.

    Raises:
        TruncatedError: the input is truncated; everything before that was yielded.
        BaseException: the run's first exception.
    """
    over = StopFlag()
    channel: Channel[Result] = Channel(
        capacity=1, policy="newest" if is_live else "block", stop=over
    )
    pipeline = make_pipeline(_ChannelSink(channel))
    errors: list[BaseException] = []

    def work() -> None:
        try:
            pipeline.run()
        except BaseException as error:  # noqa: BLE001  raised again on the iterating thread
            errors.append(error)
        finally:
            channel.close()

    worker = threading.Thread(target=work, name="rtseg-stream", daemon=True)
    worker.start()
    try:
        while not isinstance(result := channel.get(), Nothing):
            yield result
    finally:
        pipeline.stop()
        over.set()
        worker.join(JOIN_SECONDS)
        if worker.is_alive():
            _log.warning("the run is stuck in a call that does not return; abandoned")
    if errors:
        raise errors[0]
