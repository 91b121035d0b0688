"""Demux a container: packets of the video and of the streams copied with it, with read-ahead."""

from __future__ import annotations

import errno
import time
from collections import deque
from collections.abc import Collection, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from rtseg.errors import LostError
from rtseg.media.info import StreamKind
from rtseg.media.packets import duplicate
from rtseg.media.streams import choose_video, streams_beside
from rtseg.sources.clock_joins import ClockJoins
from rtseg.sources.container import reason

if TYPE_CHECKING:
    import av
    from av.container.input import InputContainer
    from av.video.stream import VideoStream

NO_TIMESTAMPS = 0x0080
"""AVFMT_NOTIMESTAMPS: the format stores no times, and the demuxer makes them up."""

TIMESTAMPS_JUMP = 0x0200
"""AVFMT_TS_DISCONT: the format's clock starts anywhere and may jump."""

_SAMPLE_PACKETS = 3
_AHEAD_PACKETS = 600
_AHEAD_BYTES = 16 << 20

_END_SLACK_SECONDS = Fraction(1, 2)
_END_SLACK_SHARE = Fraction(1, 100)
"""Tolerated error of a stated length, in seconds."""

_AHEAD_SECONDS = 1.0
"""Seconds to wait for a pausing sender. Sound may be announced and never arrive."""

_BURST_PACKETS = 64
_WAIT_NS = 5_000_000
"""A read that takes longer than this many seconds waited for the sender."""


class InterruptedReadError(Exception):
    """Reading ended with an error. The message is FFmpeg's.

    Attributes:
        may_be_the_end: a server that stated no length hung up, which is also how it would end.
    """

    def __init__(self, message: str, *, may_be_the_end: bool) -> None:
        super().__init__(message)
        self.may_be_the_end = may_be_the_end


class Demuxer:
    """Reads the packets of one container, with a time limit and typed errors.

    Args:
        container: open; closed by whoever opened it.
        name: for messages.
        kinds: the kinds of stream to read beside the video (audio, subtitle).
        silence_seconds: the time limit of a read; None for a file.

    Attributes:
        video: the video stream.
        others: the streams beside it, by index.
        first_packets: the first few packets of each of them, once `look_ahead` was called.
        packet_count: number of video packets read so far.
        reached_seconds: the latest end of any packet read so far.
        has_jumped: the clock jumped before the last video packet; the reader resets it.

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
        self.reached_seconds: Fraction | None = None
        self._demuxed: list[Any] = [self.video, *self.others.values()]
        if silence_seconds is not None:
            # The streams not read tell how far a download of unknown size has come.
            self._demuxed += [
                stream
                for stream in container.streams
                if stream.type in ("audio", "video") and stream not in self._demuxed
            ]
        self.has_jumped = False
        jumps = bool(container.format.flags & TIMESTAMPS_JUMP)
        self._joins = ClockJoins() if jumps else None
        self._ahead: deque[av.Packet[Any]] = deque()
        self._failure: Exception | None = None
        self._packets: Iterator[av.Packet[Any]] | None = None

    @property
    def has_timestamps(self) -> bool:
        """Whether the format stores times at all."""
        return not self._container.format.flags & NO_TIMESTAMPS

    @property
    def is_endless(self) -> bool:
        """Whether a download never ends, like a camera's series of JPEGs."""
        return self._container.format.name == "mpjpeg" or not self._has_size

    @property
    def _has_size(self) -> bool:
        """Whether the input states how many bytes it has."""
        # PyAV 18 has a negative error number where it does not, later ones have None
        size: int | None = self._container.size
        return size is not None and size >= 0

    def look_ahead(self) -> None:
        """Read ahead until every audio stream has delivered a packet, within bounds.

        A muxer needs one to tell whether it supports that sound. Nothing is lost: `packets` begins
        with what was read ahead.
        """
        waiting = {index for index, stream in self.others.items() if stream.type == "audio"}
        size = 0
        begun = time.monotonic()
        while waiting and len(self._ahead) < _AHEAD_PACKETS and size < _AHEAD_BYTES:
            is_sent = self._silence_seconds is not None
            if is_sent and time.monotonic() - begun > _AHEAD_SECONDS:
                return
            packet = self._read_ahead()
            if packet is None:
                return
            size += packet.size
            if packet.size and packet.stream_index in self.first_packets:
                samples = self.first_packets[packet.stream_index]
                if len(samples) < _SAMPLE_PACKETS:
                    samples.append(
                        duplicate(packet)
                    )  # Copies, since their times are changed later.
                waiting.discard(packet.stream_index)

    def burst(self) -> list[int]:
        """Return when each packet that had already arrived was read (`time.monotonic_ns`).

        Reads ahead until a read has to wait for the sender. If one did, it is the last of the
        list.
        """
        times: list[int] = []
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
        """Yield every packet in file order, then the empty ones that flush the decoders.

        The empty ones come before an error too, so that decoders lose no pictures.

        Raises:
            LostError: nothing arrived for too long.
            InterruptedReadError: FFmpeg cannot continue reading.
        """
        while True:
            if not self._ahead and self._failure is None:
                self._read_ahead()
            if not self._ahead and self._failure is None:
                return
            if not self._ahead and self._failure is not None:
                if isinstance(self._failure, InterruptedReadError):
                    yield self._flushing_packet()
                raise self._failure
            packet = self._ahead.popleft()
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
            self._failure = error  # Raised once everything before it has been delivered.
            return None
        if packet is not None:
            self._ahead.append(packet)
        return packet

    def _flushing_packet(self) -> av.Packet[Any]:
        import av

        packet: av.Packet[Any] = av.Packet()
        packet.stream = self.video
        return packet

    def _demux(self) -> Iterator[av.Packet[Any]]:
        import av

        limit = self._silence_seconds
        heard = time.monotonic()
        try:
            for packet in self._container.demux(self._demuxed):
                now, before = time.monotonic(), heard
                self._note_end(packet)
                if packet.stream_index == self.video.index or packet.stream_index in self.others:
                    yield packet
                if limit is not None and now - before >= limit:
                    # FFmpeg's time limit expired on the read before; it would now wait once more.
                    raise self._silence()
                heard = time.monotonic()
        except IndexError:
            # At the end PyAV also tries to flush streams that appeared later and that it has no
            # object for; the ones we read may then not have been flushed.
            yield self._flushing_packet()
        except av.error.ExitError:
            raise self._silence() from None
        except (av.error.FFmpegError, OSError) as error:
            hung_up = getattr(error, "errno", None) == errno.EIO and not self._has_size
            raise InterruptedReadError(reason(error), may_be_the_end=hung_up) from None

    def _note_end(self, packet: av.Packet[Any]) -> None:
        if packet.pts is not None:
            end = (packet.pts + (packet.duration or 0)) * packet.time_base
            self.reached_seconds = max(self.reached_seconds or end, end)

    def ends_early(self) -> bool:
        """Whether reading stopped well before the length that the container states.

        For pipes and servers that state no size; a file's own size tells.
        """
        stated = self._container.duration
        if stated is None or stated <= 0 or self.reached_seconds is None:
            return False
        if self._joins is not None or not self.has_timestamps:
            return False  # Such formats state no length; FFmpeg's is a guess.
        start = self._container.start_time or 0
        end = Fraction(start + stated, 1_000_000)
        slack = max(_END_SLACK_SECONDS, Fraction(stated, 1_000_000) * _END_SLACK_SHARE)
        return end - self.reached_seconds > slack

    def _silence(self) -> LostError:
        return LostError(
            f"{self._name}: sent nothing for {self._silence_seconds or 0:g} s; check that it is "
            "still sending, or allow more with `timeout`"
        )
