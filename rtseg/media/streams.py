"""What a container holds: the video, what can be copied beside it, and how long it says it is."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from rtseg.errors import NoVideoError, SourceError
from rtseg.media.info import Chapter, StreamInfo

if TYPE_CHECKING:
    from av.container.input import InputContainer
    from av.video.stream import VideoStream


def choose_video(container: InputContainer, name: str) -> VideoStream:
    """The main video stream: never a cover picture; the default one, else the largest.

    Raises:
        NoVideoError: there is none.
        SourceError: there is one, but nothing to decode it with.
    """
    from av.stream import Disposition

    pictures = Disposition.attached_pic | Disposition.timed_thumbnails
    moving = [stream for stream in container.streams.video if not stream.disposition & pictures]
    readable = [stream for stream in moving if stream.codec_context is not None]
    if readable:
        return max(
            readable,
            key=lambda stream: (
                bool(stream.disposition & Disposition.default),
                stream.width * stream.height,
                -stream.index,
            ),
        )
    if moving:
        raise SourceError(f"{name}: this FFmpeg build has no decoder for its video")
    found = [
        f"{stream.type} ({stream.codec_context.name})"
        for stream in container.streams
        if stream.codec_context is not None and stream.type != "video"
    ]
    found += ["a cover picture"] * len(container.streams.video)
    raise NoVideoError(
        f"{name}: holds no video (found: {', '.join(found) or 'nothing'}); give a file with one"
    )


def streams_to_copy(container: InputContainer) -> dict[int, Any]:
    """The audio and subtitle streams by index; others (data, fonts) cannot be copied."""
    return {
        stream.index: stream
        for stream in container.streams
        if stream.type in ("audio", "subtitle") and stream.codec_context is not None
    }


def stream_info(stream: Any) -> StreamInfo:
    """What a copied stream is."""
    return StreamInfo(
        index=stream.index,
        kind=stream.type,
        codec=stream.codec_context.codec.canonical_name,
        language=stream.metadata.get("language"),
        template=stream,
    )


def frame_rate(video: VideoStream) -> Fraction | None:
    """The nominal rate, frames a second; None where what is stated makes no sense."""
    for rate in (video.average_rate, video.guessed_rate):
        if rate is not None and 0 < rate <= 1000:
            return Fraction(rate)
    return None


def duration_seconds(container: InputContainer) -> float | None:
    """The stated duration; None where there is none or it makes no sense."""
    duration = container.duration
    return duration / 1e6 if duration is not None and 0 < duration < 1 << 53 else None


def chapters_within(
    container: InputContainer, start: Fraction | None, end: Fraction | None
) -> tuple[Chapter, ...]:
    """The chapters that reach into the window, cut to it and moved with it."""
    zero = start or Fraction(0)
    kept = []
    for entry in container.chapters():
        tick = entry["time_base"] or Fraction(1)
        first, last = max(entry["start"] * tick, zero), entry["end"] * tick
        if end is not None:
            last = min(last, end)
        if first < last:
            title = entry["metadata"].get("title", "")
            kept.append(Chapter(start_seconds=first - zero, end_seconds=last - zero, title=title))
    return tuple(kept)
