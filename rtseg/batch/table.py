"""`results.parquet`: one row for each input of a batch."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rtseg.batch.results import TaskResult
from rtseg.batch.storage import open_storage
from rtseg.errors import SettingError

RESULTS = "results.parquet"


def table(results: Sequence[TaskResult]) -> bytes:
    """Write the table as a Parquet file."""
    import pyarrow as pa
    from pyarrow import parquet

    rows = []
    for result in results:
        row = result.plain()
        row["input"] = _text(row.pop("source"))
        row["message"] = _text(row["message"])
        for name in ("pixels", "checksums", "versions"):
            row[name] = list(row[name].items())
        rows.append(row)
    schema = pa.schema(
        [
            ("input", pa.string()),
            ("name", pa.string()),
            ("status", pa.string()),
            ("exit_code", pa.int32()),
            ("message", pa.string()),
            ("frames", pa.int64()),
            ("seconds", pa.float64()),
            ("faces", pa.int32()),
            ("face_frames", pa.int64()),
            ("pixels", pa.map_(pa.string(), pa.int64())),
            ("checksums", pa.map_(pa.string(), pa.string())),
            ("versions", pa.map_(pa.string(), pa.string())),
            ("attempts", pa.int32()),
        ]
    )
    buffer = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows, schema=schema), buffer)
    return buffer.getvalue()


def _text(name: str) -> str:
    """A file's name may hold bytes that are no text; they are written as \\xNN."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def read_results(folder: str) -> list[dict[str, object]]:
    """Read the rows of a batch's table; maps are dicts.

    Raises:
        SettingError: there is no table.
    """
    from pyarrow import parquet

    data = open_storage(folder).read(RESULTS)
    if data is None:
        raise SettingError(f"{folder}: holds no {RESULTS}; no batch has run there")
    rows: list[dict[str, object]] = parquet.read_table(io.BytesIO(data)).to_pylist(
        maps_as_pydicts="strict"
    )
    return rows
