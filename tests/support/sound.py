"""Make clips with all kinds of audio, and measure what is heard and when."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from tests.support.clips import picture

Samples = npt.NDArray[np.float32]

HEARD_RATE = 48_000

_USUAL_VIDEO = {
    ".mpg": "mpeg2video",
    ".vob": "mpeg2video",
    ".webm": "libvpx-vp9",
    ".wmv": "msmpeg4v3",
    ".mxf": "mpeg2video",
}


def signal(seconds: float, rate: int, channels: int, *, seed: int = 3) -> Samples:
    """Noise below 3 kHz, which any codec keeps and whose autocorrelation has a single peak."""
    coarse = np.random.default_rng(seed).standard_normal(int(seconds * 6000) + 2)
    times = np.arange(int(seconds * rate)) / rate
    mono = 0.2 * np.interp(times, np.arange(len(coarse)) / 6000, coarse)
    return np.repeat(mono[None].astype(np.float32), channels, 0)


def make_sound_clip(
    path: Path,
    codec: str = "aac",
    *,
    rate: int = 48_000,
    layout: str = "stereo",
    seconds: float = 2.0,
    pictures: int = 50,
    start: float = 0.0,
    video_start: float = 0.0,
    pauses: Sequence[tuple[float, float]] = (),
    languages: Sequence[str] = ("",),
    video_codec: str | None = None,
    muxer: str | None = None,
    muxer_options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Encode pictures at 25 per second, and audio from `signal`.

    Args:
        start, video_start: when audio and pictures start, in seconds.
        pauses: (from, to) seconds of audio for which no packets are written.
        languages: one audio track each, from the second on with different noise.
    """
    video = video_codec or _USUAL_VIDEO.get(path.suffix, "libx264")
    with av.open(str(path), "w", format=muxer, container_options=muxer_options or {}) as container:
        container.metadata.update(metadata or {})
        out: Any = container.add_stream(video, rate=25)
        out.width, out.height, out.pix_fmt = 64, 48, "yuv420p"
        out.options = {"preset": "ultrafast", "bf": "0"} if video == "libx264" else {}
        out.codec_context.thread_count = 1
        tracks: list[Any] = []
        for language in languages:
            track: Any = container.add_stream(codec, rate=rate)
            track.layout, track.bit_rate = layout, 192_000
            if language:
                track.metadata["language"] = language
            tracks.append(track)
        container.start_encoding()
        packets: list[Any] = []
        for number in range(pictures):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts = number + round(video_start * 25)
            frame.time_base = Fraction(1, 25)
            packets += out.encode(frame)
        packets += out.encode(None)
        for number, track in enumerate(tracks):
            packets += _encoded(track, seconds, start=start, seed=3 + number)
        packets = [packet for packet in packets if not _is_paused(packet, pauses)]
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            container.mux(packet)
    return path


def _is_paused(packet: Any, pauses: Sequence[tuple[float, float]]) -> bool:
    seconds = packet.pts * packet.time_base
    return packet.stream.type == "audio" and any(a <= seconds < b for a, b in pauses)


def _encoded(track: Any, seconds: float, *, start: float, seed: int) -> list[Any]:
    context = track.codec_context
    samples = signal(seconds, context.sample_rate, context.layout.nb_channels, seed=seed)
    size = context.frame_size or 1024
    made: list[Any] = []
    for first in range(0, samples.shape[1], size):
        piece = np.ascontiguousarray(samples[:, first : first + size].T.reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(piece, format="flt", layout=context.layout.name)
        frame.sample_rate = context.sample_rate
        frame.pts = round(start * context.sample_rate) + first
        frame.time_base = Fraction(1, context.sample_rate)
        made += track.encode(frame)
    return made + list(track.encode(None))


def heard(path: Path, track: int = 0) -> tuple[float, Samples]:
    """Decode a file's audio: when it begins, in seconds, and samples of one channel at 48 kHz.

    Gaps between packets become silence.
    """
    begin: float | None = None
    pieces: list[Samples] = []
    length = 0
    with av.open(str(path)) as container:
        stream = container.streams.audio[track]
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=HEARD_RATE)
        for packet in container.demux(stream):
            for frame in _decoded(packet):
                parts = [part.to_ndarray()[0] for part in resampler.resample(frame)]
                if not parts:
                    continue
                if frame.pts is not None:
                    time = float(frame.pts * frame.time_base)
                    begin = time if begin is None else begin
                    gap = round((time - begin) * HEARD_RATE) - length
                    if gap > HEARD_RATE // 100:
                        pieces.append(np.zeros(gap, np.float32))
                        length += gap
                pieces += parts
                length += sum(map(len, parts))
    return begin or 0.0, np.concatenate(pieces)


def _decoded(packet: Any) -> list[Any]:
    try:
        frames: list[Any] = packet.decode()
    except av.error.InvalidDataError:
        return []
    for frame in frames:
        frame.pts = frame.pts if frame.pts is not None else packet.pts
    return frames


def lag_seconds(path: Path, *, track: int = 0, seed: int = 3, seconds: float = 2.0) -> float:
    """How much later than `signal` a file's audio is, relative to its first picture."""
    begin, samples = heard(path, track)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        first = next(container.decode(stream))
        begin -= float(first.pts * first.time_base)
    wanted = signal(seconds, HEARD_RATE, 1, seed=seed)[0]
    size = 1 << (len(samples) + len(wanted)).bit_length()
    product = np.fft.rfft(samples, size) * np.conj(np.fft.rfft(wanted, size))
    correlation = np.fft.irfft(product, size)
    shift = int(np.argmax(correlation))
    strength = correlation[shift] / (np.linalg.norm(samples) * np.linalg.norm(wanted))
    assert strength > 0.5, strength
    return begin + (shift - size if shift > size // 2 else shift) / HEARD_RATE
