"""A video file that is being written: its container, its clock, and its other streams."""

from __future__ import annotations

import math
import os
import sys
from abc import abstractmethod
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from rtseg.errors import DiskFullError, SinkError
from rtseg.frames import Frame, Packet
from rtseg.media.info import SourceInfo
from rtseg.media.truncation import whole_length
from rtseg.settings import EncodeSettings
from rtseg.sinks.base import Outcome, Sink
from rtseg.sinks.codecs import CONTAINERS, STANDARD_OUTPUT, suffix_of
from rtseg.sinks.disk_space import is_full
from rtseg.sinks.other_streams import OtherStreams, plan_streams
from rtseg.sinks.partial_file import PartialFile
from rtseg.sinks.scheduling import ordinary_scheduling
from rtseg.sinks.standard_output import StandardOutput, check_standard_output
from rtseg.sinks.tags import describe_container, log_dropped_tags

if TYPE_CHECKING:
    from av.container.output import OutputContainer
    from av.video.stream import VideoStream

_MUXER_OPTIONS = {
    # A complete file after a clean close, and playable up to the last fragment after a kill;
    # delay_moov preserves the time of a late first frame.
    "mp4": {"movflags": "hybrid_fragmented+delay_moov", "frag_duration": "500000"},
    "mov": {"movflags": "hybrid_fragmented+delay_moov", "frag_duration": "500000"},
    # AAC begins before zero because of priming; that must not shift everything else.
    "matroska": {"cluster_time_limit": "500", "avoid_negative_ts": "disabled"},
    "webm": {"cluster_time_limit": "500", "avoid_negative_ts": "disabled"},
    # Keep times instead of delaying them by 1.4 s.
    "mpegts": {"mpegts_copyts": "1", "avoid_negative_ts": "disabled"},
}
_COMMON_OPTIONS = {"flush_packets": "1", "max_interleave_delta": "1000000"}

_LARGEST_TIMESCALE = (1 << 31) - 1

_LONGEST_SAMPLE = (1 << 31) - 2
"""The most ticks between two frames; only nanosecond clocks come near it (2 s).

From one tick more on, FFmpeg's muxer calls the duration invalid and writes 1."""


class VideoFile(Sink):
    """A file with one video stream, whose packets a subclass supplies, and the source's others.

    Times are exact in mp4 and mov, whose time base is set to the source's, and rounded to the
    millisecond in mkv and webm. If the first frame is before zero, which none of these containers
    supports, everything is shifted so that it is at zero.

    The file is named `NAME.<random>.part.SUFFIX` until it is complete. After SIGKILL it plays up to
    about the last second.

    Args:
        output: a path, or `-` for a Matroska stream on standard output.
        settings: which streams and tags are copied, and whether a file may be replaced.
    """

    def __init__(self, output: str, *, settings: EncodeSettings) -> None:
        self._output = output
        self._settings = settings
        self._format = CONTAINERS[suffix_of(output)]
        self._to_standard_output = output == STANDARD_OUTPUT
        self._name = "standard output" if self._to_standard_output else output
        self._part = PartialFile(output, overwrite=settings.overwrite)
        self._container: OutputContainer | None = None
        self._frame_count = 0
        self._is_broken = False
        self._last_ticks: int | None = None
        self._shift_seconds = Fraction(0)
        self._waiting: list[Packet] | None = []
        self._kept = ""
        self._drops_tags = settings.metadata == "drop"

    @abstractmethod
    def _add_video(self, container: OutputContainer) -> VideoStream:
        """Add the video stream, whose time base is `_time_base`."""

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Create the file and write its header. See `Sink.open`."""
        self._info = info
        # The numerator goes into the ticks, since mp4 stores only ticks per second.
        self._time_base = Fraction(1, info.time_base.denominator)
        if self._to_standard_output:
            check_standard_output(info.read_files)
        else:
            self._part.claim(info.read_files)
        self._plans = plan_streams(
            info.streams,
            settings=self._settings,
            muxer=self._format,
            options=self._trial_options(),
            output=self._name,
        )
        if self._drops_tags:
            log_dropped_tags(info, output=self._name)
        self._start()

    def copy(self, packet: Packet) -> None:
        """Copy one packet of another stream, at its own time. See `Sink.copy`."""
        if packet.stream_index not in self._others:
            return
        if self._waiting is not None:
            self._waiting.append(packet)
        else:
            self._guarded(lambda: self._others.mux(packet, shift_seconds=self._shift_seconds))

    def close(self, outcome: Outcome) -> None:
        """Finish the file. See `Sink.close`."""
        container = self._container
        try:
            if container is not None:
                if self._frame_count and not self._is_broken:
                    self._guarded(self._flush)
                self._container = None
                self._others.close()
                self._close_container(container)
        except SinkError:
            self._settle("failed")
            if outcome == "finished":
                raise
        else:
            self._settle(outcome)

    def describe(self) -> str:
        """The file's path under its current name."""
        return self._kept or self._output

    def _start(self) -> None:
        """Open the container and every stream in it, and write the header."""
        import av

        av.logging.set_level(None)
        os.environ.setdefault("SVT_LOG", "0")  # SVT-AV1 would write to the terminal.
        target: Any = f"file:{self._part.path}"
        if self._to_standard_output:
            target = StandardOutput(sys.stdout.buffer)
        try:
            self._container = av.open(
                target, "w", format=self._format, container_options=self._muxer_options()
            )
            self._video = self._add_video(self._container)
            self._others = OtherStreams(
                self._container, self._plans, keep_tags=not self._drops_tags
            )
            describe_container(self._container, self._info, keep_tags=not self._drops_tags)
            with ordinary_scheduling():
                self._container.start_encoding()
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise self._failure(error) from None

    def _muxer_options(self) -> dict[str, str]:
        options = {**_COMMON_OPTIONS, **_MUXER_OPTIONS[self._format]}
        if self._format in ("mp4", "mov"):
            options["movie_timescale"] = str(self._movie_timescale())
        return options

    def _movie_timescale(self) -> int:
        """A rate of ticks per second that makes every track's late start (edit list) exact."""
        scale = self._info.time_base.denominator
        while scale < 10000:  # as the muxer does for the track
            scale *= 2
        for plan in self._plans:
            template: Any = plan.stream.template
            rate = template.time_base.denominator if plan.treatment == "copy" else 48000
            common = math.lcm(scale, rate)
            if common <= _LARGEST_TIMESCALE:
                scale = common
        return scale

    def _trial_options(self) -> dict[str, str]:
        return {**_COMMON_OPTIONS, **_MUXER_OPTIONS.get(self._format, {})}

    def _begin(self, frame: Frame) -> None:
        """Start with the first frame, which fixes time zero."""
        self._shift_seconds = max(Fraction(0), -frame.pts_seconds)
        waiting, self._waiting = self._waiting or [], None
        for packet in waiting:
            self.copy(packet)

    def _place(self, frame: Frame) -> int:
        """Convert the frame's time to ticks of the output's video stream."""
        ticks = round((frame.pts_seconds + self._shift_seconds) / self._time_base)
        if self._last_ticks is not None and ticks <= self._last_ticks:
            raise SinkError(
                f"{self._name}: frame {frame.index} at {float(frame.pts_seconds):.3f} s is not "
                "later than the one before it; frames must be in order of time"
            )
        gap = 0 if self._last_ticks is None else ticks - self._last_ticks
        if gap > _LONGEST_SAMPLE and self._format in ("mp4", "mov"):
            raise SinkError(
                f"{self._name}: {float(gap * self._time_base):.1f} s without a frame are more than "
                f"{self._format} can hold with ticks of {self._time_base} s; write .mkv instead"
            )
        self._last_ticks = ticks
        return ticks

    def _duration(self, frame: Frame) -> int:
        if frame.duration is not None:
            return max(1, round(frame.duration * frame.time_base / self._time_base))
        return max(1, round(1 / ((self._info.frame_rate or Fraction(25)) * self._time_base)))

    def _flush(self) -> None:
        """Write what was held back."""
        self._others.flush()

    def _opened(self) -> OutputContainer:
        if self._container is None:
            raise SinkError(f"{self._name}: is not open")
        return self._container

    def _guarded(self, action: Callable[[], None]) -> None:
        """Run a step of writing, turning any failure into one clear SinkError."""
        import av

        try:
            action()
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self._is_broken = True
            raise self._failure(error) from None

    def _close_container(self, container: OutputContainer) -> None:
        import av

        try:
            container.close()
        except (av.error.FFmpegError, OSError, ValueError) as error:
            if self._is_broken:
                self._trim()
                return  # The error was raised when it occurred.
            raise self._failure(error) from None
        if self._to_standard_output:
            try:
                sys.stdout.buffer.flush()
            except OSError as error:
                raise self._failure(error) from None

    def _trim(self) -> None:
        """Remove an incomplete fragment from the end of a file that could not be finished."""
        if self._format in ("mp4", "mov") and not self._to_standard_output:
            length = whole_length(self._part.path)
            if length is not None:
                os.truncate(self._part.path, length)

    def _failure(self, error: Exception) -> SinkError:
        """Explain an FFmpeg or system error to the user."""
        words = str(getattr(error, "strerror", None) or error).lower()
        if isinstance(error, BrokenPipeError):
            return SinkError(f"{self._name}: the program reading it has ended")
        kind = DiskFullError if is_full(error) else SinkError
        if not self._frame_count:
            return kind(f"{self._name}: cannot be written: {words}")
        where_kept = ""
        if not self._to_standard_output:
            where_kept = f"; what was written is kept in {self._part.path}"
        return kind(
            f"{self._name}: writing failed after {self._frame_count} frames: {words}{where_kept}"
        )

    def _settle(self, outcome: Outcome) -> None:
        if self._to_standard_output:
            return
        if self._frame_count == 0:
            outcome = "failed"
        self._part.settle(outcome, frames=self._frame_count)
        if outcome == "failed" and self._frame_count:
            self._kept = str(self._part.path)
