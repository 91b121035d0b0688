"""Sound decoded and encoded anew, in step with the pictures, for containers that cannot hold it."""

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
"""FFmpeg's encoder of a container's usual sound; AAC in all others."""

CODEC_NAMES = {"libopus": "Opus", "aac": "AAC", "flac": "FLAC"}

_BITS_A_CHANNEL = {"libopus": 64_000, "aac": 96_000}
_FALLBACK_RATES = (48_000, 44_100, 24_000, 16_000, 8_000)

_STEP_SECONDS = Fraction(40, 1000)
"""Sound that is so far from its time is brought back to it; less is the rounding of containers'
clocks. EBU R 37 allows 40 ms of early sound."""

_LONGEST_SILENCE_SECONDS = 3600

_log = logging.getLogger(__name__)


def encoder_for(stream: StreamInfo, muxer: str) -> str:
    """The encoder that a stream is transcoded by: lossless sound stays so where it can."""
    template: Any = stream.template
    codec = template.codec_context.codec
    if muxer == "matroska" and codec.lossless and not codec.lossy:
        return "flac"
    return USUAL_AUDIO.get(muxer, "aac")


class AudioTranscoder:
    """One stream of sound, decoded, encoded and put into an output.

    The samples keep their times: where packets are missing there is silence, and where they
    overlap the later ones give way, as soon as sound is 40 ms off.

    Args:
        container: the output, before its header is written.
        stream: of the source; its own decoder stays untouched, so that several outputs can
            transcode it.
        encoder: FFmpeg's name of it.

    Attributes:
        stream: of the output.

    Raises:
        ValueError: the container takes no such codec, or the encoder no such sound.
    """

    def __init__(self, container: OutputContainer, stream: StreamInfo, *, encoder: str) -> None:
        import av

        self._name = f"the {stream.codec} audio"
        template: Any = stream.template
        # This format takes any codec, and its streams come with a decoder that has all parameters.
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
        """What one packet of the source becomes, its times moved by `shift_seconds`."""
        import av

        if packet.has_sidedata("skip_samples") and packet.pts is not None:
            (count,) = struct.unpack_from("<I", bytes(packet.get_sidedata("skip_samples")))
            self._skipped[packet.pts] = count
        try:
            frames = self._decoder.decode(packet)
        except av.error.FFmpegError:
            # The decoder goes on with the next packet; the gap is filled with silence.
            self._damaged += 1
            return []
        return [made for frame in frames for made in self._take(frame, shift_seconds)]

    def flush(self) -> list[Any]:
        """What the decoder and the encoder still hold."""
        import av

        made: list[Any] = []
        with suppress(av.error.FFmpegError, EOFError):
            for frame in self._decoder.decode(None):
                made += self._take(frame, Fraction(0), is_timed=False)
        if self._untimed:
            made += self._begin(Fraction(0))
        made += self._resample(None)
        if self._start is not None:
            made += self.stream.encode(None)
        if self._damaged:
            _log.warning("%s: %d damaged packets became silence", self._name, self._damaged)
        return made

    def close(self) -> None:
        """Give the decoder back."""
        self._scratch.close()

    def _take(self, frame: Any, shift: Fraction, *, is_timed: bool = True) -> Iterator[Any]:
        """Encode a frame of sound at its time."""
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
        """The first time is known: what came before without one ends there."""
        held, self._untimed = self._untimed, []
        length = sum((Fraction(frame.samples, frame.sample_rate) for frame in held), Fraction(0))
        self._start = self._fed_seconds = seconds - length
        for frame in held:
            yield from self._take(frame, Fraction(0), is_timed=False)

    def _fill(self, frame: Any, seconds: Fraction | int) -> Iterator[Any]:
        """Silence like a frame, a second at a time."""
        left = round(seconds * frame.sample_rate)
        self._fed_seconds += Fraction(left, frame.sample_rate)
        while left > 0:
            count = min(left, frame.sample_rate)
            yield from self._resample(_silence(frame, count))
            left -= count

    def _resample(self, frame: Any) -> list[Any]:
        import av

        made: list[Any] = []
        shape = None if frame is None else _shape(frame)
        if self._resampler is not None and shape != self._shape:
            # The end, or sound of another kind from here on.
            resampler, self._resampler = self._resampler, None
            made += self._encode(resampler.resample(None))
        if frame is not None:
            if self._resampler is None:
                context = self.stream.codec_context
                self._resampler = av.AudioResampler(
                    format=context.format, layout=self._layout, rate=self._rate
                )
                self._shape = _shape(frame)
            made += self._encode(self._resampler.resample(frame))
        return made

    def _encode(self, frames: list[Any]) -> list[Any]:
        made: list[Any] = []
        for frame in frames:
            if frame is None or not frame.samples:
                continue
            start = round((self._start or 0) * self._rate)
            frame.pts = start + self._encoded_samples
            frame.time_base = Fraction(1, self._rate)
            self._encoded_samples += frame.samples
            made += self.stream.encode(frame)
        return made


def _shape(frame: Any) -> tuple[object, ...]:
    return (frame.format.name, frame.layout.name, frame.sample_rate)


def _accepted(encoder: str, decoded: Any) -> tuple[int, str]:
    """A sample rate and a channel layout that the encoder takes, as near the source's as can be.

    Raises:
        ValueError: it takes none.
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
    raise ValueError(f"{encoder} takes no sound like this")


def _silence(frame: Any, count: int) -> Any:
    """Samples of zero in the channels and at the rate of a frame."""
    import av

    silent: Any = av.AudioFrame("s16", frame.layout.name, count)
    (plane,) = silent.planes
    plane.update(bytes(plane.buffer_size))
    silent.sample_rate = frame.sample_rate
    return silent


def _without_first(frame: Any, count: int) -> Any:
    """A frame without its first samples; None if none is left."""
    import av

    if count >= frame.samples:
        return None
    samples: Any = av.AudioFifo()
    frame.pts = None
    samples.write(frame)
    samples.read(count)
    return samples.read()
