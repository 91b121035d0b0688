"""The packets of a container's video and of what rides along with it, read ahead where it helps."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from rtseg.errors import LostError
from rtseg.media.info import StreamKind
from rtseg.media.streams import choose_video, streams_beside
from rtseg.sources.clock_joins import ClockJoins
from rtseg.sources.container import reason

if TYPE_CHECKING:
    import av
    from av.container.input import InputContainer
    from av.video.stream import VideoStream

NO_TIMESTAMPS = 0x0080
"""AVFMT_NOTIMESTAMPS: a format that holds no times; a demuxer's are made up."""

TIMESTAMPS_JUMP = 0x0200
"""AVFMT_TS_DISCONT: a format whose clock starts anywhere and may jump."""

_SAMPLE_PACKETS = 3
_AHEAD_PACKETS = 600
_AHEAD_BYTES = 16 << 20

_BURST_PACKETS = 64
_WAIT_NS = 5_000_000
"""A read that takes longer waited for the sender."""


class InterruptedReadError(Exception):
    """Reading ended by an error; the message is FFmpeg's word for it."""


class Demuxer:
    """Reads the packets of one container, with a time limit and typed errors.

    Args:
        container: open; closed by whoever opened it.
        name: for messages.
        kinds: of the streams that are read beside the video (audio, subtitle).
        silence_seconds: what a read may take where the container does not come from a file; None
            for a file.

    Attributes:
        video: the stream of pictures.
        others: the streams beside it, by index.
        first_packets: of each of them, a few, once `look_ahead` was called.
        packet_count: of the video, read up to now.
        has_jumped: the clock was joined before the last video packet; whoever sees it resets it.

    Raises:
        NoVideoError: the container holds no video.
        SourceError: there is nothing to decode it with.
    """

    def __init__(
        self,
        container: InputContainer,
        *,
        name: str,
        kinds: Collection[StreamKind],
        silence_seconds: float | None,
    ) -> None:
        self._container = container
        self._name = name
        self._silence_seconds = silence_seconds
        self.video: VideoStream = choose_video(container, name)
        self.others = streams_beside(container, self.video, kinds)
        self.first_packets: dict[int, list[Any]] = {index: [] for index in self.others}
        self.packet_count = 0
        self.has_jumped = False
        jumps = bool(container.format.flags & TIMESTAMPS_JUMP)
        self._joins = ClockJoins() if jumps else None
        self._ahead: deque[av.Packet[Any]] = deque()
        self._failure: Exception | None = None
        self._packets: Iterator[av.Packet[Any]] | None = None

    @property
    def has_timestamps(self) -> bool:
        """Whether the format holds times at all."""
        return not self._container.format.flags & NO_TIMESTAMPS

    def look_ahead(self) -> None:
        """Read until a packet or more of each stream of sound was seen, within bounds.

        A muxer needs them to say whether it holds such sound. Nothing is lost: `packets` begins
        with what was read.
        """
        waiting = {index for index, stream in self.others.items() if stream.type == "audio"}
        size = 0
        while waiting and len(self._ahead) < _AHEAD_PACKETS and size < _AHEAD_BYTES:
            packet = self._read_ahead()
            if packet is None:
                return
            size += packet.size
            if packet.size and packet.stream_index in self.first_packets:
                samples = self.first_packets[packet.stream_index]
                if len(samples) < _SAMPLE_PACKETS:
                    samples.append(packet)
                waiting.discard(packet.stream_index)

    def burst(self) -> list[int]:
        """When the packets that were there already came to hand (`time.monotonic_ns`).

        Reads ahead until a read waits for the sender. The last one of the list is the one that it
        waited for, if it waited at all.
        """
        times = []
        before = time.monotonic_ns()
        while len(times) < _BURST_PACKETS:
            if self._read_ahead() is None:
                break
            times.append(time.monotonic_ns())
            if times[-1] - before > _WAIT_NS:
                break
            before = times[-1]
        return times

    def packets(self) -> Iterator[av.Packet[Any]]:
        """Every packet in the file's order, with the empty ones at the end that flush decoders.

        Raises:
            LostError: nothing came for too long.
            InterruptedReadError: FFmpeg cannot read on.
        """
        while True:
            if self._ahead:
                packet = self._ahead.popleft()
            elif self._failure is not None:
                raise self._failure
            else:
                following = next(self._opened(), None)
                if following is None:
                    return
                packet = following
            if packet.stream_index == self.video.index and packet.size:
                self.packet_count += 1
            if self._joins is not None and packet.size:
                jumped = self._joins.place(packet)
                self.has_jumped |= jumped and packet.stream_index == self.video.index
            yield packet

    def _opened(self) -> Iterator[av.Packet[Any]]:
        if self._packets is None:
            self._packets = self._demux()
        return self._packets

    def _read_ahead(self) -> av.Packet[Any] | None:
        try:
            packet = next(self._opened(), None)
        except (LostError, InterruptedReadError) as error:
            self._failure = error  # Raised once what came before it was delivered.
            return None
        if packet is not None:
            self._ahead.append(packet)
        return packet

    def _demux(self) -> Iterator[av.Packet[Any]]:
        import av

        limit = self._silence_seconds
        heard = time.monotonic()
        try:
            for packet in self._container.demux((self.video, *self.others.values())):
                now, before = time.monotonic(), heard
                yield packet
                if limit is not None and now - before >= limit:
                    # This was held back: FFmpeg's time was up, and it would wait once more.
                    raise self._silence()
                heard = time.monotonic()
        except av.error.ExitError:
            raise self._silence() from None
        except (av.error.FFmpegError, OSError) as error:
            raise InterruptedReadError(reason(error)) from None

    def _silence(self) -> LostError:
        return LostError(
            f"{self._name}: said nothing for {self._silence_seconds or 0:g} s; check that it is "
            "still sending, or allow more with --timeout"
        )
