"""Transcode audio, in sync with the pictures, for containers that do not support its codec."""

from __future__ import annotations

import logging
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

from rtseg.media.info import StreamInfo
from rtseg.sinks.copied_stream import default_layout

if TYPE_CHECKING:
    from av.container.output import OutputContainer

USUAL_AUDIO = {"webm": "libopus", "matroska": "libopus", "ogg": "libopus"}
"""FFmpeg's encoder for each container's usual audio; AAC for all others."""

CODEC_NAMES = {"libopus": "Opus", "aac": "AAC", "flac": "FLAC"}

_BITS_A_CHANNEL = {"libopus": 64_000, "aac": 96_000}
_FALLBACK_RATES = (48_000, 44_100, 24_000, 16_000, 8_000)

_STEP_SECONDS = Fraction(40, 1000)
"""Audio that drifts this many seconds from its time is resynchronised; less is rounding in the
containers' clocks. EBU R 37 allows audio to be 40 ms early."""

_LONGEST_SILENCE_SECONDS = 3600

_log = logging.getLogger(__name__)


def encoder_for(stream: StreamInfo, muxer: str) -> str:
    """Choose the encoder for a stream; lossless audio stays lossless where possible."""
    template: Any = stream.template
    codec = template.codec_context.codec
    if muxer == "matroska" and codec.lossless and not codec.lossy:
        return "flac"
    return USUAL_AUDIO.get(muxer, "aac")


class AudioTranscoder:
    """Decodes one audio stream and re-encodes it into an output.

    Samples keep their times: once audio is 40 ms off, missing packets become silence, and of
    overlapping packets the later samples are dropped.

    Args:
        container: the output, before its header is written.
        stream: the source's stream; its own decoder is not used, so that several outputs can
            transcode it.
        encoder: FFmpeg's name of the encoder.

    Attributes:
        stream: the output's stream.

    Raises:
        ValueError: the container does not support the codec, or the encoder this kind of audio.
    """

    def __init__(self, container: OutputContainer, stream: StreamInfo, *, encoder: str) -> None:
        import av

        self._name = f"the {stream.codec} audio"
        template: Any = stream.template
        # This format accepts any codec, and its streams have a decoder with all parameters set.
        self._scratch = av.open(os.devnull, "w", format="framecrc")
        self._decoder: Any = self._scratch.add_stream_from_template(template).codec_context
        rate, layout = _accepted(encoder, template.codec_context)
        stream_out: Any = cast("Any", container.add_stream(encoder, rate=rate))
        stream_out.layout = layout
        channels = stream_out.codec_context.layout.nb_channels
        if encoder in _BITS_A_CHANNEL:
            stream_out.bit_rate = _BITS_A_CHANNEL[encoder] * channels
        stream_out.time_base = Fraction(1, rate)
        self.stream: Any = stream_out
        self._rate = rate
        self._layout = layout
        self._resampler: Any = None
        self._shape: tuple[object, ...] = ()
        self._skipped: dict[int, int] = {}
        self._start: Fraction | None = None
        self._fed_seconds = Fraction(0)
        self._untimed: list[Any] = []
        self._encoded_samples = 0
        self._damaged = 0

    def packets(self, packet: Any, *, shift_seconds: Fraction) -> list[Any]:
        """Transcode one packet of the source, with its times shifted by `shift_seconds`."""
        import av

        if packet.has_sidedata("skip_samples") and packet.pts is not None:
            (count,) = struct.unpack_from("<I", bytes(packet.get_sidedata("skip_samples")))
            self._skipped[packet.pts] = count
        try:
            frames = self._decoder.decode(packet)
        except av.error.FFmpegError:
            # The decoder continues with the next packet; the gap is filled with silence.
            self._damaged += 1
            return []
        return [encoded for frame in frames for encoded in self._take(frame, shift_seconds)]

    def flush(self) -> list[Any]:
        """Return what the decoder and the encoder still hold."""
        import av

        encoded: list[Any] = []
        with suppress(av.error.FFmpegError, EOFError):
            for frame in self._decoder.decode(None):
                encoded += self._take(frame, Fraction(0), is_timed=False)
        if self._untimed:
            encoded += self._begin(Fraction(0))
        encoded += self._resample(None)
        if self._start is not None:
            encoded += self.stream.encode(None)
        if self._damaged:
            _log.warning("%s: replaced %d damaged packets with silence", self._name, self._damaged)
        return encoded

    def close(self) -> None:
        """Release the decoder."""
        self._scratch.close()

    def _take(self, frame: Any, shift: Fraction, *, is_timed: bool = True) -> Iterator[Any]:
        """Encode a frame of audio at its time."""
        rate = frame.sample_rate or self._rate
        if is_timed and frame.pts is not None and frame.time_base:
            skipped = self._skipped.pop(frame.pts, 0)
            seconds = frame.pts * frame.time_base + Fraction(skipped, rate) + shift
            if self._start is None:
                yield from self._begin(seconds)
            distance = seconds - self._fed_seconds
            if abs(distance) > _STEP_SECONDS:
                if distance > 0:
                    yield from self._fill(frame, min(distance, _LONGEST_SILENCE_SECONDS))
                else:
                    frame = _without_first(frame, round(-distance * rate))
                    if frame is None:
                        return
        elif self._start is None:
            self._untimed.append(frame)
            return
        self._fed_seconds += Fraction(frame.samples, rate)
        frame.pts = None
        yield from self._resample(frame)

    def _begin(self, seconds: Fraction) -> Iterator[Any]:
        """The first time is known; earlier samples without a time are placed before it."""
        untimed, self._untimed = self._untimed, []
        length = sum((Fraction(frame.samples, frame.sample_rate) for frame in untimed), Fraction(0))
        self._start = self._fed_seconds = seconds - length
        for frame in untimed:
            yield from self._take(frame, Fraction(0), is_timed=False)

    def _fill(self, frame: Any, seconds: Fraction | int) -> Iterator[Any]:
        """Encode silence in a frame's format, one second at a time."""
        left = round(seconds * frame.sample_rate)
        self._fed_seconds += Fraction(left, frame.sample_rate)
        while left > 0:
            count = min(left, frame.sample_rate)
            yield from self._resample(_silence(frame, count))
            left -= count

    def _resample(self, frame: Any) -> list[Any]:
        import av

        encoded: list[Any] = []
        shape = None if frame is None else _shape(frame)
        if self._resampler is not None and shape != self._shape:
            # the end, or a change of audio format
            resampler, self._resampler = self._resampler, None
            encoded += self._encode(resampler.resample(None))
        if frame is not None:
            if self._resampler is None:
                context = self.stream.codec_context
                self._resampler = av.AudioResampler(
                    format=context.format, layout=self._layout, rate=self._rate
                )
                self._shape = _shape(frame)
            encoded += self._encode(self._resampler.resample(frame))
        return encoded

    def _encode(self, frames: list[Any]) -> list[Any]:
        encoded: list[Any] = []
        for frame in frames:
            if frame is None or not frame.samples:
                continue
            start = round((self._start or 0) * self._rate)
            frame.pts = start + self._encoded_samples
            frame.time_base = Fraction(1, self._rate)
            self._encoded_samples += frame.samples
            encoded += self.stream.encode(frame)
        return encoded


def _shape(frame: Any) -> tuple[object, ...]:
    return (frame.format.name, frame.layout.name, frame.sample_rate)


def _accepted(encoder: str, decoded: Any) -> tuple[int, str]:
    """Choose the encoder's sample rate and channel layout closest to the source's.

    Raises:
        ValueError: the encoder supports none that fit.
    """
    import av

    layout = decoded.layout.name
    channels = max(1, decoded.layout.nb_channels)
    layouts = [layout, default_layout(channels), "7.1" if channels > 6 else "5.1", "stereo", "mono"]
    if channels <= 2:
        del layouts[2]
    rates = [decoded.sample_rate, *_FALLBACK_RATES]
    for candidate in layouts:
        for rate in rates:
            if not rate:
                continue
            trial: Any = av.CodecContext.create(encoder, "w")
            try:
                trial.sample_rate, trial.layout = rate, candidate
                trial.format = trial.codec.audio_formats[0]
                trial.open()
            except (av.error.FFmpegError, ValueError):
                continue
            return rate, candidate
    raise ValueError(f"{encoder} does not support this kind of audio")


def _silence(frame: Any, count: int) -> Any:
    """Silent samples with a frame's channels and rate."""
    import av

    silent: Any = av.AudioFrame("s16", frame.layout.name, count)
    (plane,) = silent.planes
    plane.update(bytes(plane.buffer_size))
    silent.sample_rate = frame.sample_rate
    return silent


def _without_first(frame: Any, count: int) -> Any:
    """A frame without its first samples; None if none are left."""
    import av

    if count >= frame.samples:
        return None
    samples: Any = av.AudioFifo()
    frame.pts = None
    samples.write(frame)
    samples.read(count)
    return samples.read()
