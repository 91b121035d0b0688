"""Format Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Format a Markdown table that ends with a line break.

    Raises:
        ValueError: a row's number of cells differs from the number of headings.
    """
    lines = [headings, ["---"] * len(headings)]
    for row in rows:
        if len(row) != len(headings):
            raise ValueError(f"a row of {len(row)} cells under {len(headings)} headings: {row}")
        lines.append(row)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def share(value: float, *, digits: int = 4) -> str:
    """Format a number 0..1; NaN means a class that does not occur."""
    return "absent" if value != value else f"{value:.{digits}f}"
