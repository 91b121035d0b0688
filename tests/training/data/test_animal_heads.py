"""Heads of animals that a finder is shown as what is no face."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data import base
from training.data.animal_heads import animal_heads
from training.data.base import read_split
from training.data.percent_boxes import read_percent_boxes


def test_the_heads_are_in_train_pictures_alone() -> None:
    heads = read_percent_boxes("backgrounds-heads")
    assert len(heads) > 80
    assert set(heads) <= set(read_split("backgrounds-train"))


def test_each_listed_head_becomes_a_bust_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "SPLITS", tmp_path)
    (tmp_path / "backgrounds-train.txt").write_text("cat\nlynx\n")
    (tmp_path / "backgrounds-heads.txt").write_text("lynx 10 10 40 70\nlynx 60 20 90 80\n")
    (tmp_path / "backgrounds").mkdir()
    for name in ("cat", "lynx"):
        picture = np.zeros((100, 200, 3), np.uint8)
        cv2.imwrite(str(tmp_path / "backgrounds" / f"{name}.jpg"), picture)
    heads = animal_heads(tmp_path)
    for head, middle in zip(heads, [(50, 40), (150, 50)], strict=True):
        assert head.outline.mean(0) == pytest.approx(middle, abs=3)
    assert not any(head.can_be_cut_out for head in heads)
