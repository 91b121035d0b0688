"""Cut a long video into pieces at key frames, so that no piece has to decode another's frames."""

from __future__ import annotations

import logging
import math
from fractions import Fraction

from rtseg.batch.tasks import BatchTask, Piece
from rtseg.errors import RtsegError
from rtseg.media.truncation import is_cut_short
from rtseg.media.urls import local_path, url_scheme
from rtseg.outputs import shown
from rtseg.sources.demuxer import NO_TIMESTAMPS, TIMESTAMPS_JUMP

_DIGITS = 1_000_000
"""Cuts are at whole microseconds, which a setting in seconds represents exactly."""

_log = logging.getLogger("rtseg")


def cut(task: BatchTask, *, minutes: float) -> tuple[Piece, ...]:
    """Cut a task's input into pieces of about the requested length; none if it is shorter.

    A piece begins with the first key frame at or after its nominal start. Only lengths and key
    frames are read; nothing is decoded. What cannot be cut (a stream without times, an address that
    only fsspec reaches, transparent pictures) stays whole, and a message says so.
    """
    reason = _not_cut(task)
    if reason:
        _log.warning("%s: is not split: %s", shown(task.source), reason)
        return ()
    read = task.settings.read
    # use the decimals as typed, not the nearest binary number
    length = Fraction(round(60 * minutes * _DIGITS), _DIGITS)
    due = Fraction(str(read.start or 0)) + length
    try:
        times = _key_times(task.source, after=due, until=read.end)
    except RtsegError as error:
        _log.warning("%s: is not split: %s", shown(task.source), error)
        return ()
    bounds: list[float] = []
    for time in times:
        if time >= due:
            bounds.append(math.floor(time * _DIGITS) / _DIGITS)
            due = time + length
    if not bounds:
        return ()
    starts: list[float | None] = [read.start, *bounds]
    ends: list[float | None] = [*bounds, read.end]
    return tuple(
        Piece(number=number, start=start, end=end)
        for number, (start, end) in enumerate(zip(starts, ends, strict=True))
    )


def _not_cut(task: BatchTask) -> str:
    path = local_path(task.source)
    if path is None:
        return f"it is read through {url_scheme(task.source)}://"
    if path.is_file() and is_cut_short(path):
        return "it ends in the middle"
    is_video = task.settings.pictures and not task.settings.numbered
    if is_video and task.settings.alpha is None and task.settings.view.view == "cutout":
        return "its pictures may be transparent"
    return ""


def _key_times(source: str, *, after: Fraction, until: float | None) -> list[Fraction]:
    """The times of a video's key frames from `after` on, in seconds as in `ReadSettings`.

    Raises:
        SourceError: it cannot be opened.
    """
    import av

    from rtseg.media.rational import exact
    from rtseg.media.streams import choose_video, duration_seconds
    from rtseg.settings import ReadSettings
    from rtseg.sources.container import open_container

    container, _ = open_container(source, name=shown(source), settings=ReadSettings())
    with container:
        video = choose_video(container, shown(source))
        duration = duration_seconds(container)
        if duration is not None and duration <= after:
            return []
        flags = container.format.flags
        tick = exact(video.time_base)
        if flags & (NO_TIMESTAMPS | TIMESTAMPS_JUMP) or tick is None:
            _log.warning("%s: is not split: its clock may jump", shown(source))
            return []
        times: list[Fraction] = []
        try:
            container.seek(int(after / tick), stream=video)
            for packet in container.demux(video):
                if packet.pts is None or not packet.is_keyframe:
                    continue
                time = packet.pts * tick
                if until is not None and time >= until:
                    break
                if time >= after:
                    times.append(time)
        except av.error.FFmpegError:
            return times  # damaged from here on, which the last piece will report
        return times
