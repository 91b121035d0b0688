"""Decode a video's packets into progressive pictures with presentation times."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from rtseg.media.streams import frame_rate
from rtseg.sources.deinterlace import Deinterlacer
from rtseg.sources.timestamps import Timeline

if TYPE_CHECKING:
    import av
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


class Decoder:
    """Decodes and deinterlaces one stream; each picture's time is later than the last.

    Args:
        video: the stream; its codec context is opened here.
        time_base: seconds per tick of the packets' times.
    """

    def __init__(self, video: VideoStream, time_base: Fraction) -> None:
        self._video = video
        self._timeline = Timeline(time_base, frame_rate(video))
        self._deinterlacer = Deinterlacer(time_base)
        self._is_damaged = False

    def pictures(self, packet: av.Packet[Any]) -> Iterator[tuple[VideoFrame, int]]:
        """Return the pictures that a packet completes, with their times in ticks.

        An empty packet ends the stream.
        """
        import av

        decoded: list[VideoFrame] = []
        try:
            decoded = self._video.codec_context.decode(packet if packet.size else None)
        except EOFError:
            pass  # It was drained before; a later packet may still complete a picture.
        except av.error.FFmpegError:
            # One packet is damaged: the decoder carries on with the next.
            self._is_damaged = True
        whole = [
            progressive for picture in decoded for progressive in self._deinterlacer.push(picture)
        ]
        if not packet.size:
            whole += self._deinterlacer.flush()
        for picture in whole:
            yield picture, self._timeline.place(picture)

    @property
    def jumped(self) -> bool:
        """Whether the clock was set back before the last picture."""
        return self._timeline.jumped

    def was_damaged(self) -> bool:
        """Whether a packet was damaged since the last call."""
        damaged, self._is_damaged = self._is_damaged, False
        return damaged
