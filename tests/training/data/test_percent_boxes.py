"""Lists of boxes in percent: read, and refused where a line is not one."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtseg.errors import SourceError
from training.data.percent_boxes import PercentBox, read_percent_boxes


def test_a_picture_may_have_several_boxes_and_a_roll(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a 10 20 30 40\nb 1 2 3 4 -90\na -5 0 50 110\n")
    assert read_percent_boxes("list", folder=tmp_path) == {
        "a": [
            PercentBox(left=10, top=20, right=30, bottom=40),
            PercentBox(left=-5, top=0, right=50, bottom=110),
        ],
        "b": [PercentBox(left=1, top=2, right=3, bottom=4, roll_degrees=-90)],
    }


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Frame00001 1 2 3",
        "Frame00001 1 2 3 four",
        "Frame00001 30 20 10 40",
        "Frame00001 10 40 30 20",
        "Frame00001 1 9 3 14 5 6",
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "profiles.txt").write_text(f"Frame00002 10 20 30 40 -90\n{line}\n")
    with pytest.raises(SourceError, match=rf"profiles\.txt: line 2 .*'{line}'"):
        read_percent_boxes("profiles", folder=tmp_path)


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.txt: cannot be read"):
        read_percent_boxes("none", folder=tmp_path)


def test_the_ellipse_fills_its_box() -> None:
    outline = PercentBox(left=10, top=-20, right=60, bottom=80).ellipse(width=300, height=200)
    assert outline.min(0) == pytest.approx((30, -40))
    assert outline.max(0) == pytest.approx((180, 160))
