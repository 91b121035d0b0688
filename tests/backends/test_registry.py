"""The list of run-times, and everything derived from it."""

from typing import get_args

import pytest

from rtseg.backends.registry import CANDIDATES, RUNTIMES, runtime
from rtseg.backends.turns import fastest_in_turns
from rtseg.bench.backends import CANDIDATES as MEASURED
from rtseg.settings import BackendName, Precision


def test_it_lists_every_name_that_can_be_requested():
    assert {run_time.name for run_time in RUNTIMES} == set(get_args(BackendName)) - {"auto"}
    assert len({run_time.name for run_time in RUNTIMES}) == len(RUNTIMES)
    for run_time in RUNTIMES:
        assert runtime(run_time.name) is run_time
        assert run_time.install.startswith("pip install ")
        for precisions in run_time.precisions.values():
            assert set(precisions) <= set(get_args(Precision)) - {"auto"}


def test_auto_tries_every_run_time():
    assert {label.label.split()[0] for label in CANDIDATES} == {
        run_time.name for run_time in RUNTIMES
    }


def test_the_benchmark_measures_every_precision_of_every_run_time():
    assert MEASURED[0].backend == "eager"
    listed = {(c.backend, c.device, c.precision) for c in MEASURED[1:]}
    expected = {
        (run_time.name, device, precision)
        for run_time in RUNTIMES
        for device, precisions in run_time.precisions.items()
        for precision in precisions
    }
    assert listed == expected
    assert ("onnxruntime", "cpu", "int8") in listed


def test_a_missing_module_is_reported_by_name(monkeypatch):
    monkeypatch.setattr("rtseg.backends.registry.find_spec", lambda name: None)
    assert runtime("openvino").missing == ("openvino",)


def test_turns_use_the_best_time_and_ignore_the_first(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("rtseg.backends.turns.time.perf_counter", lambda: now[0])
    costs = {"a": [0.001, 0.009, 0.004, 0.007], "b": [0.9, 0.002, 0.003, 0.008]}
    order = []

    def call(name):
        order.append(name)
        now[0] += costs[name].pop(0)

    fastest = fastest_in_turns({n: lambda n=n: call(n) for n in ("a", "b")}, turns=3)
    assert fastest == {"a": pytest.approx(4.0), "b": pytest.approx(2.0)}
    assert order == ["a", "b"] * 4
