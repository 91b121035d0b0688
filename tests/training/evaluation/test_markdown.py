"""Formatting of tables."""

from __future__ import annotations

import pytest

from training.evaluation.markdown import share, table


def test_a_table_needs_one_cell_per_heading() -> None:
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"
    with pytest.raises(ValueError, match="1 cells under 2 headings"):
        table(["a", "b"], [["1"]])


def test_absent_classes_are_marked() -> None:
    assert share(0.5) == "0.5000"
    assert share(2 / 3, digits=2) == "0.67"
    assert share(float("nan")) == "absent"
