"""The files of an HLS output: a playlist and its segments."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from pathlib import Path

from rtseg.errors import OutputExistsError, SinkError
from rtseg.sinks.disk_space import DiskSpace, cannot_write
from rtseg.system.files import FileId, file_id


class HlsFolder:
    """An .m3u8 file and the segments beside it. Existing segments are never overwritten.

    Args:
        output: the playlist's path.
        overwrite: whether a playlist there may be replaced; its segments stay.
    """

    def __init__(self, output: str, *, overwrite: bool) -> None:
        self._playlist = Path(output)
        self._overwrite = overwrite
        self._place = DiskSpace(self._playlist.parent, output=output)

    def claim(self, inputs: AbstractSet[FileId] = frozenset()) -> None:
        """Check that the output may be created, and make its folder.

        Args:
            inputs: the files that the run reads (`SourceInfo.read_files`).

        Raises:
            OutputExistsError, SinkError, DiskFullError: as for other outputs.
        """
        if self._playlist.is_dir():
            raise SinkError(f"{self._playlist}: is a folder; a file's name is needed")
        if file_id(self._playlist) in inputs:
            raise SinkError(
                f"{self._playlist}: is the input itself, which is never replaced; give another "
                "name for the output"
            )
        if self._playlist.exists() and not self._overwrite:
            raise OutputExistsError(f"{self._playlist} exists; `overwrite` replaces it")
        try:
            self._playlist.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(self._playlist, error) from None
        self._place.check()

    def check(self) -> None:
        """Check, at most once per second, that writing can continue. See `DiskSpace.check`."""
        self._place.check()

    def options(self, *, is_live: bool, again: bool) -> dict[str, str]:
        """The muxer's options: keep all segments of a file, the last twelve seconds of a camera.

        Args:
            is_live: whether to delete old segments.
            again: whether to continue this run's playlist after reconnecting.
        """
        flags = ["independent_segments", "temp_file"]
        if is_live:
            flags.append("delete_segments")
        if again:
            flags += ["append_list", "discont_start"]
        stem = self._playlist.stem.replace("%", "%%")
        return {
            # Segments end at the next key frame, which is less than two seconds away.
            "hls_time": "1.5",
            "hls_list_size": "6" if is_live else "0",
            "hls_flags": "+".join(flags),
            "hls_segment_filename": str(self._playlist.parent / f"{stem}-%06d.ts"),
            "start_number": str(self._first_free()),
            **({} if is_live else {"hls_playlist_type": "event"}),
        }

    def _first_free(self) -> int:
        """One more than the highest number among existing segments of this name."""
        segment_name = re.compile(re.escape(self._playlist.stem) + r"-(\d+)\.ts(\.tmp)?")
        segments = [segment_name.fullmatch(path.name) for path in self._playlist.parent.iterdir()]
        return max((int(match[1]) + 1 for match in segments if match), default=0)
