"""The report of a finished run."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from rtseg.errors import SettingError, SinkError
from rtseg.labels import HELEN, IGNORED, LabelSet
from training.data.base import Sample
from training.evaluation.report import (
    CELL,
    coloured,
    contact_sheet,
    draw_confusion,
    draw_curves,
    draw_predictions,
    read_log,
    results_table,
    scores,
)

ABC = LabelSet(
    name="abc",
    names=("a", "b", "c"),
    colours=((0, 0, 0), (255, 0, 0), (0, 0, 255)),
    groups={"bc": (1, 2)},
)
# truth a: 8 correct, 2 as b; truth b: 1 as a, 3 correct; c is in neither
MATRIX = np.array([[8, 2, 0], [1, 3, 0], [0, 0, 0]], np.int64)


def test_scores_equal_values_computed_by_hand() -> None:
    metrics = scores(MATRIX, ABC)
    assert metrics["pixel-accuracy"] == pytest.approx(11 / 14)
    assert metrics["a"] == pytest.approx(16 / 19)
    assert metrics["b"] == pytest.approx(6 / 9)
    assert np.isnan(metrics["c"])
    assert metrics["bc"] == pytest.approx(6 / 9)
    assert metrics["mean-iou"] == pytest.approx((8 / 11 + 3 / 6) / 2)  # absent classes do not count
    assert metrics["mean-f1"] == pytest.approx((16 / 19 + 6 / 9) / 2)
    assert metrics["foreground-f1"] == pytest.approx(6 / 9)


def test_the_table_shows_ours_beside_the_published_figure() -> None:
    table = results_table(MATRIX, ABC, {"b": 0.7, "mean-iou": 0.6544})
    assert "| b | 0.6667 | 0.5000 | 0.7000 |" in table
    assert "| a | 0.8421 | 0.7273 |  |" in table
    assert "| c | absent | absent |  |" in table
    assert "| mean-iou | 0.6136 | 0.6544 |" in table
    widths = {line.count("|") for line in table.splitlines() if line}
    assert widths == {5, 4}


def test_helens_groups_pool_ids() -> None:
    matrix = np.zeros((11, 11), np.int64)
    matrix[4, 5] = 10  # the wrong eye is still an eye
    matrix[5, 5] = 30
    matrix[4, 4] = 20
    metrics = scores(matrix, HELEN)
    assert metrics["eyes"] == 1.0
    assert metrics["left-eye"] == pytest.approx(40 / 50)
    assert metrics["parts"] == 1.0


class Two:
    names = ("a", "b")
    label_set = ABC

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Sample:
        labels = np.full((20, 40), index, np.uint8)
        return Sample(name="x", image=np.full((20, 40, 3), 200, np.uint8), labels=labels)


def test_a_contact_sheet_shows_image_truth_and_prediction(tmp_path: Path) -> None:
    path = tmp_path / "predictions.png"
    draw_predictions(lambda images: [np.full((20, 40), 2, np.uint8) for _ in images], Two(), path)
    sheet = cv2.imread(str(path))[:, :, ::-1]
    row, step = 30, CELL + 4
    assert sheet.shape == (2 * (CELL // 2 + 4), 3 * step, 3)
    second = sheet.shape[0] // 2 + row
    assert sheet[row, 50].tolist() == [200, 200, 200]
    assert sheet[row, step + 50].tolist() == [0, 0, 0]
    assert sheet[second, step + 50].tolist() == [255, 0, 0]
    assert sheet[second, 2 * step + 50].tolist() == [0, 0, 255]
    with pytest.raises(SinkError, match="cannot be written"):
        draw_predictions(
            lambda images: [np.zeros((20, 40), np.uint8) for _ in images],
            Two(),
            tmp_path / "no" / "folder.png",
        )


def test_ignored_pixels_are_grey_and_tall_pictures_fit() -> None:
    ids = np.array([[0, 1, 2, IGNORED]], np.uint8)
    assert coloured(ids, ABC)[0, 3].tolist() == [96, 96, 96]
    image, labels = np.zeros((90, 30, 3), np.uint8), np.zeros((90, 30), np.uint8)
    assert contact_sheet([(image, labels, labels)], ABC).shape == (CELL + 4, 3 * (CELL + 4), 3)


EVENTS = [
    {"event": "step", "step": 25, "loss": 1.0, "learning_rate": 0.1},
    {"event": "broken", "step": 26, "message": "a.jpg"},
    {"event": "step", "step": 50, "loss": 0.5, "learning_rate": 0.05},
    {"event": "end", "step": 50, "mean_iou": 0.7, "f1": {}},
]


def test_curves_and_confusion_are_plotted(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    draw_curves(EVENTS, tmp_path / "curves.png")
    draw_confusion(MATRIX, ABC, tmp_path / "confusion.png")
    curves = cv2.imread(str(tmp_path / "curves.png"))
    confusion = cv2.imread(str(tmp_path / "confusion.png"))
    assert curves.std() > 5
    assert confusion.std() > 20
    other = MATRIX.copy()
    other[0] = (0, 10, 0)
    draw_confusion(other, ABC, tmp_path / "other.png")
    assert not np.array_equal(confusion, cv2.imread(str(tmp_path / "other.png")))


def test_a_missing_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SettingError, match=r"pip install 'rtseg\[training\]'"):
        draw_confusion(MATRIX, ABC, tmp_path / "confusion.png")


def test_a_truncated_log_is_read_up_to_there(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"event": "step", "step": 25}\n{"event": "st')
    assert read_log(log) == [{"event": "step", "step": 25}]
    with pytest.raises(SinkError, match="cannot be read"):
        read_log(tmp_path / "none.jsonl")
