"""Sources of frames. `open_source` picks the right one from a path, URL or camera index."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from rtseg.media.info import SourceInfo as SourceInfo
from rtseg.sources.base import Source as Source

if TYPE_CHECKING:
    import threading

    from rtseg.media.info import StreamKind
    from rtseg.settings import CameraSettings, ReadSettings, StreamSettings

SYNTHETIC = "synthetic:"


def open_source(
    location: str | Path | int,
    *,
    settings: ReadSettings | None = None,
    with_streams: bool | Collection[StreamKind] = False,
    real_time: bool = False,
    camera: CameraSettings | None = None,
    stream: StreamSettings | None = None,
    exact_colour: bool = True,
    await_start: bool = True,
    threads: int = 0,
) -> Source:
    """Open the input that a location names.

    Args:
        location: a video file, a URL, `-` for standard input; a camera's index (0, or "0") or
            `/dev/video…`; a still image, a folder of them, a glob or a printf pattern;
            `synthetic:` for a moving face.
        settings: which part of a video to read, and the time limit of every read.
        with_streams: also yield audio and subtitle packets to be copied, or only those of one kind.
        real_time: play a file at its own speed, like a live source.
        camera: the size, rate and format to request from a camera.
        stream: how to reconnect to a camera or a live URL that goes away; no reconnecting by
            default. An http URL is live with `real_time`, else a file whose download resumes.
        exact_colour: refuse a video whose colours cannot be read correctly; False where only
            labels are written.
        await_start: retry a live input that is busy or silent before it was ever open; otherwise
            that is an error at once.
        threads: decoder threads; 0 means one per core.

    Raises:
        SourceError: it cannot be opened.
        NoVideoError: it contains no pictures.
        SettingError: `synthetic:` is followed by something unknown.
    """
    from rtseg.errors import SettingError
    from rtseg.media.urls import LIVE_SCHEMES, scheme_of
    from rtseg.settings import CameraSettings, ReadSettings

    settings = settings or ReadSettings()
    name = str(location)
    reconnects = stream is not None and stream.reconnect
    # A live input that sends nothing looks just like a frozen picture.
    silence_seconds = (stream.stale_after if stream and reconnects else 0) or None
    keep = functools.partial(_reconnecting, stream=stream, await_start=await_start)
    if is_camera(name):
        from rtseg.sources.camera import CameraSource

        def open_camera(closed: threading.Event | None = None) -> Source:
            return CameraSource(
                int(name) if name.isdecimal() else name,
                settings=camera or CameraSettings(),
                timeout_seconds=settings.timeout,
                silence_seconds=silence_seconds,
                closed=closed,
            )

        return keep(open_camera) if reconnects else open_camera()
    if name.startswith(SYNTHETIC):
        if name != SYNTHETIC:
            raise SettingError(f"{name}: nothing may follow {SYNTHETIC}")
        from rtseg.sources.synthetic import MovingFaceSource

        return MovingFaceSource()
    if is_images(name):
        from rtseg.sources.images import ImagesSource

        return ImagesSource(name, settings=settings)
    if is_animation(name):
        from rtseg.sources.animation import AnimationSource

        return AnimationSource(name, settings=settings)
    from rtseg.sources.video import VideoSource

    scheme = scheme_of(name)
    is_live = scheme in LIVE_SCHEMES or (real_time and scheme in ("http", "https"))

    def open_video(_closed: threading.Event | None = None) -> Source:
        return VideoSource(
            name,
            settings=settings,
            with_streams=with_streams,
            real_time=real_time,
            resume=reconnects and not is_live,
            silence_seconds=silence_seconds if is_live else None,
            exact_colour=exact_colour,
            threads=threads,
        )

    if not reconnects:
        return open_video()
    if is_live:
        return keep(open_video)
    source = open_video()
    if not source.info.is_live or scheme is None:
        return source
    # An http camera streams JPEGs without end, which can only be seen once it is open.
    is_live = True
    opened: list[Source] = [source]
    return keep(lambda closed: opened.pop() if opened else open_video(closed))


def _reconnecting(
    connect: Callable[[threading.Event], Source],
    *,
    stream: StreamSettings | None,
    await_start: bool,
) -> Source:
    from rtseg.settings import StreamSettings
    from rtseg.sources.reconnecting import ReconnectingSource

    return ReconnectingSource(connect, settings=stream or StreamSettings(), await_start=await_start)


def is_camera(location: str) -> bool:
    """Whether a location names a capture device: an index or `/dev/video…`."""
    return location.isdecimal() or location.startswith("/dev/video")


def is_images(location: str) -> bool:
    """Whether a location names still images: a folder, a pattern, or one image file.

    Animations (GIF, PNG, WebP, AVIF) are videos.
    """
    from rtseg.media.urls import local_path
    from rtseg.sources.listing import is_listing
    from rtseg.sources.still import SUFFIXES, is_animation

    path = local_path(location)
    if path is None:
        return False
    if is_listing(location):
        return True
    suffix = path.suffix.lower()
    return suffix in SUFFIXES and suffix != ".gif" and not is_animation(path)


def is_animation(location: str) -> bool:
    """Whether a location names an animation that Pillow reads and FFmpeg does not."""
    from rtseg.media.urls import local_path
    from rtseg.sources.animation import SUFFIXES
    from rtseg.sources.still import is_animation as moves

    path = local_path(location)
    return path is not None and path.suffix.lower() in SUFFIXES and moves(path)
