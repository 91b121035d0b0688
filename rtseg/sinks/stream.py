"""Send live streams to the network (RTSP, RTMP, MPEG-TS over UDP or TCP) or as HLS files."""

from __future__ import annotations

import io
import logging
import time
from collections import deque
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from rtseg.errors import DiskFullError, SinkError
from rtseg.frames import Frame, Packet, Picture, Segmentation
from rtseg.media.info import SourceInfo, StreamInfo
from rtseg.settings import StreamSettings
from rtseg.sinks.base import Event, Outcome, Sink
from rtseg.sinks.disk_space import is_full
from rtseg.sinks.hls import HlsFolder
from rtseg.sinks.live_encoder import TIME_BASE, EncodedPicture, LiveEncoder, check_live_settings
from rtseg.sinks.protocols import HLS, protocol_of, shown_output, with_query
from rtseg.sinks.registry import SinkOptions
from rtseg.sinks.stream_link import StreamLink
from rtseg.sinks.stream_process import Plan, Report
from rtseg.system.retry import FIRST_DELAY_SECONDS, retry_delay

CONNECT_SECONDS = 10.0
"""Seconds that a server may take to accept a stream."""

FINISH_SECONDS = 3.0
"""Seconds that finishing a stream may take; a folder's may take longer while it progresses."""

MOST_WAITING_BYTES = 1 << 20
"""Bytes queued for a slow connection, a second or two; beyond that, pictures are dropped."""

_MOST_EARLY_PACKETS = 100

_SLICE_SECONDS = 0.05

_log = logging.getLogger(__name__)


class StreamSink(Sink):
    """Sends rendered views as H.264, with the source's audio if the protocol supports it.

    A child process connects and sends, so nothing in this process waits for the network. Pictures
    that cannot be sent in time are dropped and counted. If the server is missing, silent or lost,
    the sink reconnects as live inputs do; a permanent refusal (no such path, a wrong password) is
    an error. The first attempt is waited for, so that a typing error in the URL shows at once. A
    file is sent in real time, except into an HLS folder, which gets every frame as fast as
    possible.

    Args:
        output: a URL, or an .m3u8 file; its segments are written beside it.
        options: `encode` (crf, preset, audio, overwrite), `stream` (reconnecting), `threads`.

    Attributes:
        dropped: pictures that could not be sent in time.
        reconnects: how many times it reconnected.

    Raises:
        SettingError: the codec is not H.264, or the quality or preset is invalid for it.
    """

    wants_pixels = True

    def __init__(self, output: str, options: SinkOptions | None = None) -> None:
        options = options or SinkOptions()
        check_live_settings(options.encode)
        self._output = output
        self._encode = options.encode
        self._settings: StreamSettings = options.stream
        self._threads = options.threads
        self._protocol = protocol_of(output)
        self._name = shown_output(output)
        self._folder = HlsFolder(output, overwrite=self._encode.overwrite)
        self.wants_real_time = self._protocol.by_the_clock
        self._link: StreamLink | None = None
        self._audio: StreamInfo | None = None
        self._attempts = 0
        self._next_attempt = 0.0
        self._connect_by = 0.0
        self._is_up = False
        self._was_connected = False
        self._base: Fraction | None = None
        self._early: deque[Packet] = deque(maxlen=_MOST_EARLY_PACKETS)
        self._sent = 0
        self._started = 0.0
        self._first_seconds: Fraction | None = None
        self.dropped = 0
        self.reconnects = 0

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Connect, or find that this is impossible for now. See `Sink.open`."""
        self._info = info
        if self._protocol is HLS:
            self._folder.claim(info.read_files)
        self._audio = self._choose_audio(info.streams if self._encode.audio != "none" else ())
        self._encoder = LiveEncoder(
            width=width,
            height=height,
            frame_rate=info.frame_rate,
            settings=self._encode,
            threads=self._threads,
        )
        # Now, because a source that reconnects frees the stream's description.
        self._template = _template(self._encoder, [self._audio] if self._audio else [])
        self._connect()
        link = self._link
        while link is not None and not link.is_connected and link is self._link:
            link.wait(_SLICE_SECONDS)
            self._drive()

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Encode and send one picture, if connected. See `Sink.write`."""
        if picture is None:
            raise SinkError(f"{self._name}: needs the rendered view, and was given none")
        if self._protocol is HLS:
            self._folder.check()
        self._drive()
        if not self._info.is_live:
            self._wait_for_turn(frame)
        link = self._link
        if link is None or not link.is_connected or link.waiting_bytes > MOST_WAITING_BYTES:
            self.dropped += 1
            return
        first = self._base is None
        encoded = self._encoder.encode(picture, self._since_first(frame.pts_seconds), key=first)
        if encoded is not None:
            self._send(link, encoded)

    def copy(self, packet: Packet) -> None:
        """Send one audio packet. See `Sink.copy`."""
        self._drive()
        if self._audio is None or packet.stream_index != self._audio.index:
            return
        if self._base is None:
            self._early.append(packet)  # the first picture's audio may arrive before it
        elif self._link is not None and self._link.waiting_bytes <= 2 * MOST_WAITING_BYTES:
            self._send_sound(self._link, packet, base=self._base)

    def poll(self) -> tuple[Event, ...]:
        """Keep the connection going while no pictures arrive."""
        self._drive()
        return ()

    def close(self, outcome: Outcome) -> None:
        """Send what is queued, and end the stream. See `Sink.close`."""
        link, self._link = self._link, None
        if link is None:
            finished = False
        else:
            try:
                finished = self._finish(link)
            finally:
                link.end()
        if outcome == "failed":
            return
        if not self._sent:
            raise SinkError(f"{self._name}: ended before a picture could be sent")
        if self._protocol is HLS and not finished:
            report = link.over if link is not None else None
            raise self._failure(report or Report(state="failed", reason="it did not end in time"))

    def describe(self) -> str:
        """The destination without secrets, and what was not sent."""
        notes = []
        if self.reconnects:
            notes.append(f"{self.reconnects} reconnects")
        if self.dropped:
            notes.append(f"{self.dropped} frames not sent")
        return f"{self._name} ({', '.join(notes)})" if notes else self._name

    @property
    def is_connected(self) -> bool:
        """Whether a server is receiving the stream."""
        return self._link is not None and self._link.is_connected

    # --- the connection ---

    def _connect(self) -> None:
        """Start an attempt; `_drive` handles its result."""
        self._attempts += 1
        self._is_up = False
        self._base = None
        self._early.clear()
        self._connect_by = time.monotonic() + CONNECT_SECONDS
        options = dict(self._protocol.options)
        url = with_query(self._output, self._protocol)
        if self._protocol is HLS:
            url = self._output
            options |= self._folder.options(is_live=self._info.is_live, again=self._was_connected)
        template, time_bases = self._template
        self._link = StreamLink(
            Plan(
                url=url,
                muxer=self._protocol.muxer,
                options=options,
                template=template,
                parameter_sets=self._encoder.parameter_sets,
                time_bases=time_bases,
            )
        )

    def _drive(self) -> None:
        """Pass packets on, abandon a stalled connection, reconnect. Never waits."""
        link = self._link
        if link is None:
            if self._attempts and time.monotonic() >= self._next_attempt:
                self._connect()
            return
        link.work()
        if link.is_connected and not self._is_up:
            self._is_up = True
            if self._was_connected:
                self.reconnects += 1
                _log.warning("%s: reconnected", self._name)
            self._was_connected = True
        if link.over is not None:
            self._lose(link.over)
        elif not link.is_connected and time.monotonic() > self._connect_by:
            self._lose(Report(state="failed", reason=f"did not answer in {CONNECT_SECONDS:g} s"))
        elif link.is_connected and link.stalled_seconds > self._stall_seconds:
            reason = f"accepted no data for {self._stall_seconds:g} s"
            self._lose(Report(state="failed", reason=reason))

    @property
    def _stall_seconds(self) -> float:
        return self._settings.stale_after or CONNECT_SECONDS

    def _lose(self, report: Report) -> None:
        """Handle a lost connection: schedule another attempt, or raise."""
        link, self._link = self._link, None
        if link is not None:
            if link.is_connected:
                self._attempts = 0
            link.end()
        if report.state == "bug":
            raise RuntimeError(f"a network output's process failed:\n{report.reason}")
        most = self._settings.max_reconnects
        may_return = report.may_return and self._settings.reconnect and not is_full_number(report)
        if self._protocol is HLS and not self._was_connected:
            may_return = False
        if not may_return:
            raise self._failure(report)
        if self._attempts >= most:
            raise SinkError(
                f"{self._failure(report)}; it could not be reached in {most} attempts, and "
                "`max_reconnects` allows more"
            )
        delay = retry_delay(self._attempts, first_seconds=FIRST_DELAY_SECONDS)
        self._attempts = max(1, self._attempts)
        self._next_attempt = time.monotonic() + delay
        _log.warning(
            "%s; connecting again in %g s (%d of %d)",
            self._failure(report),
            delay,
            self._attempts,
            most,
        )

    def _failure(self, report: Report) -> SinkError:
        kind = DiskFullError if is_full_number(report) else SinkError
        done = "cannot be written to any more" if self._was_connected else "cannot be written"
        return kind(f"{self._name}: {done}: {report.reason or 'it ended'}")

    # --- what is sent ---

    def _choose_audio(self, streams: Sequence[StreamInfo]) -> StreamInfo | None:
        """Choose the first stream that the protocol supports, and log those that are dropped."""
        audio = [stream for stream in streams if stream.kind == "audio"]
        for stream in audio:
            if stream.codec in self._protocol.audio:
                return stream
        if audio:
            _log.warning(
                "%s: sent without sound: %s does not carry %s; it carries %s",
                self._name,
                self._protocol.name,
                audio[0].codec,
                ", ".join(self._protocol.audio),
            )
        return None

    def _since_first(self, seconds: Fraction) -> Fraction:
        """Seconds since the first picture of the whole run: the encoder's clock."""
        if self._first_seconds is None:
            self._first_seconds = seconds
            self._started = time.monotonic()
        return seconds - self._first_seconds

    def _send(self, link: StreamLink, encoded: EncodedPicture) -> None:
        seconds = encoded.ticks * TIME_BASE
        if self._base is None:
            # Each connection begins at zero; audio is shifted like the pictures.
            self._base = seconds + (self._first_seconds or Fraction(0))
            self._base_ticks = encoded.ticks
        ticks = encoded.ticks - self._base_ticks
        link.send(0, encoded.data, is_key=encoded.is_key, pts=ticks, dts=ticks, duration=0)
        self._sent += 1
        while self._early:
            self._send_sound(link, self._early.popleft(), base=self._base)

    def _send_sound(self, link: StreamLink, packet: Packet, *, base: Fraction) -> None:
        payload: Any = packet.payload
        if payload.dts is None and payload.pts is None:
            return
        shift = round(-base / payload.time_base)
        dts = (payload.pts if payload.dts is None else payload.dts) + shift
        pts = dts if payload.pts is None else payload.pts + shift
        if dts >= 0:
            link.send(
                1, bytes(payload), is_key=True, pts=pts, dts=dts, duration=payload.duration or 0
            )

    def _wait_for_turn(self, frame: Frame) -> None:
        """Delay a file's picture until it is due or, for a folder, until the queue has room."""
        if self._protocol.by_the_clock:
            due = self._started + float(self._since_first(frame.pts_seconds))
            while (left := due - time.monotonic()) > 0:
                time.sleep(min(left, _SLICE_SECONDS))
                self._drive()
            return
        while (
            self._link is not None
            and (not self._link.is_connected or self._link.waiting_bytes > MOST_WAITING_BYTES)
        ) or (self._link is None and self._attempts):
            if self._link is None:
                time.sleep(_SLICE_SECONDS)
            else:
                self._link.wait(_SLICE_SECONDS)
            self._drive()

    def _finish(self, link: StreamLink) -> bool:
        if not link.is_connected:
            return False
        if self._protocol is HLS:
            return link.finish(4 * FINISH_SECONDS)
        return link.finish(FINISH_SECONDS)


def is_full_number(report: Report) -> bool:
    """Whether a child's error number means that a disk is full."""
    return is_full(OSError(report.number, "")) if report.number else False


def _template(
    encoder: LiveEncoder, streams: Sequence[StreamInfo]
) -> tuple[bytes, tuple[tuple[int, int], ...]]:
    """Return a Matroska file with streams like those to be sent, and their packets' time bases.

    It needs one packet per stream to be readable; their content does not matter.
    """
    import av

    file = io.BytesIO()
    time_bases = [(TIME_BASE.numerator, TIME_BASE.denominator)]
    with av.open(file, "w", format="matroska") as container:
        video: Any = container.add_stream("libx264", rate=30)
        video.width, video.height, video.pix_fmt = encoder.width, encoder.height, "yuv420p"
        for stream in streams:
            template: Any = stream.template
            container.add_stream_from_template(template)
            time_bases.append((template.time_base.numerator, template.time_base.denominator))
        container.start_encoding()
        for stream_out in container.streams:
            packet: Any = av.Packet(b"\0\0\0\1\x09\x10")
            packet.pts = packet.dts = 0
            packet.time_base = Fraction(1, 1000)
            packet.is_keyframe = True
            packet.stream = stream_out
            container.mux(packet)
    return file.getvalue(), tuple(time_bases)
