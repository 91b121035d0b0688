"""Read what FFmpeg attaches to a decoded picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.video.frame import VideoFrame


def side_data(picture: VideoFrame, kind: str) -> bytes | None:
    """The content of one kind of side data; None if the picture has none.

    Args:
        kind: a name of `av.sidedata.sidedata.Type`, such as `DISPLAYMATRIX`.
    """
    # by name, since iterating yields the data in PyAV 18 and their kinds in later ones
    attached: Any = picture.side_data
    try:
        return bytes(attached[kind])
    except KeyError:
        return None
