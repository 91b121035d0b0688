"""From the packets of a video to its whole pictures at their times."""

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
    """Decodes one stream, made progressive, each picture with a time that follows the last.

    Args:
        video: the stream; its codec context is opened here.
        time_base: of the packets' times, seconds a tick.
    """

    def __init__(self, video: VideoStream, time_base: Fraction) -> None:
        self._video = video
        self._timeline = Timeline(time_base, frame_rate(video))
        self._deinterlacer = Deinterlacer(time_base)
        self._is_damaged = False

    def pictures(self, packet: av.Packet[Any]) -> Iterator[tuple[VideoFrame, int]]:
        """What a packet completes, and when each is shown, in ticks. An empty packet ends it."""
        import av

        decoded: list[VideoFrame] = []
        try:
            decoded = self._video.codec_context.decode(packet if packet.size else None)
        except EOFError:
            pass  # It was drained before; what follows it may still hold a picture.
        except av.error.FFmpegError:
            # One damaged packet: the decoder goes on with the next, and so do we.
            self._is_damaged = True
        whole = [made for picture in decoded for made in self._deinterlacer.push(picture)]
        if not packet.size:
            whole += self._deinterlacer.flush()
        for picture in whole:
            yield picture, self._timeline.place(picture)

    @property
    def jumped(self) -> bool:
        """Whether the clock was set back before the last picture."""
        return self._timeline.jumped

    def was_damaged(self) -> bool:
        """Whether a packet was damaged since this was asked last."""
        damaged, self._is_damaged = self._is_damaged, False
        return damaged
