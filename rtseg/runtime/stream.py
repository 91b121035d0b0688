"""Iterate over a pipeline's results."""

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
"""How long an ended run may take to close: longer than its own limits together."""

Result = tuple[Frame, Segmentation]

_log = logging.getLogger(__name__)


class _ChannelSink(Sink):
    """Hands each frame and its segmentation over to the thread that iterates."""

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
    """Run a pipeline on a thread of its own, and yield what it makes.

    Of a live source the newest result is yielded, and those that nobody took in time are dropped;
    of a file every one. Closing the generator, or leaving it by an exception, ends the run and
    joins its threads.

    Args:
        make_pipeline: wires the pipeline to the sink that it is given.
        is_live: whether what nobody took in time is dropped.

    Raises:
        TruncatedError: the input ended in the middle; everything before was yielded.
        BaseException: whatever the run raised first.
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
            _log.warning("the run is stuck in a call that does not end; left behind")
    if errors:
        raise errors[0]
