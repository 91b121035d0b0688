"""Convert broadcast AAC (a header on each packet) to the form that files use (one header)."""

from __future__ import annotations

import logging
from typing import Any

from rtseg.media.info import StreamInfo
from rtseg.media.packets import duplicate
from rtseg.sinks.latm import LatmAac

_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
"""ISO/IEC 14496-3, table 1.18: sampling frequencies by index."""

_LOW_COMPLEXITY = 2

_log = logging.getLogger(__name__)


def bare_aac(stream: StreamInfo) -> AdtsAac | LatmAac | None:
    """Return a converter that strips a broadcast AAC stream's headers; None for other streams."""
    template: Any = stream.template
    context = template.codec_context
    if context is None:
        return None
    if stream.codec == "aac_latm" and LatmAac.can_read(stream.first_packets):
        return LatmAac(stream.first_packets)
    if stream.codec != "aac" or context.extradata:
        return None
    configuration = b""
    for packet in stream.first_packets:
        if not is_adts(bytes(packet)):  # type: ignore[call-overload]
            return None
        for bare in _filtered(_filter(stream), packet):
            if bare.has_sidedata("new_extradata"):
                configuration = configuration or bytes(bare.get_sidedata("new_extradata"))
    return AdtsAac(stream, configuration or _configuration(context))


class AdtsAac:
    """Strips the ADTS header (ISO/IEC 13818-7) from each packet of a stream.

    Args:
        stream: the source's ADTS stream.
        configuration: the AudioSpecificConfig (ISO/IEC 14496-3) that replaces the headers.
    """

    def __init__(self, stream: StreamInfo, configuration: bytes) -> None:
        self.configuration = configuration
        self._stream = stream
        self._filter = _filter(stream)

    def packets(self, packet: Any) -> list[Any]:
        """Return the packet without its header, or nothing for a damaged one."""
        if not is_adts(bytes(packet)):
            return []
        bare = _filtered(self._filter, packet)
        if not bare:
            _log.debug("dropped a damaged AAC packet")
            self._filter = _filter(self._stream)
        return bare


def is_adts(data: bytes) -> bool:
    """Whether a packet begins with the sync word of an ADTS header."""
    return len(data) > 7 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0


def _filter(stream: StreamInfo) -> Any:
    import av

    template: Any = stream.template
    return av.BitStreamFilterContext("aac_adtstoasc", template)


def _filtered(bitstream_filter: Any, packet: Any) -> list[Any]:
    import av

    try:
        packets: list[Any] = bitstream_filter.filter(duplicate(packet))
    except (av.error.FFmpegError, ValueError):
        return []
    for bare in packets:
        bare.time_base = packet.time_base
    return packets


def _configuration(context: Any) -> bytes:
    """The demuxer's configuration of a stream that has delivered no packet yet."""
    rate, channels = context.sample_rate, context.layout.nb_channels
    index = _RATES.index(rate) if rate in _RATES else 3
    bits = _LOW_COMPLEXITY << 11 | index << 7 | min(channels, 7) << 3
    return int(bits).to_bytes(2, "big")
