"""Which precision is fastest is measured once for a model and a machine, and then remembered."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from rtseg.backends.fastest import (
    Trial,
    fastest_in_turns,
    forget_speeds,
    remembered_speeds,
    trial,
)
from rtseg.errors import BackendError

TRIAL = Trial(run_time="openvino 1", models=("ab", "cd"), threads=2, processor="Some CPU")


class Measure:
    """Counts how often it was called."""

    def __init__(self, **milliseconds):
        self.milliseconds = milliseconds
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return self.milliseconds


def test_a_second_start_does_not_measure(tmp_path):
    first, second = Measure(bf16=6.6, int8=5.7), Measure(bf16=1.0, int8=2.0)
    speeds = remembered_speeds(TRIAL, first, folder=tmp_path / "speeds")
    assert speeds.milliseconds == {"bf16": 6.6, "int8": 5.7}
    assert speeds.measured == datetime.now(UTC).date().isoformat()
    assert speeds.line().startswith("bf16 6.6, int8 5.7 ms a crop, measured 2")
    assert remembered_speeds(TRIAL, second, folder=tmp_path / "speeds") == speeds
    assert (first.calls, second.calls) == (1, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"run_time": "openvino 2"},
        {"models": ("ab", "ce")},
        {"models": ("cd", "ab")},
        {"threads": 1},
        {"processor": "Another CPU"},
    ],
)
def test_what_changes_the_speed_is_measured_anew(tmp_path, change):
    remembered_speeds(TRIAL, Measure(bf16=6.6, int8=5.7), folder=tmp_path)
    again = Measure(bf16=3.0, int8=9.0)
    speeds = remembered_speeds(replace(TRIAL, **change), again, folder=tmp_path)
    assert (again.calls, speeds.int8_is_worth_it) == (1, False)


@pytest.mark.parametrize(
    ("bf16", "int8", "worth_it"),
    [(6.6, 5.7, True), (6.0, 5.7, True), (5.9, 5.7, False), (5.0, 5.7, False)],
)
def test_int8_must_be_a_twentieth_faster(tmp_path, bf16, int8, worth_it):
    speeds = remembered_speeds(TRIAL, Measure(bf16=bf16, int8=int8), folder=tmp_path)
    assert speeds.int8_is_worth_it is worth_it


def damaged(**changes):
    def damage(text):
        return json.dumps(json.loads(text) | changes)

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: text.replace("6.6", "NaN"),
        lambda text: text.replace("6.6", "-6.6"),
        lambda text: text.replace("6.6", '"fast"'),
        damaged(measured=3),
        damaged(measured="yesterday"),
        damaged(milliseconds=[6.6, 5.7]),
        damaged(milliseconds={"int8": 5.7}),
        damaged(processor="Another CPU"),
    ],
)
def test_a_damaged_result_is_measured_again(tmp_path, damage):
    remembered_speeds(TRIAL, Measure(bf16=6.6, int8=5.7), folder=tmp_path)
    (path,) = tmp_path.glob("*.json")
    path.write_text(damage(path.read_text()))
    again = Measure(bf16=6.0, int8=5.0)
    for _ in range(2):
        speeds = remembered_speeds(TRIAL, again, folder=tmp_path)
        assert speeds.milliseconds == {"bf16": 6.0, "int8": 5.0}
    assert again.calls == 1


def test_without_a_usable_folder_every_start_measures(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    measure = Measure(bf16=6.6, int8=5.7)
    with caplog.at_level("INFO", "rtseg"):
        for _ in range(2):
            assert remembered_speeds(TRIAL, measure, folder=tmp_path / "file").int8_is_worth_it
    assert measure.calls == 2
    assert "is measured at every start: " in caplog.text


def test_an_error_while_measuring_is_raised_and_nothing_is_kept(tmp_path):
    def fail():
        raise RuntimeError("out of order")

    with pytest.raises(RuntimeError, match="out of order"):
        remembered_speeds(TRIAL, fail, folder=tmp_path)
    assert list(tmp_path.glob("*.json")) == []


_START = """
import sys, time
from pathlib import Path
from rtseg.backends.fastest import Trial, remembered_speeds
trial = Trial(run_time="openvino 1", models=("ab", "cd"), threads=2, processor="Some CPU")
def measure():
    time.sleep(0.5)
    return {"bf16": 1.0, "int8": float(sys.argv[2])}
speeds = remembered_speeds(trial, measure, folder=Path(sys.argv[1]))
print(speeds.milliseconds["int8"])
"""


def test_processes_that_start_together_choose_alike(tmp_path):
    commands = [[sys.executable, "-c", _START, str(tmp_path), str(n)] for n in (1, 2, 3)]
    running = [subprocess.Popen(c, stdout=subprocess.PIPE, text=True) for c in commands]
    answers = {process.communicate(timeout=60)[0] for process in running}
    assert len(answers) == 1
    assert answers <= {"1.0\n", "2.0\n", "3.0\n"}


def test_results_can_be_forgotten(tmp_path):
    measure = Measure(bf16=6.6, int8=5.7)
    remembered_speeds(TRIAL, measure, folder=tmp_path)
    assert forget_speeds(tmp_path) == 1
    assert forget_speeds(tmp_path / "nothing") == 0
    remembered_speeds(TRIAL, measure, folder=tmp_path)
    assert measure.calls == 2


def test_results_that_cannot_be_deleted_are_an_error(tmp_path):
    (tmp_path / "a.json").mkdir()
    with pytest.raises(BackendError, match=r"a\.json: cannot be deleted: "):
        forget_speeds(tmp_path)


def test_a_trial_names_the_installed_version():
    import numpy as np

    compared = trial("numpy", "ab", threads=3)
    assert compared.run_time == f"numpy {np.__version__}"
    assert compared.processor
    assert compared.file_name != trial("numpy", "ab", threads=4).file_name


class Clock:
    def __init__(self, monkeypatch, **costs):
        self.now, self.costs, self.order = 0.0, costs, []
        monkeypatch.setattr("rtseg.backends.fastest.time.perf_counter", lambda: self.now)

    def calls(self):
        return {name: lambda name=name: self.call(name) for name in self.costs}

    def call(self, name):
        self.order.append(name)
        self.now += self.costs[name].pop(0)


def test_turns_use_the_best_time_and_ignore_the_first(monkeypatch):
    clock = Clock(monkeypatch, a=[0.001, 0.009, 0.004, 0.007], b=[0.9, 0.002, 0.003, 0.008])
    fastest = fastest_in_turns(clock.calls(), turns=3)
    assert fastest == {"a": pytest.approx(4.0), "b": pytest.approx(2.0)}
    assert clock.order == ["a", "b"] * 4


def test_a_slow_machine_does_not_wait_for_every_turn(monkeypatch):
    clock = Clock(monkeypatch, a=[1.0] * 30, b=[0.5] * 30)
    assert fastest_in_turns(clock.calls(), longest_seconds=2.0) == {"a": 1e3, "b": 5e2}
    assert len(clock.order) == 2 * 4  # three are counted even so
