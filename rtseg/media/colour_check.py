"""Check whether a video's colours can be converted correctly."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rtseg.media.colour import colour_tags, unreadable_colour
from rtseg.media.dolby_vision import DolbyVision

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


def colour_problem(video: VideoStream, picture: VideoFrame, *, path: Path | None) -> str:
    """Say what would come out wrong and what to do about it; "" if nothing would.

    Args:
        video: the video stream.
        picture: its first picture.
        path: the file that it comes from, if any.
    """
    try:
        codec_tag = video.codec_context.codec_tag
    except UnicodeDecodeError:
        codec_tag = ""  # Not every tag consists of four letters.
    dolby = DolbyVision.of(picture, path=path, codec_tag=codec_tag)
    if dolby is not None and not dolby.has_base:
        return (
            f"it is Dolby Vision profile {dolby.profile}, whose colours only a Dolby decoder "
            "can convert; profiles 7 and 8, HDR10, HLG and SDR can be read; convert it to one "
            "of these"
        )
    return unreadable_colour(colour_tags(picture))
