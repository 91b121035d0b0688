"""Encode small clips for tests, with known times, colours and streams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import numpy.typing as npt

from rtseg.frames import Frame, Image
from rtseg.settings import EncodeSettings, ReadSettings
from rtseg.sinks.base import Outcome
from rtseg.sinks.video import VideoSink
from rtseg.sources.video import VideoSource

if TYPE_CHECKING:
    from av.container.core import Chapter

MakeClip = Callable[..., Path]

NO_LABELS: Any = None
"""For video sinks, which ignore the segmentation."""


def picture(number: int, width: int = 64, height: int = 48) -> Image:
    """A picture that shows its number as a grey level and by the position of a white block."""
    image = np.full((height, width, 3), 40 + 5 * (number % 30), np.uint8)
    left = 4 * number % max(1, width - 8)
    image[height // 4 : height // 2, left : left + 8] = 255
    return image


def make_clip(
    path: Path,
    *,
    ticks: Sequence[int] = tuple(range(12)),
    time_base: Fraction = Fraction(1, 25),
    durations: Sequence[int] | None = None,
    images: Sequence[npt.NDArray[np.uint8]] | None = None,
    width: int = 64,
    height: int = 48,
    codec: str = "libx264",
    muxer: str | None = None,
    pixel_format: str = "yuv420p",
    raw: Sequence[av.VideoFrame] | None = None,
    options: dict[str, str] | None = None,
    muxer_options: dict[str, str] | None = None,
    audio: str | None = None,
    audio_start: int = 0,
    audio_seconds: float = 0.5,
    subtitles: Sequence[tuple[float, float, str]] = (),
    stream: dict[str, Any] | None = None,
    rotation: int = 0,
    hflip: bool = False,
    metadata: dict[str, str] | None = None,
    chapters: Sequence[tuple[float, float, str]] = (),
    cover: bool = False,
    video: bool = True,
) -> Path:
    """Encode a clip.

    Args:
        path: the file; its suffix determines the container unless `muxer` is given.
        ticks: presentation times of the frames, in ticks of `time_base`.
        durations: durations of the frames in ticks; by default the encoder's.
        images: RGB pictures; by default `picture(i)`.
        raw: frames in `pixel_format` instead of images.
        stream: attributes of the video's codec context (colour tags, sample aspect ratio).
        rotation, hflip: the display matrix, with rotation in counter-clockwise degrees.
    """
    with av.open(str(path), "w", format=muxer, container_options=muxer_options or {}) as container:
        container.metadata.update(metadata or {})
        out: Any = None
        if video:
            out = container.add_stream(codec, rate=25, options=options or _fast(codec))
            size = raw[0] if raw else None
            out.width, out.height = (size.width, size.height) if size else (width, height)
            if images is not None:
                out.height, out.width = images[0].shape[:2]
            out.pix_fmt = pixel_format
            out.codec_context.time_base = out.time_base = time_base
            out.codec_context.thread_count = 1
            for name, value in (stream or {}).items():
                setattr(out.codec_context, name, value)
            if rotation or hflip:
                out.set_display_rotation(rotation, hflip=hflip)
        sound = _add_audio(container, audio) if audio else None
        text = _add_subtitles(container, subtitles) if subtitles else None
        still = _add_cover(container) if cover else None
        if chapters:
            container.set_chapters([_chapter(i, *entry) for i, entry in enumerate(chapters)])
        if still is not None:
            container.mux(
                still.encode(
                    av.VideoFrame.from_ndarray(picture(0), format="rgb24").reformat(
                        format="yuvj420p"
                    )
                )
            )
        if sound is not None:
            _write_audio(container, sound, start=audio_start, seconds=audio_seconds)
        if text is not None:
            _write_subtitles(container, text, subtitles)
        if video:
            frames = raw or [
                av.VideoFrame.from_ndarray(image, format="rgb24")
                for image in images or [picture(i, width, height) for i in range(len(ticks))]
            ]
            _write_video(container, out, frames, ticks, durations)
    return path


def _fast(codec: str) -> dict[str, str]:
    return {"preset": "ultrafast", "crf": "12"} if codec == "libx264" else {}


def _write_video(
    container: Any,
    stream: Any,
    frames: Sequence[av.VideoFrame],
    ticks: Sequence[int],
    durations: Sequence[int] | None,
) -> None:
    shown = dict(zip(ticks, durations, strict=True)) if durations else {}
    packets: list[Any] = []
    for frame, pts in zip(frames, ticks, strict=True):
        frame.pts, frame.time_base = pts, stream.codec_context.time_base
        packets += stream.encode(frame)
    packets += stream.encode(None)
    for packet in packets:
        packet.duration = shown.get(packet.pts, packet.duration)
        container.mux(packet)


def _add_audio(container: Any, codec: str) -> Any:
    stream = container.add_stream(codec, rate=48000)
    stream.layout = "stereo"
    stream.metadata["language"] = "fra"
    return stream


def _write_audio(container: Any, stream: Any, *, start: int, seconds: float) -> None:
    noise = np.random.default_rng(7)
    if not stream.codec_context.is_open:
        stream.codec_context.open()
    size = stream.codec_context.frame_size or 1024
    for number in range(round(seconds * 48000 / size)):
        samples = (noise.standard_normal((2, size)) * 0.1).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
        frame.sample_rate = 48000
        frame.pts, frame.time_base = start + number * size, Fraction(1, 48000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _add_subtitles(container: Any, entries: object) -> Any:
    stream = container.add_mux_stream("subrip")
    stream.time_base = Fraction(1, 1000)
    stream.metadata["language"] = "deu"
    return stream


def _write_subtitles(
    container: Any, stream: Any, entries: Sequence[tuple[float, float, str]]
) -> None:
    for start, end, text in entries:
        packet: Any = av.Packet(text.encode())
        packet.stream, packet.time_base = stream, Fraction(1, 1000)
        packet.pts = packet.dts = round(start * 1000)
        packet.duration = round((end - start) * 1000)
        container.mux(packet)


def _add_cover(container: Any) -> Any:
    from av.stream import Disposition

    stream = container.add_stream("mjpeg", rate=1)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
    stream.disposition = Disposition.attached_pic
    return stream


def _chapter(number: int, start: float, end: float, title: str) -> Chapter:
    tick = Fraction(1, 1000)
    return {
        "id": number,
        "start": round(start * 1000),
        "end": round(end * 1000),
        "time_base": tick,
        "metadata": {"title": title},
    }


def read_frames(path: Path | str, **options: Any) -> list[Frame]:
    """Read every frame with rtseg's own source, keeping the file's times."""
    settings = options.pop("settings", ReadSettings(keep_timestamps=True))
    with VideoSource(str(path), settings=settings, threads=1, **options) as source:
        return [item for item in source if isinstance(item, Frame)]


def frame_times(path: Path | str) -> list[Fraction]:
    """Read the presentation times of a file's frames with PyAV alone."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        return [_seconds(frame.pts, stream.time_base) for frame in container.decode(stream)]


def _seconds(ticks: int | None, time_base: Fraction | None) -> Fraction:
    assert ticks is not None
    assert time_base is not None
    return ticks * time_base


def copied_packets(path: Path | str, kind: str = "audio") -> list[tuple[bytes, Fraction, Fraction]]:
    """Read (content, presentation time, duration) of other streams' packets with PyAV alone."""
    with av.open(str(path)) as container:
        return [
            (
                bytes(packet),
                _seconds(packet.pts, packet.time_base),
                _seconds(packet.duration, packet.time_base),
            )
            for packet in container.demux()
            if packet.size and packet.stream.type == kind
        ]


def convert(
    location: Path | str,
    output: Path | str,
    *,
    read: ReadSettings | None = None,
    outcome: Outcome = "finished",
    **settings: Any,
) -> VideoSink:
    """Read a video and write it unchanged, like a run without a model."""
    encode = EncodeSettings(**settings)
    with VideoSource(
        str(location), settings=read, with_streams=encode.kept_streams, threads=1
    ) as source:
        sink = VideoSink(str(output), settings=encode, threads=1)
        try:
            sink.open(source.info, width=source.info.width, height=source.info.height)
            for item in source:
                if isinstance(item, Frame):
                    sink.write(item, NO_LABELS, item.image)
                else:
                    sink.copy(item)
        except BaseException:
            sink.close("failed")
            raise
        sink.close(outcome)
    return sink


def part_of(final: Path) -> Path:
    """The single partial file that a run left beside an output."""
    (part,) = parts_of(final)
    return part


def parts_of(final: Path) -> list[Path]:
    """All partial files beside an output."""
    return sorted(final.parent.glob(f"{final.stem}.????????.part{final.suffix}"))
