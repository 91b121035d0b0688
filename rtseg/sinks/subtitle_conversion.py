"""Convert text subtitles to the format that another container supports."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

from rtseg.media.info import StreamInfo
from rtseg.media.packets import duplicate, move

if TYPE_CHECKING:
    from av.container.output import OutputContainer

USUAL_SUBTITLES = {
    "mp4": "mov_text",
    "mov": "mov_text",
    "ipod": "mov_text",
    "matroska": "subrip",
    "webm": "webvtt",
}
"""FFmpeg's encoder for each container's usual subtitles; other containers support none."""


def is_text(stream: StreamInfo) -> bool:
    """Whether subtitles are text rather than pictures."""
    template: Any = stream.template
    context = template.codec_context
    return context is not None and bool(context.codec.text_sub)


class SubtitleConverter:
    """Converts one stream of text subtitles to the container's usual format.

    Args:
        container: the output, before its header is written.
        stream: the source's text subtitles.
        encoder: FFmpeg's name of the encoder.

    Attributes:
        stream: the output's stream.

    Raises:
        ValueError: the container or the encoder does not support such subtitles.
    """

    def __init__(self, container: OutputContainer, stream: StreamInfo, *, encoder: str) -> None:
        import av

        template: Any = stream.template
        self._scratch = av.open(os.devnull, "w", format="framecrc")
        self._decoder: Any = self._scratch.add_stream_from_template(template).codec_context
        self._decoder.open()  # opening it creates the header that the encoder needs
        self.stream: Any = container.add_stream(encoder)
        self._encoder: Any = cast("Any", self.stream.codec_context)
        self._encoder.time_base = self.stream.time_base = template.time_base
        self._encoder.subtitle_header = self._decoder.subtitle_header

    def packets(self, packet: Any, *, shift_seconds: Fraction) -> list[Any]:
        """Convert one packet of the source; returns nothing if it contains no text."""
        import av

        try:
            decoded = self._decoder.decode2(packet)
            if decoded is None or not len(decoded):
                return []
            encoded = self._encoder.encode_subtitle(decoded)
        except (av.error.FFmpegError, ValueError):
            return []  # one line is damaged; the next may be fine
        encoded.pts = encoded.dts = packet.pts
        encoded.duration, encoded.time_base = packet.duration, packet.time_base
        return [move(duplicate(encoded), shift_seconds)] if encoded.size else []

    def flush(self) -> list[Any]:
        """Return nothing, since each packet is a complete line."""
        return []

    def close(self) -> None:
        """Release the decoder."""
        self._scratch.close()
