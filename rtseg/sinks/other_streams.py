"""Carry audio and subtitles into a video output.

A plan for each stream is made before the output is created: it is copied bit for bit if the
container supports it, otherwise re-encoded with the container's usual codec, otherwise dropped.
Re-encoding and dropping are logged.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

from rtseg.errors import SinkError, listed
from rtseg.frames import Packet
from rtseg.media.info import StreamInfo
from rtseg.media.rational import exact
from rtseg.settings import EncodeSettings
from rtseg.sinks.copied_stream import CopiedStream
from rtseg.sinks.subtitle_conversion import USUAL_SUBTITLES, SubtitleConverter, is_text
from rtseg.sinks.transcoding import CODEC_NAMES, AudioTranscoder, encoder_for
from rtseg.sinks.trial import is_held

if TYPE_CHECKING:
    from av.container.output import OutputContainer

_OLD_TAGS = ("duration", "bps", "number_of_", "_statistics")
"""Prefixes of Matroska stream tags that describe the old file."""

_PLACES = re.compile(rb"(gps|lat+itude|long?t?itude)\W{0,4}[-+\d(]", re.IGNORECASE)
"""Telemetry that drone cameras write into a subtitle track for each frame."""

_KEPT_TAGS = frozenset({"language"})
"""Stream tags that are kept even if metadata is dropped."""

_Writer = CopiedStream | AudioTranscoder | SubtitleConverter

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StreamPlan:
    """How one stream of the source is carried over.

    Attributes:
        stream: the source's stream.
        treatment: `copy` bit for bit, or `encode` (transcode audio, convert subtitles).
        encoder: FFmpeg's name of the encoder; "" if the stream is copied.
    """

    stream: StreamInfo
    treatment: Literal["copy", "encode"]
    encoder: str = ""


def plan_streams(
    streams: Iterable[StreamInfo],
    *,
    settings: EncodeSettings,
    muxer: str,
    options: Mapping[str, str],
    output: str,
) -> tuple[StreamPlan, ...]:
    """Decide how to carry each stream over, and log those that are not simply copied.

    Args:
        muxer, options: the output's muxer and its options.
        output: the output's name in messages.

    Raises:
        SinkError: a stream must be copied, and the container does not support it.
    """
    plans = []
    for stream in streams:
        choice = settings.audio if stream.kind == "audio" else settings.subtitles
        if choice == "none":
            continue
        copied = choice in ("auto", "copy") and is_held(stream, muxer=muxer, options=options)
        if copied:
            plans.append(StreamPlan(stream=stream, treatment="copy"))
            continue
        if choice == "copy":
            raise SinkError(_cannot_copy(stream, output=output))
        plan = _encoded(stream, muxer=muxer, output=output)
        if plan is None:
            _log.warning(
                "%s: cannot hold the %s %s of the input, which is dropped",
                output,
                stream.codec,
                _kind(stream),
            )
        else:
            if choice == "auto":
                _log.info(
                    "%s: cannot hold the %s %s of the input, which is converted to %s",
                    output,
                    stream.codec,
                    _kind(stream),
                    CODEC_NAMES.get(plan.encoder, plan.encoder),
                )
            plans.append(plan)
    return tuple(plans)


def _kind(stream: StreamInfo) -> str:
    noun = "audio" if stream.kind == "audio" else "subtitles"
    return noun if stream.language in (None, "und") else f"{noun} ({stream.language})"


def _encoded(stream: StreamInfo, *, muxer: str, output: str) -> StreamPlan | None:
    """Plan how to re-encode a stream; None if that is impossible."""
    import av

    template: Any = stream.template
    if template.codec_context is None:
        return None  # this FFmpeg build has no decoder for it
    encoder: str | None
    if stream.kind == "audio":
        encoder = encoder_for(stream, muxer)
    else:
        encoder = USUAL_SUBTITLES.get(muxer) if is_text(stream) else None
    if encoder is None:
        return None
    plan = StreamPlan(stream=stream, treatment="encode", encoder=encoder)
    try:
        with (
            av.open(BytesIO(), "w", format=muxer) as trial,
            closing(_open_stream(trial, plan)) as writer,
        ):
            trial.start_encoding()
            encoded_packets = [
                encoded
                for packet in stream.first_packets
                for encoded in writer.packets(packet, shift_seconds=Fraction(0))
            ]
            for encoded in encoded_packets + writer.flush():
                encoded.stream = writer.stream
                trial.mux(encoded)
    except (av.error.FFmpegError, OSError, ValueError):
        return None
    return plan


def _cannot_copy(stream: StreamInfo, *, output: str) -> str:
    from rtseg.sinks.codecs import CONTAINERS

    able = [
        suffix for suffix, muxer in CONTAINERS.items() if is_held(stream, muxer=muxer, options={})
    ]
    instead = f"write {listed(able)} instead, or " if able else ""
    option, other = ("audio", "transcode") if stream.kind == "audio" else ("subtitles", "convert")
    return (
        f"{output}: cannot hold the {stream.codec} {_kind(stream)} of the input; {instead}"
        f"convert it with `{option}` {other}, or drop it with `{option}` none"
    )


class OtherStreams:
    """Adds the planned streams to a container, and writes their packets.

    Args:
        container: the output, before its header is written.
        plans: how to carry each stream over.
        keep_tags: whether to copy titles and similar tags; language and role are always copied.
            If False, subtitles that reveal a location are dropped as well.
    """

    def __init__(
        self, container: OutputContainer, plans: Iterable[StreamPlan], *, keep_tags: bool = True
    ) -> None:
        self._container = container
        self._keep_tags = keep_tags
        self._hidden: set[int] = set()
        self._next_dts: dict[int, int] = {}
        self._refused: dict[int, int] = {}
        self._writers: dict[int, _Writer] = {}
        for plan in plans:
            writer = _open_stream(container, plan)
            _describe(writer.stream, plan.stream, keep_tags=keep_tags)
            self._writers[plan.stream.index] = writer

    def __contains__(self, stream_index: object) -> bool:
        return stream_index in self._writers

    def mux(self, packet: Packet, *, shift_seconds: Fraction) -> None:
        """Write a packet with shifted times; the packet itself is not modified."""
        writer = self._writers[packet.stream_index]
        if (
            not self._keep_tags
            and writer.stream.type == "subtitle"
            and self._reveals_location(packet)
        ):
            return
        for output_packet in writer.packets(packet.payload, shift_seconds=shift_seconds):
            self._write(packet.stream_index, writer, output_packet)

    def _reveals_location(self, packet: Packet) -> bool:
        payload: Any = packet.payload
        if not _PLACES.search(bytes(payload)):
            return False
        if packet.stream_index not in self._hidden:
            self._hidden.add(packet.stream_index)
            _log.info("dropped subtitles that reveal the location; `metadata` keep copies them")
        return True

    def flush(self) -> None:
        """Write whatever the encoders still hold."""
        for index, writer in self._writers.items():
            for output_packet in writer.flush():
                self._write(index, writer, output_packet)
        for index, count in self._refused.items():
            kind = self._writers[index].stream.type
            _log.warning("%d damaged packets of %s could not be written", count, kind)

    def close(self) -> None:
        """Release the decoders. Nothing may be written afterwards."""
        for writer in self._writers.values():
            writer.close()

    def _write(self, index: int, writer: _Writer, packet: Any) -> None:
        import av

        self._ensure_increasing_times(index, writer, packet)
        packet.stream = writer.stream
        try:
            self._container.mux(packet)
        except (av.error.InvalidDataError, av.error.ArgumentError, av.error.PermissionError):
            # The muxer rejects this packet; pictures and later packets can still be written.
            self._refused[index] = self._refused.get(index, 0) + 1

    def _ensure_increasing_times(self, index: int, writer: _Writer, packet: Any) -> None:
        """Ensure increasing decoding times, without which the muxer would abort the file."""
        packet_tick = Fraction(packet.time_base)
        tick = exact(writer.stream.time_base) or packet_tick
        following = self._next_dts.get(index)
        if packet.dts is None:
            first = 0 if packet.pts is None else packet.pts
            packet.dts = first if following is None else -(-following * tick // packet_tick)
            packet.pts = packet.dts if packet.pts is None else max(packet.pts, packet.dts)
        dts = round(packet.dts * packet_tick / tick)
        if following is not None and dts < following:
            # one tick is inaudible
            packet.dts += -(-(following - dts) * tick // packet_tick)
            packet.pts = None if packet.pts is None else max(packet.pts, packet.dts)
            dts = round(packet.dts * packet_tick / tick)
        self._next_dts[index] = dts + 1


def _describe(copy: Any, stream: StreamInfo, *, keep_tags: bool) -> None:
    template: Any = stream.template
    copy.metadata.update(
        (key, value)
        for key, value in template.metadata.items()
        if not key.lower().startswith(_OLD_TAGS) and (keep_tags or key.lower() in _KEPT_TAGS)
    )
    copy.disposition = template.disposition


def _open_stream(container: OutputContainer, plan: StreamPlan) -> _Writer:
    if plan.treatment == "copy":
        return CopiedStream(container, plan.stream)
    if plan.stream.kind == "audio":
        return AudioTranscoder(container, plan.stream, encoder=plan.encoder)
    return SubtitleConverter(container, plan.stream, encoder=plan.encoder)
