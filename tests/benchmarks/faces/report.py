"""The result of a measurement: a table for people, and the same numbers as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from training.evaluation.markdown import table

Cell = str | float | int


@dataclass(frozen=True, kw_only=True)
class Report:
    """One table.

    Attributes:
        name: the measurement's name.
        title: what it shows, in one line.
        headings, rows: the table.
        notes: remarks that apply to the whole table, one line each.
    """

    name: str
    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()

    def markdown(self) -> str:
        """Format as Markdown."""
        rows = [[_text(cell) for cell in row] for row in self.rows]
        parts = [f"### {self.title}\n", table(self.headings, rows)]
        parts += [f"{note}\n" for note in self.notes]
        return "\n".join(parts)

    def data(self) -> dict[str, object]:
        """Convert to JSON values."""
        rows = [dict(zip(self.headings, row, strict=True)) for row in self.rows]
        return {"title": self.title, "rows": rows, "notes": list(self.notes)}


def percent(share: float, *, digits: int = 1) -> str:
    """Format a share of 0..1 as a percentage."""
    return "–" if share != share else f"{100 * share:.{digits}f}%"


def _text(cell: Cell) -> str:
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)
