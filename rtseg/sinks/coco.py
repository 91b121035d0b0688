"""Write a run's masks as one file of COCO annotations, in run-length encoding."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import IO, Any

from rtseg.errors import SinkError
from rtseg.frames import Frame, Picture, Segmentation
from rtseg.labels import LabelSet
from rtseg.media.info import SourceInfo
from rtseg.results.coco import coco_annotations, coco_categories
from rtseg.sinks.base import Outcome, Sink
from rtseg.sinks.disk_space import cannot_write
from rtseg.sinks.partial_file import PartialFile


class CocoSink(Sink):
    """Writes a COCO data set: `annotations`, then `images`, `categories` and `info`.

    Each frame is an image with an `id` counting from 1; `frame` and `seconds` identify it.
    Annotations are written immediately, so only a few numbers per frame are kept in memory.

    Args:
        output: the file's path.
        overwrite: whether a file there may be replaced.
    """

    wants_pixels = False

    def __init__(self, output: str, *, overwrite: bool = False) -> None:
        self._output = output
        self._part = PartialFile(output, overwrite=overwrite)
        self._file: IO[str] | None = None
        self._info: SourceInfo | None = None
        self._label_set: LabelSet | None = None
        self._images: list[dict[str, Any]] = []
        self._annotations = 0

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Create the file. See `Sink.open`."""
        self._part.claim(info.read_files)
        self._info = info
        try:
            self._file = self._part.path.open("w", encoding="utf-8", newline="\n")
            self._file.write('{"annotations": [')
        except OSError as error:
            raise cannot_write(self._output, error) from None

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Write the frame's annotations. See `Sink.write`."""
        self._label_set = segmentation.label_set
        self._write_image(
            frame,
            lambda image_id, first_id: coco_annotations(
                segmentation, image_id=image_id, first_id=first_id
            ),
        )

    def _write_image(
        self, frame: Frame, annotate: Callable[[int, int], Iterable[dict[str, Any]]]
    ) -> None:
        """Write one image, and its annotations as made from its id and their first id."""
        if self._file is None or self._info is None:
            raise SinkError(f"{self._output}: is not open")
        self._part.check()
        image_id = len(self._images) + 1
        self._images.append(
            {
                "id": image_id,
                "file_name": self._info.name,
                "width": frame.width,
                "height": frame.height,
                "frame": frame.index,
                "seconds": float(frame.pts_seconds),
            }
        )
        lines = [json.dumps(one) for one in annotate(image_id, self._annotations + 1)]
        if not lines:
            return
        before = ",\n" if self._annotations else "\n"
        self._annotations += len(lines)
        try:
            self._file.write(before + ",\n".join(lines))
        except OSError as error:
            raise cannot_write(self._output, error) from None

    def close(self, outcome: Outcome) -> None:
        """Write the images and categories, and finish the file. See `Sink.close`."""
        file, self._file = self._file, None
        try:
            if file is not None:
                with file:
                    file.write(f"\n],\n{self._rest()}")
        except OSError as error:
            raise cannot_write(self._output, error) from None
        self._part.settle(outcome, frames=len(self._images))

    def _rest(self) -> str:
        """The remaining keys of the file, up to its last brace."""
        rest = {
            "images": self._images,
            "categories": self._categories(),
            "info": {"description": "" if self._info is None else self._info.name},
        }
        return json.dumps(rest, ensure_ascii=False)[1:] + "\n"

    def _categories(self) -> list[dict[str, Any]]:
        return [] if self._label_set is None else coco_categories(self._label_set)

    def describe(self) -> str:
        """The file's path."""
        return self._output
