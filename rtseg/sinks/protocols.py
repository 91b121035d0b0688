"""Settings for each network protocol and HLS: muxer, options and supported audio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from rtseg.media.urls import display_name, url_scheme

HLS_SUFFIX = ".m3u8"


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One way to send a live stream.

    Attributes:
        name: its name in messages.
        muxer: FFmpeg's name of the container.
        audio: the audio codecs that are copied; others are dropped, which is logged.
        options: options of muxer and protocol.
        query: added to the URL's query, unless the URL sets these keys itself.
        by_the_clock: whether receivers play packets as they arrive, so that a file must be sent
            in real time.
    """

    name: str
    muxer: str
    audio: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    by_the_clock: bool = True


_MPEG_TS = {"flush_packets": "1", "muxdelay": "0", "muxpreload": "0"}
_TS_AUDIO = ("aac", "mp3", "mp2", "ac3", "eac3", "opus")
_RTMP = Protocol(
    name="RTMP",
    muxer="flv",
    audio=("aac", "mp3"),
    options={"flvflags": "no_duration_filesize", "flush_packets": "1"},
)
_RTSP = Protocol(
    name="RTSP",
    muxer="rtsp",
    audio=("aac", "opus", "mp3", "ac3", "pcm_mulaw", "pcm_alaw"),
    # Over TCP, so that a lost server is noticed and packets pass any router.
    options={"rtsp_transport": "tcp"},
)

PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {
        "rtsp": _RTSP,
        "rtsps": _RTSP,
        "rtmp": _RTMP,
        "rtmps": _RTMP,
        "udp": Protocol(
            name="MPEG-TS over UDP",
            muxer="mpegts",
            audio=_TS_AUDIO,
            options=_MPEG_TS,
            # Seven transport packets fill an Ethernet frame; larger ones would be fragmented.
            query={"pkt_size": "1316"},
        ),
        "tcp": Protocol(name="MPEG-TS over TCP", muxer="mpegts", audio=_TS_AUDIO, options=_MPEG_TS),
    }
)
"""Protocols by URL scheme."""

HLS = Protocol(
    name="HLS",
    muxer="hls",
    audio=("aac", "mp3", "ac3", "eac3"),
    by_the_clock=False,
)


def protocol_of(output: str) -> Protocol:
    """The protocol of a URL or an .m3u8 file; None if `PROTOCOLS` has none."""
    scheme = url_scheme(output)
    return HLS if scheme is None else PROTOCOLS[scheme]


def shown_output(output: str) -> str:
    """An output as shown to people: a URL without secrets such as RTMP's stream key."""
    scheme = url_scheme(output)
    if scheme is None:
        return output
    shown = display_name(output)
    if PROTOCOLS[scheme] is not _RTMP:
        return shown
    application, slash, key = shown.rpartition("/")
    return f"{application}/***" if slash and key and application.count("/") > 2 else shown


def with_query(url: str, protocol: Protocol) -> str:
    """Add the parameters that the protocol needs to the URL's query, unless present."""
    _, _, query = url.partition("?")
    present = {part.partition("=")[0] for part in query.split("&")}
    missing = [f"{key}={value}" for key, value in protocol.query.items() if key not in present]
    if not missing:
        return url
    return url + ("&" if query else "" if url.endswith("?") else "?") + "&".join(missing)
