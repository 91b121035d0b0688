"""Complete the names of a run's outputs and make their sinks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from rtseg.destination import (
    coco_destination,
    is_folder,
    labels_destination,
    records_destination,
    video_destination,
)
from rtseg.settings import (
    EncodeSettings,
    ModelSettings,
    StreamSettings,
)
from rtseg.sinks import open_sink
from rtseg.sinks.base import Sink
from rtseg.sinks.coco import CocoSink
from rtseg.sinks.json_lines import JsonLinesSink
from rtseg.sinks.labels.alpha import AlphaBits, open_alpha_sink
from rtseg.sinks.labels.images import open_labels_sink
from rtseg.sources.base import Source
from rtseg.system.files import unused_path
from rtseg.system.threads import shares_processor

Location = str | Path

DataKind = Literal["labels", "records", "coco"]
"""What an output of data holds: label ids, JSON lines, COCO annotations."""


def destinations(
    source: Location | int | Source,
    output: Location | Sink | None,
    labels: Location | None,
    records: Location | None,
    coco: Location | None,
    *,
    encode: EncodeSettings,
    real_time: bool,
    is_lossless: bool,
) -> tuple[Location | Sink | None, Location | None, Location | None, Location | None]:
    """Complete outputs that are folders: `out/` becomes `out/clip.mp4`."""
    name = source.info.name if isinstance(source, Source) else str(source)
    in_folder = False
    if output is not None and not isinstance(output, Sink):
        in_folder = is_folder(str(output))
        output = video_destination(str(output), source=name, encode=encode, is_lossless=is_lossless)
        if in_folder and real_time and not encode.overwrite:
            output = unused_path(Path(output))  # one recording after another
    if labels is not None:
        labels = data_destination("labels", str(labels), source=name, in_folder=in_folder)
    if records is not None:
        records = data_destination("records", str(records), source=name)
    if coco is not None:
        coco = data_destination("coco", str(coco), source=name)
    return output, labels, records, coco


def data_destination(kind: DataKind, output: str, *, source: str, in_folder: bool = False) -> str:
    """Complete an output of data that is a folder: `out/` becomes `out/clip.jsonl`.

    Args:
        kind: what it holds.
        output: as given.
        source: the input, which a file in a folder is named after.
        in_folder: whether the view goes into a folder; see `labels_destination`.
    """
    if kind == "labels":
        return labels_destination(output, source=source, in_folder=in_folder)
    if kind == "records":
        return records_destination(output, source=source)
    return coco_destination(output, source=source)


def data_sink(kind: DataKind, output: str, *, overwrite: bool) -> Sink:
    """Make the sink for an output of data.

    Raises:
        SettingError: the name is a URL, or its suffix cannot hold such data.
    """
    if kind == "labels":
        return open_labels_sink(output, overwrite=overwrite)
    if kind == "records":
        return JsonLinesSink(output, overwrite=overwrite)
    return CocoSink(output, overwrite=overwrite)


def open_sinks(
    output: Location | Sink | None,
    labels: Location | None,
    records: Location | None,
    coco: Location | None,
    *,
    alpha: Sequence[str] | None,
    alpha_bits: AlphaBits,
    encode: EncodeSettings,
    model: ModelSettings,
    reconnect: StreamSettings,
) -> list[Sink]:
    """Make the sinks of a run's outputs, closed, in the order in which they are written."""
    sinks: list[Sink] = []
    if isinstance(output, Sink):
        sinks.append(output)
    elif output is not None and alpha is not None:
        sinks.append(
            open_alpha_sink(str(output), classes=alpha, bits=alpha_bits, overwrite=encode.overwrite)
        )
    elif output is not None:
        sinks.append(video_sink(str(output), encode=encode, model=model, reconnect=reconnect))
    data: dict[DataKind, Location | None] = {"labels": labels, "records": records, "coco": coco}
    for kind, place in data.items():
        if place is not None:
            sinks.append(data_sink(kind, str(place), overwrite=encode.overwrite))
    return sinks


def video_sink(
    output: str,
    *,
    encode: EncodeSettings,
    model: ModelSettings,
    reconnect: StreamSettings | None = None,
) -> Sink:
    """Make the sink for an output, whose encoder shares the processor with the network.

    Raises:
        SettingError: as for `open_sink`.
    """
    return open_sink(
        output,
        settings=encode,
        stream=reconnect,
        threads=model.threads,
        shared=shares_processor(model),
    )
