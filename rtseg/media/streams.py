"""Choose a container's video stream and the streams to copy; read durations and chapters."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from rtseg.errors import NoVideoError, SourceError
from rtseg.media.info import Chapter, StreamInfo
from rtseg.media.rational import exact
from rtseg.media.tags import readable

if TYPE_CHECKING:
    from av.container.input import InputContainer
    from av.video.stream import VideoStream


def choose_video(container: InputContainer, name: str) -> VideoStream:
    """Choose the main video stream: the default one, else the largest; never a cover picture.

    Raises:
        NoVideoError: there is none.
        SourceError: there is one, but no decoder for it.
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
    others = [
        f"{stream.type} ({stream.codec_context.name})"
        for stream in container.streams
        if stream.codec_context is not None and stream.type != "video"
    ]
    others += ["a cover picture"] * len(container.streams.video)
    raise NoVideoError(
        f"{name}: holds no video (found: {', '.join(others) or 'nothing'}); give a file with one"
    )


def streams_beside(
    container: InputContainer, video: VideoStream, kinds: Collection[str]
) -> dict[int, Any]:
    """The streams of certain kinds (audio, subtitle) in the video's programme, by index.

    Other kinds (data, fonts) cannot be copied. A broadcast carries several programmes, each with
    its own sound.
    """
    programme = _programme(container, video)
    return {
        stream.index: stream
        for stream in container.streams
        if stream.type in kinds and _programme(container, stream) == programme
    }


def _programme(container: InputContainer, stream: Any) -> tuple[int | None, ...]:
    """Identify a stream's programme by that programme's best video and audio streams.

    FFmpeg looks for the best stream within the programme of a related one, or in the whole
    container if there are no programmes.
    """
    best = (container.streams.best(kind, related=stream) for kind in ("video", "audio"))
    return tuple(None if candidate is None else candidate.index for candidate in best)


def stream_info(stream: Any, first_packets: Sequence[object] = ()) -> StreamInfo:
    """Describe a stream beside the video."""
    context = stream.codec_context
    return StreamInfo(
        index=stream.index,
        kind=stream.type,
        codec="unknown" if context is None else context.codec.canonical_name,
        language=readable(stream.metadata).get("language"),
        template=stream,
        first_packets=tuple(first_packets),
    )


def start_seconds(stream: Any, first_packets: Sequence[Any] = ()) -> Fraction | None:
    """When a stream's audible or visible content begins, after any decoder priming."""
    if stream.start_time is not None:
        return Fraction(stream.start_time * stream.time_base)
    for packet in first_packets:
        if packet.pts is not None:
            return Fraction(packet.pts * packet.time_base)
    return None


def frame_rate(video: VideoStream) -> Fraction | None:
    """The nominal frames per second; None if the stated rate makes no sense."""
    for rate in (exact(video.average_rate), exact(video.guessed_rate)):
        if rate is not None and 0 < rate <= 1000:
            return rate
    return None


def duration_seconds(container: InputContainer) -> float | None:
    """The stated duration; None if there is none or it makes no sense."""
    duration = container.duration
    return duration / 1e6 if duration is not None and 0 < duration < 1 << 53 else None


def stated_length(
    container: InputContainer, video: VideoStream, start: float | None, end: float | None
) -> tuple[int | None, float | None]:
    """Estimate the frame count and duration in seconds of a part; None where unknown."""
    duration = duration_seconds(container)
    is_windowed = start is not None or end is not None
    if duration is not None and is_windowed:
        duration = max(0.0, (duration if end is None else min(end, duration)) - (start or 0.0))
    rate = frame_rate(video)
    count = video.frames if 0 < video.frames < 1 << 40 and not is_windowed else None
    if count is None and duration is not None and rate is not None:
        count = round(duration * rate)
    return count, duration


def chapters_within(
    container: InputContainer,
    start: Fraction | None,
    end: Fraction | None,
    *,
    zero: Fraction = Fraction(0),
) -> tuple[Chapter, ...]:
    """The chapters that overlap a time window, cut to it.

    Args:
        start, end: the window in the container's time; None for no limit.
        zero: the time that becomes zero in the result.
    """
    chapters_inside = []
    for entry in container.chapters():
        tick = exact(entry["time_base"]) or Fraction(1)
        first, last = entry["start"] * tick, entry["end"] * tick
        first = max(first, zero if start is None else start)
        if end is not None:
            last = min(last, end)
        if first < last:
            title = readable(entry["metadata"]).get("title", "")
            chapters_inside.append(
                Chapter(start_seconds=first - zero, end_seconds=last - zero, title=title)
            )
    return tuple(chapters_inside)
