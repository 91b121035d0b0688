"""Write videos to files or standard output, encoded with PyAV (FFmpeg)."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

from rtseg.errors import SettingError, SinkError, listed
from rtseg.frames import Frame, Picture, Segmentation
from rtseg.media.hardware import check_hardware_encoder
from rtseg.media.info import SourceInfo
from rtseg.settings import EncodeSettings
from rtseg.sinks.codecs import CODECS, choose_codec, encoder_options, encoder_threads
from rtseg.sinks.tags import tag_colour
from rtseg.sinks.video_file import VideoFile
from rtseg.sinks.yuv import YuvConverter

if TYPE_CHECKING:
    from av.container.output import OutputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


class VideoSink(VideoFile):
    """Writes a video with every frame at its source's exact time, and with the other streams.

    B-frames are not used, because their edit lists cut off frames when the file is written in
    fragments. Odd sizes are kept if the codec supports them (AV1, VP9, FFV1). For H.264 and HEVC
    the last row or column is repeated once, because their 4:2:0 needs even sizes and their 4:4:4
    does not play everywhere.

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
        settings = settings or EncodeSettings()
        self._codec = choose_codec(output, settings)
        if self._codec.software:
            check_hardware_encoder(self._codec.encoder, instead=self._codec.software)
        super().__init__(output, settings=settings)
        self._threads, self._shared = threads, shared
        # Only the first picture shows whether there is transparency; standard output cannot be
        # restarted then.
        self.has_alpha = self._codec.alpha_format is not None and not self._to_standard_output
        self._is_transparent = False
        self._durations: dict[int, int] = {}

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Create the file and write its header. See `Sink.open`."""
        self._size = (width, height)
        if min(self._size) < self._codec.smallest:
            raise SinkError(
                f"{self._name}: {width}x{height} is too small for {self._codec.encoder}, which "
                f"needs {self._codec.smallest} pixels a side; h264 and vp9 take any size"
            )
        super().open(info, width=width, height=height)

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Encode one picture at its frame's time. See `Sink.write`."""
        if picture is None:
            raise SinkError(f"{self._name}: needs the rendered view, and was given none")
        self._check_size(picture)
        if not self._to_standard_output:
            self._part.check()
        if self._frame_count == 0:
            if picture.shape[2] == 4 and self.has_alpha:
                self._restart_transparent()
            self._begin(frame)
        ticks = self._place(frame)
        encoded = self._converter.convert(picture)
        encoded.pts, encoded.time_base = ticks, self._time_base
        self._durations[ticks] = self._duration(frame)
        self._guarded(lambda: self._encode(encoded))
        self._frame_count += 1

    def _restart_transparent(self) -> None:
        """Start the file again with a stream that has an alpha channel."""
        self._is_transparent = True
        container, self._container = self._container, None
        self._others.close()
        if container is not None:
            container.close()
        self._start()

    def _add_video(self, container: OutputContainer) -> VideoStream:
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
        stream.pix_fmt = codec.alpha_format if self._is_transparent else codec.pixel_format
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
        super()._flush()
