"""Whether a container holds a stream: its muxer is asked by writing a little of it in memory.

FFmpeg's list of the codecs of a format is wrong both ways. It does not know what Matroska holds by
Microsoft's numbers, and it knows nothing of sample formats, channel layouts and packets that a
muxer refuses once it writes them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from fractions import Fraction
from io import BytesIO
from typing import Any, cast

from rtseg.media.info import StreamInfo
from rtseg.media.packets import duplicate
from rtseg.sinks.copied_stream import CopiedStream

_DEMUXERS = {"webm": "matroska", "ipod": "mov"}
"""FFmpeg's reader of what a muxer writes, where they bear different names."""

_SAME = ({"mp1", "mp2", "mp3"}, {"aac", "aac_latm"})
"""What is the same once copied: mp4 tells the layers of MPEG audio apart by the packets only, and
the LATM envelope is taken off."""


def is_held(stream: StreamInfo, *, muxer: str, options: Mapping[str, str]) -> bool:
    """Whether a stream that is copied can be read again as what it was.

    Args:
        stream: of the source, with its first packets.
        muxer, options: of the output.
    """
    import av

    template: Any = stream.template
    if template.codec_context is None:
        return False  # Nothing in this build could tell.
    written = BytesIO()
    try:
        with av.open(written, "w", format=muxer, container_options=dict(options)) as trial:
            copied = CopiedStream(trial, stream)
            trial.start_encoding()
            for packet in stream.first_packets:
                for copy in copied.packets(packet, shift_seconds=_to_zero(stream)):
                    copy.stream = copied.stream
                    trial.mux(copy)
        if not stream.first_packets:
            # A header alone cannot be read again. MPEG-TS takes anything, for others to make out.
            return muxer != "mpegts" or not template.codec_context.codec.text_sub
        written.seek(0)
        with av.open(written, format=_DEMUXERS.get(muxer, muxer)) as again:
            return any(
                _is_same(found, template) and _decodes(again, found, stream)
                for found in again.streams
            )
    except (av.error.FFmpegError, OSError, ValueError, NotImplementedError):
        return False


def _to_zero(stream: StreamInfo) -> Fraction:
    if not stream.first_packets:
        return Fraction(0)
    first: Any = stream.first_packets[0]
    ticks = first.dts if first.dts is not None else first.pts
    return Fraction(-(ticks or 0) * first.time_base)


def _is_same(found: Any, template: Any) -> bool:
    if found.type != template.type or found.codec_context is None:
        return False
    names = {stream.codec_context.codec.canonical_name for stream in (found, template)}
    if len(names) > 1 and not any(names <= same for same in _SAME):
        return False
    if found.type != "audio":
        return True
    one, other = found.codec_context, template.codec_context
    return bool(one.layout.nb_channels == other.layout.nb_channels)


def _decodes(container: Any, found: Any, stream: StreamInfo) -> bool:
    """Whether what was written comes out as the sound that the source's packets are."""
    if found.type != "audio":
        return True
    channels, rate = found.codec_context.layout.nb_channels, found.codec_context.sample_rate
    frames: list[Any] = list(container.decode(found))
    if not frames:
        return not _decoded_samples(stream)  # Some decoders hold back more than the samples.
    return all(
        frame.layout.nb_channels == channels and frame.sample_rate == rate for frame in frames
    )


def _decoded_samples(stream: StreamInfo) -> int:
    """How much sound the sample packets hold by themselves."""
    import av

    with av.open(os.devnull, "w", format="framecrc") as scratch:
        decoder: Any = scratch.add_stream_from_template(cast("Any", stream.template)).codec_context
        try:
            return sum(
                frame.samples
                for packet in stream.first_packets
                for frame in decoder.decode(duplicate(packet))
            )
        except av.error.FFmpegError:
            return 0
