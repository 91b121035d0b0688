"""Encode H.264 for live viewers: no delay, and viewers can join at any time."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from rtseg.errors import SettingError, SinkError, listed
from rtseg.frames import Picture
from rtseg.media.colour import BT709_MATRIX, LIMITED_RANGE
from rtseg.media.info import ColourTags
from rtseg.settings import EncodeSettings
from rtseg.sinks.codecs import CODECS
from rtseg.sinks.yuv import YuvConverter

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext

TIME_BASE = Fraction(1, 90_000)
"""The time base of every packet, from which RTP, MPEG-TS and RTMP times are derived."""

LONGEST_GROUP_SECONDS = 2.0
"""Seconds between key frames at most: the longest wait for a viewer who joins."""

COLOUR = ColourTags(primaries=1, transfer=1, matrix=BT709_MATRIX, full_range=False)
"""BT.709, tagged in the stream, since browsers and players disagree on untagged video."""

_BITS_A_PIXEL = 6.5
_SMALLEST_BITRATE = 500_000


@dataclass(frozen=True, kw_only=True)
class EncodedPicture:
    """One encoded picture.

    Attributes:
        data: Annex B NAL units; a key frame includes the parameter sets.
        ticks: its time in ticks of TIME_BASE.
        is_key: whether a decoder can start here.
    """

    data: bytes
    ticks: int
    is_key: bool


class LiveEncoder:
    """Encodes pictures one by one without delay.

    No B-frames, no lookahead, the baseline profile at the default preset. The bit rate is capped at
    6.5 bits per pixel and second (6 Mbit/s for 1280x720), so that a scene change does not stall a
    slow connection.

    Args:
        width, height: picture size in pixels; odd sides are padded by repeating the last row or
            column.
        frame_rate: approximate frames per second, for rate control.
        settings: crf and preset; the codec must be h264 or auto.
        threads: encoder threads; 0 lets the encoder choose.

    Raises:
        SettingError: the codec is not H.264, or the crf or preset is invalid for it.
        SinkError: the encoder cannot be opened.
    """

    def __init__(
        self,
        *,
        width: int,
        height: int,
        frame_rate: Fraction | None = None,
        settings: EncodeSettings | None = None,
        threads: int = 0,
    ) -> None:
        settings = settings or EncodeSettings()
        check_live_settings(settings)
        self.width, self.height = width + width % 2, height + height % 2
        self._size = (width, height)
        rate = float(frame_rate or 30)
        self._frame_seconds = 1 / rate
        self._context = self._open(rate, settings, threads)
        self._converter = YuvConverter(
            pixel_format="yuv420p",
            width=self.width,
            height=self.height,
            colour=COLOUR,
            picture_size=(width, height),
        )
        self._last_ticks: int | None = None
        self._key_ticks: int | None = None

    @property
    def parameter_sets(self) -> bytes:
        """The parameter sets that a decoder needs before the first picture, in Annex B."""
        return bytes(self._context.extradata or b"")

    def encode(
        self, picture: Picture, seconds: float | Fraction, *, key: bool = False
    ) -> EncodedPicture | None:
        """Encode one picture.

        Args:
            picture: RGB, of the announced size.
            seconds: its time. A picture that is not later than the last is dropped.
            key: whether to force a key frame.

        Returns:
            The encoded picture, or None if it was dropped.

        Raises:
            SinkError: its size is wrong, or the encoder failed.
        """
        import av
        from av.video.frame import PictureType

        height, width = picture.shape[:2]
        if (width, height) != self._size:
            raise SinkError(
                f"a picture of {width}x{height} in a live stream of "
                f"{self._size[0]}x{self._size[1]}; all must have the same size"
            )
        ticks = round(seconds / TIME_BASE)
        if self._last_ticks is not None and ticks <= self._last_ticks:
            return None
        try:
            frame = self._converter.convert(picture)
            frame.pts, frame.time_base = ticks, TIME_BASE
            if key or self._is_key_due(ticks):
                frame.pict_type = PictureType.I
            packets = self._context.encode(frame)
        except (av.error.FFmpegError, ValueError) as error:
            raise SinkError(f"the live encoder failed: {error}") from None
        self._last_ticks = ticks
        if not packets:
            return None
        is_key = any(packet.is_keyframe for packet in packets)
        if is_key:
            self._key_ticks = ticks
        return EncodedPicture(
            data=b"".join(bytes(packet) for packet in packets), ticks=ticks, is_key=is_key
        )

    def _is_key_due(self, ticks: int) -> bool:
        """Whether the next picture would come too late for the next key frame."""
        if self._key_ticks is None or self._last_ticks is None:
            return True
        step = max(ticks - self._last_ticks, round(self._frame_seconds / TIME_BASE))
        return float((ticks + step - self._key_ticks) * TIME_BASE) > LONGEST_GROUP_SECONDS

    def _open(self, rate: float, settings: EncodeSettings, threads: int) -> VideoCodecContext:
        import av
        from av.codec.context import Flags

        default_crf = (CODECS["h264"].crf or (0, 23, 51))[1]
        bitrate = max(_SMALLEST_BITRATE, round(_BITS_A_PIXEL * self.width * self.height))
        context: Any = av.CodecContext.create("libx264", "w")
        context.width, context.height, context.pix_fmt = self.width, self.height, "yuv420p"
        context.time_base = TIME_BASE
        context.framerate = Fraction(rate).limit_denominator(1001)
        context.max_b_frames = 0
        context.thread_count = threads
        context.flags |= Flags.global_header
        context.color_primaries, context.color_trc = COLOUR.primaries, COLOUR.transfer
        context.colorspace, context.color_range = COLOUR.matrix, LIMITED_RANGE
        context.options = {
            "preset": settings.preset or "ultrafast",
            "tune": "zerolatency",
            "crf": str(default_crf if settings.crf is None else settings.crf),
            "maxrate": str(bitrate),
            "bufsize": str(bitrate // 2),
            "forced-idr": "1",
            # Key frames are forced by time; each includes the parameter sets.
            "g": "100000",
            "x264-params": "repeat-headers=1:annexb=1",
        }
        try:
            context.open()
        except (av.error.FFmpegError, ValueError) as error:
            raise SinkError(f"the live encoder cannot be opened: {error}") from None
        return context  # type: ignore[no-any-return]


def check_live_settings(settings: EncodeSettings) -> None:
    """Reject settings that a live H.264 stream cannot use.

    Raises:
        SettingError: the codec is not H.264, or the crf or preset is invalid for it.
    """
    if settings.codec not in ("auto", "h264"):
        raise SettingError(
            f"`codec`: live streams are H.264, which every receiver reads; found "
            f"{settings.codec}; allowed: auto, h264"
        )
    codec = CODECS["h264"]
    low, _, high = codec.crf or (0, 23, 51)
    if settings.crf is not None and not low <= settings.crf <= high:
        raise SettingError(
            f"`crf`: {settings.crf} is out of range for h264; allowed: {low} to {high}"
        )
    if settings.preset is not None and settings.preset not in codec.presets:
        raise SettingError(
            f"`preset`: {settings.preset!r} is unknown to h264; allowed: {listed(codec.presets)}"
        )
