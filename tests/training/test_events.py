"""Reporting a run's events."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from training.events import Progress, TensorBoardLog, described

STEP = {
    "event": "step",
    "step": 25,
    "of": 100,
    "progress": 0.25,
    "seconds": 3.0,
    "learning_rate": 0.001,
    "loss": 0.5,
}
END = {"event": "end", "step": 100, "mean_iou": 0.75, "f1": {"skin": 0.9}, "broken": 2}


def test_events_become_lines() -> None:
    assert described(STEP) == "step 25/100  25.0%  loss 0.5000  rate 1.00e-03  3 s"
    assert described({**STEP, "of": None}).startswith("step 25  25.0%")
    line = described(END)
    assert "mean IoU 0.7500" in line
    assert "skin 0.900" in line
    assert "2 broken pictures skipped" in line
    assert "a.jpg" in described({"event": "broken", "step": 7, "message": "a.jpg: gone"})


def test_without_a_terminal_lines_are_plain() -> None:
    lines: list[str] = []
    progress = Progress(lines.append, terminal=False)
    progress(STEP)
    progress(END)
    progress.close()
    assert lines == [described(STEP), described(END)]


def test_on_a_terminal_there_is_a_bar_with_loss_and_rate(
    capsys: pytest.CaptureFixture[str],
) -> None:
    progress = Progress(print, terminal=True)
    progress(STEP)
    assert progress.bar.tasks[0].completed == 0.25
    assert progress.bar.tasks[0].fields["loss"] == 0.5
    assert progress.bar.tasks[0].fields["rate"] == 0.001
    progress(END)
    progress.close()
    assert "mean IoU 0.7500" in capsys.readouterr().out


def test_tensorboard_gets_the_scalars(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    log = TensorBoardLog(tmp_path)
    log(STEP)
    log(END)
    log.close()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert events.Scalars("loss")[0].value == 0.5
    assert events.Scalars("loss")[0].step == 25
    assert events.Scalars("F1/skin")[0].value == pytest.approx(0.9)


def test_without_tensorboard_nothing_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    log = TensorBoardLog(tmp_path)
    log(STEP)
    log.close()
    assert not list(tmp_path.iterdir())
