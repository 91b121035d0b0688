"""Videos from files, URLs and standard input, decoded by PyAV (FFmpeg)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any

from rtseg.errors import LostError, NoVideoError, SourceError, TruncatedError
from rtseg.frames import Frame, Packet
from rtseg.media.colour_check import colour_problem
from rtseg.media.info import SourceInfo, StreamKind
from rtseg.media.rational import exact
from rtseg.media.streams import (
    chapters_within,
    duration_seconds,
    frame_rate,
    stated_length,
    stream_info,
)
from rtseg.media.tags import readable
from rtseg.media.truncation import is_cut_short
from rtseg.media.urls import LIVE_SCHEMES, STANDARD_INPUT, display_name, local_path, scheme_of
from rtseg.settings import ReadSettings
from rtseg.sources.arrival import TIME_BASE as ARRIVAL_TIME_BASE
from rtseg.sources.arrival import ArrivalTimes, arrival_times
from rtseg.sources.base import Source
from rtseg.sources.container import open_container
from rtseg.sources.decoder import Decoder
from rtseg.sources.demuxer import TIMESTAMPS_JUMP, Demuxer, InterruptedReadError
from rtseg.sources.opening import open_in_time
from rtseg.sources.passthrough import Passthrough
from rtseg.sources.playback import PlaybackClock
from rtseg.sources.read_files import read_by
from rtseg.sources.rgb import RgbConverter
from rtseg.system.files import file_ids

if TYPE_CHECKING:
    import av
    from av.container.input import InputContainer
    from av.video.frame import VideoFrame

_log = logging.getLogger(__name__)

_SEEK_MARGIN_SECONDS = 1
"""Seconds to seek before the target: demuxers seek by decoding time, which runs ahead."""


class VideoSource(Source):
    """Every frame of a video, in presentation order, upright and in RGB.

    Colour matrix and range follow the stream's tags. The display matrix is applied, and `info`
    gives the upright size; the pixel aspect ratio is only reported. A picture whose size differs
    from the first is letterboxed on black and marked as a discontinuity.

    Times begin at zero, with the first frame or with sound that begins before it; copied packets
    are shifted equally. `keep_timestamps` keeps the file's times. With `start`, the first frame at
    or after it has time zero, and only packets that begin at or after that frame are kept. Frames
    of a live stream without timestamps get their arrival times.

    Args:
        location: a path, a URL, or `-` for standard input.
        settings: which part of the video to read, and the time limit of every read.
        with_streams: also yield the packets of the audio and subtitle streams, or of one kind.
        real_time: deliver each frame when it is due, as a live source.
        resume: resume a broken http download where it stopped.
        silence_seconds: the time limit of each read, if shorter than in the settings.
        exact_colour: refuse colours that cannot be read correctly; otherwise approximate them
            and log a warning.
        threads: decoder threads; 0 means one per core.

    Raises:
        SourceError: it cannot be opened, or its colours cannot be read correctly (Dolby Vision 5).
        LostError: nothing answers, or (while iterating) nothing arrives for too long.
        NoVideoError: it contains no picture, or none from `start` on.
    """

    def __init__(
        self,
        location: str,
        *,
        settings: ReadSettings | None = None,
        with_streams: bool | Collection[StreamKind] = False,
        real_time: bool = False,
        resume: bool = False,
        silence_seconds: float | None = None,
        exact_colour: bool = True,
        threads: int = 0,
    ) -> None:
        self._name = display_name(location)
        self._path = local_path(location)
        self._settings = settings or ReadSettings()
        self._real_time = real_time
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._is_stream = scheme_of(location) in LIVE_SCHEMES
        self._is_pipe = location == STANDARD_INPUT
        self._resume = resume
        timeout = self._settings.timeout
        self._silence_seconds = min(timeout, silence_seconds or timeout)
        # Identified before opening: this file is read, even if its name is reused later.
        self._read_files = file_ids(
            read_by(location, allow_nested_urls=self._settings.allow_nested_urls)
        )
        self._threads = threads
        self._exact_colour = exact_colour
        self._kinds: Collection[StreamKind] = ()
        if with_streams:
            self._kinds = ("audio", "subtitle") if with_streams is True else with_streams
        self._container: InputContainer | None = None
        try:
            if self._path is None and not self._is_pipe:
                open_in_time(
                    partial(self._open, location),
                    name=self._name,
                    seconds=self._settings.timeout,
                    lock=self._lock,
                    abandoned=self._stopped,
                    close=self.close,
                )
            else:
                self._open(location)
        except BaseException:
            self.close()
            raise

    def _open(self, location: str) -> None:
        if not self._begin(location, seek=True):
            self._begin(location, seek=False)

    def _begin(self, location: str, *, seek: bool) -> bool:
        """Open the container and read up to the first frame; False if a seek went too far."""
        if self._container is not None:
            self._container.close()
        self._begun_ns = time.monotonic_ns()
        self._container, self._input = open_container(
            location,
            name=self._name,
            settings=self._settings,
            resume=self._resume,
            silence_seconds=self._silence_seconds,
        )
        self._prepare(self._container)
        has_sought = seek and self._seek(self._container)
        self._look_ahead()
        self._items = self._read()
        try:
            self._primed = self._prime()
        except NoVideoError:
            if not has_sought or self._has_seen_before_start:
                raise
        return not has_sought or self._has_seen_before_start

    def _prepare(self, container: InputContainer) -> None:
        self._demuxer = Demuxer(
            container,
            name=self._name,
            kinds=self._kinds,
            silence_seconds=self._silence_seconds if self._path is None else None,
        )
        self._video = self._demuxer.video
        context = self._video.codec_context
        context.thread_count = self._threads
        context.thread_type = "AUTO"
        self._converter: RgbConverter | None = None
        self._index = 0
        self._last_size = (0, 0)
        self._has_begun = False
        self._has_seen_before_start = False
        # In formats whose clock starts anywhere (MPEG-TS), seconds count from the file's beginning.
        self._origin = Fraction(0)
        if container.format.flags & TIMESTAMPS_JUMP and container.start_time is not None:
            self._origin = Fraction(container.start_time, 1_000_000)
        start, end = self._settings.start, self._settings.end
        # Use the decimals as typed: 0.2 s is 1/5 s, not the binary fraction just above it.
        self._start = None if start is None else self._origin + Fraction(str(start))
        self._end = None if end is None else self._origin + Fraction(str(end))

    def _look_ahead(self) -> None:
        """Inspect how the streams begin, and choose the clock that times the pictures."""
        self._arrival: ArrivalTimes | None = None
        if self._path is None:
            is_live = self._is_stream or self._real_time
            self._arrival = arrival_times(
                self._demuxer, opened_ns=self._begun_ns, pipe=self._input, is_live=is_live
            )
        if self._arrival is not None:
            self._time_base = ARRIVAL_TIME_BASE
            self._is_stream = self._is_stream or self._input is None
            _log.info(
                "%s: has no timestamps; each picture gets the time at which it arrives", self._name
            )
        else:
            self._time_base = exact(self._video.time_base) or Fraction(1, 1_000_000)
            self._demuxer.look_ahead()
        self._others = Passthrough(
            self._demuxer.others,
            self._demuxer.first_packets,
            start=self._start,
            end=self._end,
            tick=self._time_base,
            keep_timestamps=self._settings.keep_timestamps,
        )
        if self._is_stream:
            # Frame threading delays one frame per thread, which a live stream must not.
            self._video.codec_context.thread_type = "SLICE"
        self._decoder = Decoder(self._video, self._time_base)

    def _seek(self, container: InputContainer) -> bool:
        """Seek to before `start` if that saves time; return whether it did."""
        import av

        if self._start is None or self._is_stream or self._is_pipe:
            return False
        before = self._start - _SEEK_MARGIN_SECONDS
        if before <= self._origin:
            return False
        # Without an index to seek by, everything before is decoded and dropped instead.
        with suppress(av.error.FFmpegError):
            tick = exact(self._video.time_base) or Fraction(1, 1_000_000)
            container.seek(int(before / tick), stream=self._video)
        return True

    def _prime(self) -> list[Frame | Packet]:
        """Read up to the first frame, which defines the stream's size and colour."""
        items: list[Frame | Packet] = []
        for item in self._items:
            items.append(item)
            if isinstance(item, Frame):
                return items
        if self._converter is not None:
            raise NoVideoError(
                f"{self._name}: no frame is in the requested part "
                f"(`start` {self._settings.start or 0:g} s); choose an earlier start"
            )
        if self._is_stream:
            raise LostError(f"{self._name}: hung up before the first picture; is it sending?")
        raise NoVideoError(f"{self._name}: holds a video stream but no picture in it")

    def __iter__(self) -> Iterator[Frame | Packet]:
        # A stream that arrives in real time must not be delayed behind its own first burst.
        paced = self._real_time and not self._is_stream
        clock = PlaybackClock(self._stopped) if paced else None
        primed = iter(self._primed)
        self._primed = []
        while not self._stopped.is_set():
            item = next(primed, None)
            if item is None:
                with self._lock:
                    item = None if self._container is None else next(self._items, None)
            if item is None:
                break
            if clock is not None and isinstance(item, Frame):
                item = clock.wait_for(item)
            if not self._stopped.is_set():
                yield item
        if self._stopped.is_set():
            self.close()

    def close(self) -> None:
        """Close the file or connection; a read in progress closes it when it returns."""
        self._stopped.set()
        if self._lock.acquire(blocking=False):
            try:
                container, self._container = self._container, None
                if container is not None:
                    container.close()
            finally:
                self._lock.release()

    def _opened(self) -> InputContainer:
        if self._container is None:
            raise SourceError(f"{self._name}: is closed already; open it again to read it")
        return self._container

    def _read(self) -> Iterator[Frame | Packet]:
        """Yield frames and copied packets in file order, within the requested part."""
        reached_end = False
        for packet in self._packets():
            if packet.stream_index in self._others:
                yield from self._others.take(packet)
            elif packet.stream_index == self._video.index and not reached_end:
                for picture, pts in self._decoder.pictures(packet):
                    if self._converter is None:
                        self._converter = self._describe(picture)
                    seconds = pts * self._time_base
                    if self._start is None or seconds <= self._start:
                        self._has_seen_before_start = True
                    if self._end is not None and seconds >= self._end:
                        reached_end = True
                        break
                    if self._start is None or seconds >= self._start:
                        yield from self._begin_at(pts)
                        yield self._frame(picture, pts, self._converter)
            if reached_end and self._others.all_ended(packet):
                return
        yield from self._others.begin(None)
        if not reached_end:
            self._check_completeness()

    def _packets(self) -> Iterator[av.Packet[Any]]:
        try:
            for packet in self._demuxer.packets():
                if self._arrival is not None and packet.size:
                    self._arrival.stamp(packet)
                yield packet
        except InterruptedReadError as error:
            if not error.may_be_the_end:
                raise self._cut_off(str(error)) from None

    def _begin_at(self, pts: int) -> Iterator[Packet]:
        """Return the packets that were held until the first frame fixed time zero."""
        if self._has_begun:
            return
        self._has_begun = True
        yield from self._others.begin(pts * self._time_base)
        chapters = chapters_within(
            self._opened(), self._start, self._end, zero=self._others.shift_seconds
        )
        self.info = replace(self.info, chapters=chapters)

    def _check_completeness(self) -> None:
        """Raise TruncatedError if the stream ended cleanly but too early."""
        if self._path is not None:
            if is_cut_short(self._path):
                raise self._cut_off("the file is shorter than it says")
        elif not self._is_stream and self._demuxer.ends_early():
            duration = duration_seconds(self._opened()) or 0
            raise self._cut_off(f"it states a length of {duration:.1f} s")
        elif self._start is None and self._demuxer.packet_count < len(self._video.index_entries):
            raise self._cut_off(f"its index lists {len(self._video.index_entries)} frames")

    def _cut_off(self, evidence: str) -> SourceError:
        if self._converter is None:
            kind = LostError if self._is_stream else SourceError
            return kind(f"{self._name}: is truncated before the first picture: {evidence}")
        return TruncatedError(
            f"{self._name}: is truncated after {self._index} frames ({evidence}); "
            "everything before was read; get the complete video for the rest"
        )

    def _describe(self, picture: VideoFrame) -> RgbConverter:
        """Fill `info` from the container and the first picture."""
        container, video = self._opened(), self._video
        problem = colour_problem(video, picture, path=self._path)
        if problem and self._exact_colour:
            raise SourceError(f"{self._name}: {problem}")
        if problem:
            _log.warning("%s: %s; its colours will only be approximate", self._name, problem)
        converter = RgbConverter(picture)
        aspect = exact(video.sample_aspect_ratio) or Fraction(1)
        if converter.orientation.transposed:
            aspect = 1 / aspect
        self._last_size = (picture.width, picture.height)
        frame_count, duration = stated_length(
            container, video, self._settings.start, self._settings.end
        )
        self.info = SourceInfo(
            name=self._name,
            width=converter.width,
            height=converter.height,
            time_base=self._time_base,
            is_live=self._real_time or self._is_stream,
            frame_rate=frame_rate(video),
            frame_count=frame_count,
            duration_seconds=duration,
            colour=converter.colour,
            sample_aspect_ratio=aspect if aspect > 0 else Fraction(1),
            streams=tuple(
                stream_info(stream, self._demuxer.first_packets[index])
                for index, stream in self._demuxer.others.items()
            ),
            metadata=readable(container.metadata),
            read_files=self._read_files,
        )
        return converter

    def _frame(self, picture: VideoFrame, pts: int, converter: RgbConverter) -> Frame:
        index, self._index = self._index, self._index + 1
        size = (picture.width, picture.height)
        resized, self._last_size = size != self._last_size, size
        damaged = self._decoder.was_damaged()
        jumped, self._demuxer.has_jumped = self._demuxer.has_jumped, False
        return Frame(
            image=converter.convert(picture),
            index=index,
            pts=pts - int(self._others.shift_seconds / self._time_base),
            time_base=self._time_base,
            duration=picture.duration if picture.duration and picture.duration > 0 else None,
            captured_ns=time.monotonic_ns(),
            discontinuity=resized or jumped or self._decoder.jumped,
            is_corrupt=bool(picture.is_corrupt) or damaged,
        )
