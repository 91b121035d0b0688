"""Write videos to files or standard output, encoded with PyAV (FFmpeg)."""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

from rtseg.errors import DiskFullError, SettingError, SinkError, listed
from rtseg.frames import Frame, Packet, Picture, Segmentation
from rtseg.media.hardware import check_hardware_encoder
from rtseg.media.info import SourceInfo
from rtseg.media.truncation import whole_length
from rtseg.settings import EncodeSettings
from rtseg.sinks.base import Outcome, Sink
from rtseg.sinks.codecs import (
    CODECS,
    CONTAINERS,
    STANDARD_OUTPUT,
    choose_codec,
    encoder_options,
    encoder_threads,
    suffix_of,
)
from rtseg.sinks.disk_space import is_full
from rtseg.sinks.other_streams import OtherStreams, plan_streams
from rtseg.sinks.partial_file import PartialFile
from rtseg.sinks.scheduling import ordinary_scheduling
from rtseg.sinks.standard_output import StandardOutput, check_standard_output
from rtseg.sinks.tags import describe_container, log_dropped_tags, tag_colour
from rtseg.sinks.yuv import YuvConverter

if TYPE_CHECKING:
    from av.container.output import OutputContainer
    from av.video.frame import VideoFrame
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

_log = logging.getLogger(__name__)

_LARGEST_TIMESCALE = (1 << 31) - 1

_LONGEST_SAMPLE = (1 << 31) - 2
"""The most ticks between two frames; only nanosecond clocks come near it (2 s).

From one tick more on, FFmpeg's muxer calls the duration invalid and writes 1."""


class VideoSink(Sink):
    """Writes a video with every frame at its source's exact time, and with the other streams.

    Times are exact in mp4 and mov, whose time base is set to the source's, and rounded to the
    millisecond in mkv and webm. B-frames are not used, because their edit lists cut off frames when
    the file is written in fragments. If the first frame is before zero, which none of these
    containers supports, everything is shifted so that it is at zero.

    Odd sizes are kept if the codec supports them (AV1, VP9, FFV1). For H.264 and HEVC the last row
    or column is repeated once, because their 4:2:0 needs even sizes and their 4:4:4 does not play
    everywhere.

    The file is named `NAME.<random>.part.SUFFIX` until it is complete. After SIGKILL it plays up to
    about the last second.

    Args:
        output: a path, or `-` for a Matroska stream on standard output.
        settings: codec, quality, and whether to copy audio and subtitles.
        threads, shared: as for `encoder_threads`.

    Raises:
        SettingError: the container is unknown or does not support the codec, or the quality or
            preset is invalid for the codec.
    """

    wants_pixels = True

    def __init__(
        self,
        output: str,
        *,
        settings: EncodeSettings | None = None,
        threads: int = 0,
        shared: bool = False,
    ) -> None:
        self._output = output
        self._settings = settings or EncodeSettings()
        self._codec = choose_codec(output, self._settings)
        if self._codec.software:
            check_hardware_encoder(self._codec.encoder, instead=self._codec.software)
        self._format = CONTAINERS[suffix_of(output)]
        self._threads, self._shared = threads, shared
        self._to_standard_output = output == STANDARD_OUTPUT
        # Only the first picture shows whether there is transparency; standard output cannot be
        # restarted then.
        self.has_alpha = self._codec.alpha_format is not None and not self._to_standard_output
        self._name = "standard output" if self._to_standard_output else output
        self._part = PartialFile(output, overwrite=self._settings.overwrite)
        self._container: OutputContainer | None = None
        self._frame_count = 0
        self._is_broken = False
        self._durations: dict[int, int] = {}
        self._last_ticks: int | None = None
        self._shift_seconds = Fraction(0)
        self._waiting: list[Packet] | None = []
        self._kept = ""
        self._drops_tags = self._settings.metadata == "drop"

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Create the file and write its header. See `Sink.open`."""
        self._info = info
        self._size = (width, height)
        if min(self._size) < self._codec.smallest:
            raise SinkError(
                f"{self._name}: {width}x{height} is too small for {self._codec.encoder}, which "
                f"needs {self._codec.smallest} pixels a side; h264 and vp9 take any size"
            )
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
        self._start(alpha=False)

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Encode one picture at its frame's time. See `Sink.write`."""
        if picture is None:
            raise SinkError(f"{self._name}: needs the rendered view, and was given none")
        self._check_size(picture)
        if not self._to_standard_output:
            self._part.check()
        if self._frame_count == 0:
            self._begin(frame, transparent=picture.shape[2] == 4 and self.has_alpha)
        ticks = self._place(frame)
        encoded = self._converter.convert(picture)
        encoded.pts, encoded.time_base = ticks, self._time_base
        self._durations[ticks] = self._duration(frame)
        self._guarded(lambda: self._encode(encoded))
        self._frame_count += 1

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

    def _start(self, *, alpha: bool) -> None:
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
            self._video = self._add_video(self._container, alpha=alpha)
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

    def _add_video(self, container: OutputContainer, *, alpha: bool) -> VideoStream:
        codec, info = self._codec, self._info
        frame_rate = info.frame_rate or Fraction(25)
        options = encoder_options(
            codec,
            self._settings,
            frames_a_second=float(frame_rate),
            threads=self._threads,
            pixels=self._size[0] * self._size[1],
        )
        try:
            stream: Any = container.add_stream(codec.encoder, rate=frame_rate, options=options)
        except (ValueError, LookupError):
            raise SettingError(
                f"`codec`: this PyAV has no encoder {codec.encoder}; choose another: "
                f"{listed(name for name in CODECS if CODECS[name] is not codec)}"
            ) from None
        odd = 1 if codec.needs_even else 0
        stream.width, stream.height = (side + (side & odd) for side in self._size)
        stream.pix_fmt = codec.alpha_format if alpha else codec.pixel_format
        # The numerator goes into the ticks, since mp4 stores only ticks per second.
        self._time_base = Fraction(1, info.time_base.denominator)
        context = stream.codec_context
        context.time_base = stream.time_base = self._time_base
        context.thread_count = encoder_threads(
            codec,
            self._settings,
            width=stream.width,
            height=stream.height,
            threads=self._threads,
            shared=self._shared,
        )
        if codec.encoder in ("libx264", "libx265") or codec.software:
            context.max_b_frames = 0
        if codec.encoder in ("libx265", "hevc_nvenc") and self._format in ("mp4", "mov"):
            context.codec_tag = "hvc1"  # the only tag that Apple's players accept
        if info.sample_aspect_ratio != 1:
            context.sample_aspect_ratio = info.sample_aspect_ratio
        tag_colour(context, info.colour, is_yuv=stream.pix_fmt.startswith("yuv"))
        self._converter = YuvConverter(
            pixel_format=stream.pix_fmt,
            width=stream.width,
            height=stream.height,
            colour=info.colour,
            picture_size=self._size,
        )
        return cast("VideoStream", stream)

    def _begin(self, frame: Frame, *, transparent: bool) -> None:
        """Start with the first frame, which fixes time zero and shows whether there is alpha."""
        if transparent:
            container, self._container = self._container, None
            self._others.close()
            if container is not None:
                container.close()
            self._start(alpha=True)
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

    def _check_size(self, picture: Picture) -> None:
        height, width = picture.shape[:2]
        if (width, height) != self._size:
            raise SinkError(
                f"{self._name}: a picture of {width}x{height} in a video of "
                f"{self._size[0]}x{self._size[1]}; all must have the same size"
            )

    def _encode(self, picture: VideoFrame | None) -> None:
        container = self._opened()
        for packet in self._video.encode(picture):
            if packet.pts is not None:
                packet.duration = self._durations.pop(packet.pts, packet.duration)
            container.mux(packet)

    def _flush(self) -> None:
        self._encode(None)
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
