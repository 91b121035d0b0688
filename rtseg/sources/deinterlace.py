"""Deinterlace video: models were not trained on combing artefacts."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.video.frame import VideoFrame


class Deinterlacer:
    """Passes pictures through unchanged until one is interlaced, then through FFmpeg's bwdif.

    One picture comes out for each that goes in, at its own time; pictures not marked as interlaced
    come out unchanged. The filter holds one picture back until `flush`.

    Args:
        time_base: seconds per tick of the pictures' times.
    """

    def __init__(self, time_base: Fraction) -> None:
        self._time_base = time_base
        self._graph: Any = None
        self._shape: tuple[object, ...] = ()

    def push(self, picture: VideoFrame) -> list[VideoFrame]:
        """Add one picture; return the finished ones in order."""
        shape = (picture.width, picture.height, picture.format.name)
        done: list[VideoFrame] = []
        if self._graph is not None and shape != self._shape:
            done = self.flush()
        if self._graph is None:
            if not picture.interlaced_frame:
                return [*done, picture]
            self._graph, self._shape = self._open(picture), shape
        self._graph.vpush(picture)
        return done + self._pull()

    def flush(self) -> list[VideoFrame]:
        """Return the pictures held back, and start afresh."""
        if self._graph is None:
            return []
        self._graph.vpush(None)
        done = self._pull()
        self._graph = None
        return done

    def _open(self, picture: VideoFrame) -> Any:
        from av.filter import Graph

        graph = Graph()
        source = graph.add_buffer(
            width=picture.width,
            height=picture.height,
            format=picture.format,
            time_base=self._time_base,
        )
        deinterlace = graph.add("bwdif", "mode=send_frame:deint=interlaced")
        source.link_to(deinterlace)
        deinterlace.link_to(graph.add("buffersink"))
        graph.configure()
        return graph

    def _pull(self) -> list[VideoFrame]:
        import av

        done: list[VideoFrame] = []
        while True:
            try:
                picture = self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return done
            if picture.pts is not None and picture.time_base:
                # The filter counts in half ticks.
                scale = picture.time_base / self._time_base
                picture.pts = round(picture.pts * scale)
                picture.duration = round(picture.duration * scale)
                picture.time_base = self._time_base
            done.append(picture)
