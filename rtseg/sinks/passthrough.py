"""The streams that ride along in a video output, bit for bit."""

from __future__ import annotations

import os
from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from rtseg.errors import SinkError, listed
from rtseg.frames import Packet
from rtseg.media.info import StreamInfo
from rtseg.sinks.codecs import CONTAINERS

if TYPE_CHECKING:
    from av.container.output import OutputContainer

_OWN_TAGS = ("duration", "bps", "number_of_", "_statistics")
"""What Matroska's stream tags that describe the old file begin with."""


class PassthroughStreams:
    """Adds copies of streams to a container, and their packets at their times.

    Args:
        container: before its header is written.
        streams: of the source.
        output: what the output is called, and its suffix, in messages.

    Raises:
        SinkError: the container cannot hold one of them; names one that can.
    """

    def __init__(
        self, container: OutputContainer, streams: Iterable[StreamInfo], *, output: str, suffix: str
    ) -> None:
        self._container = container
        self._last_dts: dict[int, int] = {}
        self._copies: dict[int, Any] = {}
        for stream in streams:
            template: Any = stream.template
            try:
                copy = container.add_stream_from_template(template)
            except ValueError:
                raise SinkError(_cannot_hold(stream, output=output, suffix=suffix)) from None
            copy.metadata.update(
                (key, value)
                for key, value in template.metadata.items()
                if not key.lower().startswith(_OWN_TAGS)
            )
            copy.disposition = template.disposition
            self._copies[stream.index] = copy

    def __contains__(self, stream_index: object) -> bool:
        return stream_index in self._copies

    def mux(self, packet: Packet, *, shift_seconds: Fraction) -> None:
        """Write a packet, moved by a time, and leave it as it was for other sinks."""
        payload: Any = packet.payload
        before = (payload.pts, payload.dts, payload.duration, payload.time_base, payload.stream)
        shift = round(shift_seconds / payload.time_base)
        try:
            if payload.dts is not None:
                # A decoding time that does not increase ends the file; one tick is not heard.
                last = self._last_dts.get(packet.stream_index, payload.dts - 1)
                late = max(0, last + 1 - payload.dts)
                self._last_dts[packet.stream_index] = payload.dts + late
                shift += late
                payload.dts += shift
            if payload.pts is not None:
                payload.pts += shift
            payload.stream = self._copies[packet.stream_index]
            self._container.mux(payload)
        finally:
            payload.stream, payload.time_base = before[4], before[3]
            payload.pts, payload.dts, payload.duration = before[:3]


def _cannot_hold(stream: StreamInfo, *, output: str, suffix: str) -> str:
    able = [other for other, muxer in CONTAINERS.items() if _can_hold(muxer, stream)]
    instead = f"write {listed(able)} instead, or leave" if able else "leave"
    return (
        f"{output}: {suffix} cannot hold the {stream.codec} {stream.kind} of the input; "
        f"{instead} such streams out with --no-audio"
    )


def _can_hold(muxer: str, stream: StreamInfo) -> bool:
    import av

    template: Any = stream.template
    with av.open(os.devnull, "w", format=muxer) as trial:
        try:
            trial.add_stream_from_template(template)
        except ValueError:
            return False
    return True
