"""A stream of an output whose packets are the source's, bit for bit."""

from __future__ import annotations

import os
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from rtseg.media.info import StreamInfo
from rtseg.media.packets import duplicate, move
from rtseg.sinks.bare_aac import bare_aac

if TYPE_CHECKING:
    from av.container.output import OutputContainer

_PLACEHOLDERS: Mapping[str, Mapping[str, str]] = {
    "audio": {"webm": "libopus"},
    "subtitle": {
        "mp4": "mov_text",
        "mov": "mov_text",
        "ipod": "mov_text",
        "webm": "webvtt",
        "mpegts": "dvbsub",
    },
}
_USUAL_PLACEHOLDER = {"audio": "aac", "subtitle": "subrip"}
"""An encoder whose codec the muxer certainly takes, to make the stream of."""

_NO_TAG = "\0\0\0\0"


class CopiedStream:
    """Adds a stream with the parameters of the source's, whatever its codec.

    AAC in ADTS or LATM, which only broadcasts carry, loses the header of each packet. Sound that
    says how many channels it has and not which (PCM of AVI and DV) gets the usual layout of so
    many.

    Args:
        container: the output, before its header is written.
        source: the stream.

    Attributes:
        stream: of the output.

    Raises:
        ValueError: the muxer takes no stream of this kind at all.
    """

    def __init__(self, container: OutputContainer, source: StreamInfo) -> None:
        self._bare = bare_aac(source)
        if source.codec == "aac_latm" and self._bare is not None:
            self.stream: Any = _add_aac(container, source)
        else:
            self.stream = _add(container, source)
        context = self.stream.codec_context
        if self._bare is not None:
            context.extradata = self._bare.configuration
        if source.kind == "audio" and lacks_layout(context):
            context.layout = default_layout(context.layout.nb_channels)

    def packets(self, packet: Any, *, shift_seconds: Fraction) -> list[Any]:
        """What is written for one packet of the source, its times moved."""
        copies = [duplicate(packet)] if self._bare is None else self._bare.packets(packet)
        return [move(copy, shift_seconds) for copy in copies]

    def flush(self) -> list[Any]:
        """Nothing: packets are written as they come."""
        return []

    def close(self) -> None:
        """Nothing is held."""


def _add(container: OutputContainer, source: StreamInfo) -> Any:
    import av

    template: Any = source.template
    encoder = _PLACEHOLDERS[source.kind].get(container.format.name, _USUAL_PLACEHOLDER[source.kind])
    with av.open(os.devnull, "w", format="framecrc") as scratch:
        rate = {"rate": 48000} if source.kind == "audio" else {}
        placeholder: Any = scratch.add_stream(encoder, **rate)  # type: ignore[call-overload]
        # PyAV asks FFmpeg's list of codecs, here about the placeholder. The list does not know
        # what Matroska holds by Microsoft's numbers (G.711, WMA, ADPCM).
        stream: Any = container.add_stream_from_template(placeholder)
    # The filter that does nothing hands every parameter on.
    av.BitStreamFilterContext("null", template, stream)
    stream.codec_context.codec_tag = _NO_TAG  # Each container has its own.
    stream.time_base = template.time_base
    return stream


def _add_aac(container: OutputContainer, source: StreamInfo) -> Any:
    import av

    template: Any = source.template
    with av.open(os.devnull, "w", format="framecrc") as scratch:
        placeholder: Any = scratch.add_stream("aac", rate=template.codec_context.sample_rate)
        placeholder.layout = template.codec_context.layout.name
        stream: Any = container.add_stream_from_template(placeholder)
    stream.codec_context.sample_rate = template.codec_context.sample_rate
    stream.codec_context.layout = template.codec_context.layout.name
    stream.time_base = template.time_base
    return stream


def lacks_layout(context: Any) -> bool:
    """Whether sound says how many channels it has, and not which they are."""
    words = str(context.layout.name).split()
    return len(words) == 2 and words[1] == "channels" and words[0] != "0"


def default_layout(channels: int) -> str:
    """The usual layout of so many channels, by FFmpeg's name."""
    names = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
    return names.get(channels, f"{channels}C")
