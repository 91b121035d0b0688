"""Tables as READMEs show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table that ends with a line break.

    Raises:
        ValueError: a row has another number of cells than there are headings.
    """
    lines = [headings, ["---"] * len(headings)]
    for row in rows:
        if len(row) != len(headings):
            raise ValueError(f"a row of {len(row)} cells under {len(headings)} headings: {row}")
        lines.append(row)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def share(value: float, *, digits: int = 4) -> str:
    """A number of 0..1 as tables show it; NaN is a class that does not occur."""
    return "absent" if value != value else f"{value:.{digits}f}"
