"""Write short silent videos as animated GIF or WebP."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from rtseg.errors import SettingError, SinkError
from rtseg.frames import Frame, Picture, Segmentation
from rtseg.media.info import SourceInfo
from rtseg.settings import EncodeSettings
from rtseg.sinks.base import Outcome, Sink
from rtseg.sinks.disk_space import cannot_write
from rtseg.sinks.partial_file import PartialFile

_TICK = {".gif": Fraction(1, 100), ".webp": Fraction(1, 1000)}
"""Time resolution of each format."""

_LEAST_TICKS = {".gif": 2, ".webp": 1}
"""The shortest time between two frames: browsers slow a GIF's 1/100 s down to 1/10 s."""

_LARGEST = {".gif": 65535, ".webp": 16383}

_log = logging.getLogger("rtseg")


class AnimationSink(Sink):
    """Writes an animated GIF (with its own 256 colours for each frame) or WebP.

    Times are rounded to 1/100 s in a GIF and 1/1000 s in a WebP. A GIF shows at most 50 frames per
    second; frames beyond that are dropped, counted and reported at the end. Transparency is kept;
    in a GIF, a pixel is either opaque or fully transparent.

    Args:
        output: the path; its suffix selects the format.
        settings: only `overwrite` matters here; there is no choice of codec and quality.

    Raises:
        SettingError: a codec, quality or preset is set.
    """

    wants_pixels = True
    has_alpha = True

    def __init__(self, output: str, *, settings: EncodeSettings) -> None:
        self._output = output
        self._suffix = Path(output).suffix.lower()
        for name, value in (("crf", settings.crf), ("preset", settings.preset)):
            if value is not None:
                raise SettingError(f"`{name}`: {self._suffix} takes none; omit it")
        if settings.codec != "auto":
            raise SettingError(f"`codec`: {self._suffix} has its own; omit it")
        self._part = PartialFile(output, overwrite=settings.overwrite)
        self._container: Any = None
        self._graph: Any = None
        self._graph_format = ""
        self._frames = self._dropped = 0
        self._zero = Fraction(0)
        self._last_ticks = 0
        self._is_broken = False

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Create the file. See `Sink.open`."""
        import av

        av.logging.set_level(None)
        largest = _LARGEST[self._suffix]
        if max(width, height) > largest:
            raise SinkError(
                f"{self._output}: {width}x{height} is too large for {self._suffix}; allowed: "
                f"{largest} pixels a side"
            )
        if any(stream.kind == "audio" for stream in info.streams):
            _log.info("%s: written without sound: %s cannot hold any", self._output, self._suffix)
        self._part.claim(info.read_files)
        self._size = (width, height)
        try:
            self._container = av.open(
                f"file:{self._part.path}",
                "w",
                format=self._suffix[1:],
                options={"loop": "0", "flush_packets": "1"},
            )
            encoder = "gif" if self._suffix == ".gif" else "libwebp"
            stream: Any = self._container.add_stream(encoder, rate=info.frame_rate or 25)
            stream.width, stream.height = width, height
            stream.pix_fmt = "pal8" if self._suffix == ".gif" else "bgra"
            stream.codec_context.time_base = stream.time_base = _TICK[self._suffix]
            if self._suffix == ".webp":
                stream.codec_context.options = {"quality": "85", "compression_level": "2"}
            self._stream = stream
        except (OSError, ValueError) as error:  # PyAV's system errors are OSErrors too
            raise self._failure(error) from None

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Encode one picture at its frame's time. See `Sink.write`."""
        if picture is None:
            raise SinkError(f"{self._output}: needs the rendered view, and was given none")
        if picture.shape[1::-1] != self._size:
            raise SinkError(
                f"{self._output}: a picture of {picture.shape[1]}x{picture.shape[0]} in an "
                f"animation of {self._size[0]}x{self._size[1]}; all must have the same size"
            )
        self._part.check()
        if self._frames == 0:
            # An animation starts with its first frame.
            self._zero = frame.pts_seconds
        ticks = round((frame.pts_seconds - self._zero) / _TICK[self._suffix])
        if self._frames and ticks < self._last_ticks + _LEAST_TICKS[self._suffix]:
            self._dropped += 1
            return
        self._last_ticks = ticks
        self._guarded(picture, ticks)
        self._frames += 1

    def _guarded(self, picture: Picture | None, ticks: int) -> None:
        try:
            self._encode(picture, ticks)
        except (OSError, ValueError) as error:
            self._is_broken = True
            raise self._failure(error) from None

    def _encode(self, picture: Picture | None, ticks: int) -> None:
        """Encode one picture; None ends the stream."""
        import av

        encoded: Any = None
        if picture is not None:
            layout = "rgba" if picture.shape[2] == 4 else "rgb24"
            encoded = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=layout)
            encoded.pts, encoded.time_base = ticks, _TICK[self._suffix]
            if self._suffix == ".gif":
                encoded = self._in_256_colours(encoded)
            else:
                encoded = encoded.reformat(format="bgra")
                encoded.pts, encoded.time_base = ticks, _TICK[self._suffix]
        for packet in self._stream.encode(encoded):
            self._container.mux(packet)

    def _in_256_colours(self, picture: Any) -> Any:
        """Reduce the picture to its own palette, with a dither pattern that does not flicker."""
        import av

        if self._graph is None or self._graph_format != picture.format.name:
            self._graph_format = picture.format.name
            graph = av.filter.Graph()
            source = graph.add_buffer(
                width=picture.width,
                height=picture.height,
                format=picture.format,
                time_base=_TICK[self._suffix],
            )
            transparent = "1" if picture.format.name == "rgba" else "0"
            split = graph.add("split")
            palette = graph.add(
                "palettegen", f"stats_mode=single:reserve_transparent={transparent}"
            )
            use = graph.add("paletteuse", "new=1:dither=bayer:bayer_scale=3:alpha_threshold=128")
            sink = graph.add("buffersink")
            source.link_to(split)
            split.link_to(use, 0, 0)
            split.link_to(palette, 1, 0)
            palette.link_to(use, 0, 1)
            use.link_to(sink)
            graph.configure()
            self._graph = graph
        ticks = picture.pts
        self._graph.push(picture)
        paletted = self._graph.pull()
        paletted.pts, paletted.time_base = ticks, _TICK[self._suffix]
        return paletted

    def close(self, outcome: Outcome) -> None:
        """Finish the file. See `Sink.close`."""
        container, self._container = self._container, None
        self._graph = None
        try:
            if container is not None:
                try:
                    if self._frames and not self._is_broken:
                        self._container = container
                        self._encode(None, 0)
                finally:
                    self._container = None
                    container.close()
                if self._suffix == ".webp" and self._frames:
                    _replace_frames(self._part.path)
        except (OSError, ValueError) as error:
            self._part.settle("failed", frames=self._frames)
            if self._is_broken:
                return  # reported when it occurred
            raise self._failure(error) from None
        if self._dropped:
            _log.warning(
                "%s: dropped %d of %d frames: %s shows at most %d frames per second",
                *(self._output, self._dropped, self._dropped + self._frames, self._suffix),
                1 / (_TICK[self._suffix] * _LEAST_TICKS[self._suffix]),
            )
        self._part.settle(outcome if self._frames else "failed", frames=self._frames)

    def _failure(self, error: Exception) -> SinkError:
        if isinstance(error, OSError):
            return cannot_write(self._output, error)
        return SinkError(f"{self._output}: cannot be written: {error}")

    def describe(self) -> str:
        """The file's path."""
        return self._output


def _replace_frames(path: Path) -> None:
    """Make each frame of an animated WebP replace the one before.

    FFmpeg has them blended, so that earlier frames would show through transparent areas.

    The file consists of RIFF chunks: a name of 4 bytes, a size in 4 bytes, and the content, padded
    to an even size. In a frame's chunk (`ANMF`), bit 1 of byte 15 means "do not blend".
    """
    with path.open("r+b") as file:
        file.seek(12)
        while len(head := file.read(8)) == 8:
            size = int.from_bytes(head[4:], "little")
            begins = file.tell()
            if head[:4] == b"ANMF":
                file.seek(begins + 15)
                flags = file.read(1)[0]
                file.seek(begins + 15)
                file.write(bytes([flags | 2]))
            file.seek(begins + size + size % 2)
