"""The command that fills the tables of docs/speed.md."""

from pathlib import Path

import pytest

from tests.benchmarks.speed_page import HERE, PARTS, ratio, table, with_block

PAGE = "A\n<!-- measured: one -->\nold\n<!-- end -->\nB\n<!-- measured: two -->\n<!-- end -->\nC\n"


def test_a_block_is_replaced_alone() -> None:
    once = with_block(PAGE, "one", r"new \1 {x}")
    assert once.startswith("A\n<!-- measured: one -->\n\nnew \\1 {x}\n\n<!-- end -->\nB\n")
    assert once.endswith("<!-- measured: two -->\n<!-- end -->\nC\n")
    assert with_block(once, "one", r"new \1 {x}") == once


@pytest.mark.parametrize("page", ["no marks", PAGE + PAGE])
def test_missing_or_repeated_marks_are_an_error(page: str) -> None:
    with pytest.raises(ValueError, match=r"marks of 'one' [02] times"):
        with_block(page, "one", "new")


def test_every_part_has_its_place_on_the_page() -> None:
    page = (HERE / Path("docs/speed.md")).read_text("utf-8")
    for name in PARTS:
        assert with_block(page, name, "new") != page


def test_ratios_are_those_of_the_rounds() -> None:
    assert ratio([10.0, 30.0, 8.0], [5.0, 10.0, 8.0]) == "2.00"
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
