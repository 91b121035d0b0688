"""Copy a stream of the source into an output, bit for bit."""

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
"""Encoders that the muxers certainly accept, used to create a placeholder stream."""

_NO_TAG = "\0\0\0\0"


class CopiedStream:
    """Adds a stream with the source stream's parameters, whatever its codec.

    AAC in ADTS or LATM, as in broadcasts, has the header stripped from each packet. Audio that
    states only its number of channels (PCM in AVI and DV) gets the usual layout for that number.

    Args:
        container: the output, before its header is written.
        source: the stream to copy.

    Attributes:
        stream: the output's stream.

    Raises:
        ValueError: the muxer supports no stream of this kind.
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
        """Return the packets to write for one packet of the source, with shifted times."""
        copies = [duplicate(packet)] if self._bare is None else self._bare.packets(packet)
        return [move(copy, shift_seconds) for copy in copies]

    def flush(self) -> list[Any]:
        """Return nothing, since packets are written immediately."""
        return []

    def close(self) -> None:
        """Do nothing: no resources are held."""


def _add(container: OutputContainer, source: StreamInfo) -> Any:
    import av

    template: Any = source.template
    encoder = _PLACEHOLDERS[source.kind].get(container.format.name, _USUAL_PLACEHOLDER[source.kind])
    with av.open(os.devnull, "w", format="framecrc") as scratch:
        rate = {"rate": 48000} if source.kind == "audio" else {}
        placeholder: Any = scratch.add_stream(encoder, **rate)  # type: ignore[call-overload]
        # PyAV consults FFmpeg's list of codecs for a muxer, here for the placeholder. That list
        # lacks what Matroska stores under Microsoft's codec numbers (G.711, WMA, ADPCM).
        stream: Any = container.add_stream_from_template(placeholder)
    # The null filter copies every parameter.
    av.BitStreamFilterContext("null", template, stream)
    stream.codec_context.codec_tag = _NO_TAG  # Each container has its own tags.
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
    """Whether an audio stream states its number of channels but not their layout."""
    words = str(context.layout.name).split()
    return len(words) == 2 and words[1] == "channels" and words[0] != "0"


def default_layout(channels: int) -> str:
    """FFmpeg's name of the usual layout for a number of channels."""
    names = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
    return names.get(channels, f"{channels}C")
