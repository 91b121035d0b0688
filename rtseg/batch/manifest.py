"""Manifests: tables or texts that name the inputs of a batch.

A manifest is a text file with one input per line, or a CSV or Parquet table with a column `input`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from rtseg.errors import SourceError

COLUMN = "input"
"""The column of a manifest that is a table."""

MANIFESTS = (".csv", ".parquet", ".txt")


def manifest_lines(path: Path, *, name: str) -> Iterable[str | None]:
    """Read what each line or row names; None for an empty cell.

    Args:
        path: the file to read.
        name: its name for people.

    Raises:
        SourceError: it cannot be read, or has no column `input`.
    """
    try:
        if path.suffix.lower() == ".parquet":
            return _parquet_column(path, name)
        if path.suffix.lower() == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as file:
                rows = csv.DictReader(file)
                _check_columns(name, rows.fieldnames or ())
                return [row.get(COLUMN) for row in rows]
        return path.read_text("utf-8-sig").splitlines()
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        raise SourceError(f"{name}: cannot be read: {reason}") from None
    except csv.Error as error:
        raise SourceError(f"{name}: is not a CSV file: {error}") from None
    except UnicodeDecodeError:
        raise SourceError(f"{name}: a manifest must be text in UTF-8") from None


def _parquet_column(path: Path, name: str) -> list[str | None]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
    except pa.ArrowException as error:
        first = str(error).splitlines()[0]
        raise SourceError(f"{name}: is not a Parquet file: {first}") from None
    _check_columns(name, table.column_names)
    return [None if value is None else str(value) for value in table[COLUMN].to_pylist()]


def _check_columns(name: str, names: Iterable[str]) -> None:
    columns = tuple(names)
    if COLUMN not in columns:
        raise SourceError(
            f"{name}: a manifest needs a column {COLUMN!r}; found {', '.join(columns) or 'none'}"
        )
