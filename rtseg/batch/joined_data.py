"""Join JSON lines, COCO annotations and numbered pictures of several pieces."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rtseg.batch.joined_video import close_used_up, next_of
from rtseg.frames import Frame, Picture, Segmentation
from rtseg.media.info import SourceInfo
from rtseg.sinks.base import Outcome, Sink
from rtseg.sinks.coco import CocoSink
from rtseg.sinks.disk_space import cannot_write
from rtseg.sinks.partial_file import PartialFile


class JoinedLinesSink(Sink):
    """The pieces' JSON lines, with the whole video's numbers and times."""

    wants_pixels = False

    def __init__(self, output: str, files: Sequence[Path]) -> None:
        self._output = output
        self._part = PartialFile(output, overwrite=True)
        self._lines = self._read(files)
        self._file: Any = None
        self._frames = 0

    def _read(self, files: Sequence[Path]) -> Iterator[dict[str, Any]]:
        for number, file in enumerate(files):
            with file.open(encoding="utf-8") as lines:
                for index, line in enumerate(lines):
                    if index or not number:  # the header is the first piece's
                        yield json.loads(line)

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Create the file."""
        self._part.claim(info.read_files)
        self._file = self._part.path.open("w", encoding="utf-8", newline="\n")

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Write the next line as this frame's."""
        self._part.check()
        if self._frames == 0:
            self._write(next_of(self._lines, self._output))
        line = next_of(self._lines, self._output)
        line |= {
            "index": frame.index,
            "pts": frame.pts,
            "seconds": float(frame.pts_seconds),
        }
        self._write(line)
        self._frames += 1

    def _write(self, line: dict[str, Any]) -> None:
        try:
            self._file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
        except OSError as error:
            raise cannot_write(self._output, error) from None

    def close(self, outcome: Outcome) -> None:
        """Finish the file."""
        if self._file is not None:
            self._file.close()
        if self._frames == 0:
            next(self._lines, None)  # the header, which goes before the first line
        settle = functools.partial(self._part.settle, frames=self._frames)
        close_used_up(settle, outcome, self._lines, self._output)


class JoinedCocoSink(CocoSink):
    """Like `CocoSink`, with the pieces' images and annotations."""

    def __init__(self, output: str, files: Sequence[Path]) -> None:
        super().__init__(output, overwrite=True)
        self._pieces = self._read(files)
        self._kept_categories: list[dict[str, Any]] = []

    def _read(self, files: Sequence[Path]) -> Iterator[list[dict[str, Any]]]:
        """Yield each image's annotations, one piece in memory at a time."""
        for file in files:
            data = json.loads(file.read_text("utf-8"))
            self._kept_categories = self._kept_categories or data["categories"]
            of_image: dict[int, list[dict[str, Any]]] = {i["id"]: [] for i in data["images"]}
            for annotation in data["annotations"]:
                of_image[annotation["image_id"]].append(annotation)
            yield from of_image.values()

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Write the annotations of the next image as this frame's."""
        annotations = next_of(self._pieces, self._output)
        self._write_image(
            frame,
            lambda image_id, first_id: [
                annotation | {"id": first_id + number, "image_id": image_id}
                for number, annotation in enumerate(annotations)
            ],
        )

    def close(self, outcome: Outcome) -> None:
        """Finish the file."""
        close_used_up(super().close, outcome, self._pieces, self._output)

    def _categories(self) -> list[dict[str, Any]]:
        return self._kept_categories


class JoinedPicturesSink(Sink):
    """The pieces' numbered pictures, copied with the whole video's numbers.

    Args:
        pattern: the whole video's pictures, such as `a/%06d.png`.
        folders: the pieces' folders, in order.
    """

    wants_pixels = False

    def __init__(self, pattern: str, folders: Sequence[Path]) -> None:
        self._pattern = pattern
        self._files = (file for folder in folders for file in sorted(folder.iterdir()))
        self._count = 0

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Create the folder."""
        folder = Path(self._pattern).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(folder, error) from None

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Copy the next picture."""
        file = next_of(self._files, self._pattern)
        try:
            shutil.copyfile(file, self._pattern % self._count)
        except OSError as error:
            raise cannot_write(self._pattern, error) from None
        self._count += 1

    def close(self, outcome: Outcome) -> None:
        """Check that no picture is left over."""
        close_used_up(lambda _outcome: None, outcome, self._files, self._pattern)
