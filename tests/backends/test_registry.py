"""The list of run-times, and everything derived from it."""

from typing import get_args

from rtseg.backends.registry import CANDIDATES, RUNTIMES, runtime
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
