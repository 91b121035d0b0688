"""Test whether a container supports a stream, by muxing a little of it in memory.

FFmpeg's lists of the codecs for each format are unreliable in both directions. They lack what
Matroska stores under Microsoft's codec numbers, and ignore sample formats, channel layouts and
packets that a muxer rejects when it writes them.
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
"""FFmpeg's demuxer for each muxer's output, where the names differ."""

_SAME = ({"mp1", "mp2", "mp3"}, {"aac", "aac_latm"})
"""Codecs that count as equal after copying: mp4 distinguishes the layers of MPEG audio by their
packets only, and LATM is unpacked to AAC."""


def is_held(stream: StreamInfo, *, muxer: str, options: Mapping[str, str]) -> bool:
    """Whether a copied stream can be read back as what it was.

    Args:
        stream: the source's stream, with its first packets.
        muxer, options: the output's muxer and its options.
    """
    import av

    template: Any = stream.template
    if template.codec_context is None:
        return False  # This FFmpeg build cannot read the format, so it cannot be tested.
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
            # A header alone cannot be read back. MPEG-TS accepts anything, readable or not.
            return muxer != "mpegts" or not template.codec_context.codec.text_sub
        written.seek(0)
        with av.open(written, format=_DEMUXERS.get(muxer, muxer)) as again:
            return any(
                _is_same(read_back, template) and _decodes(again, read_back, stream)
                for read_back in again.streams
            )
    except (av.error.FFmpegError, OSError, ValueError, NotImplementedError):
        return False


def _to_zero(stream: StreamInfo) -> Fraction:
    if not stream.first_packets:
        return Fraction(0)
    first: Any = stream.first_packets[0]
    ticks = first.dts if first.dts is not None else first.pts
    return Fraction(-(ticks or 0) * first.time_base)


def _is_same(read_back: Any, template: Any) -> bool:
    if read_back.type != template.type or read_back.codec_context is None:
        return False
    names = {stream.codec_context.codec.canonical_name for stream in (read_back, template)}
    if len(names) > 1 and not any(names <= same for same in _SAME):
        return False
    if read_back.type != "audio":
        return True
    one, other = read_back.codec_context, template.codec_context
    return bool(one.layout.nb_channels == other.layout.nb_channels)


def _decodes(container: Any, read_back: Any, stream: StreamInfo) -> bool:
    """Whether decoding the copy gives as much audio as decoding the source's packets."""
    if read_back.type != "audio":
        return True
    channels, rate = read_back.codec_context.layout.nb_channels, read_back.codec_context.sample_rate
    frames: list[Any] = list(container.decode(read_back))
    if not frames:
        return not _decoded_samples(
            stream
        )  # Some decoders delay more than the sample packets hold.
    return all(
        frame.layout.nb_channels == channels and frame.sample_rate == rate for frame in frames
    )


def _decoded_samples(stream: StreamInfo) -> int:
    """How many audio samples the sample packets decode to."""
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
