"""Run every step of the check on a GPU, and write `gpu-check.json` and `gpu-check.md`, beside each
step's whole output.

A step that fails, hangs or crashes does not prevent the others: each has its own process, which is
killed with its children when its time is up. The exit code is 0 if all steps passed or do not apply
to this GPU, 1 otherwise (also if none of them ran on it), and 7 without a GPU; then only the steps
that need none are run, and the report lists those that were skipped.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rtseg.system.nvidia import find_gpus, nvidia_driver_problem

NOT_HERE = 77
"""A step's exit code if it does not apply to this machine; its last line gives the reason."""

SECONDS = "RTSEG_GPU_CHECK_SECONDS"
"""The variable with a step's time limit."""

_TAIL_LINES = 40

_MISSING = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One check.

    Attributes:
        name: its name for `--only`.
        what: one line for the report.
        command: the command; its last line of output may be JSON with the figures.
        seconds: its time limit.
        needs_gpu: False if it is useful without a GPU.
    """

    name: str
    what: str
    command: tuple[str, ...]
    seconds: float
    needs_gpu: bool = True


@dataclass(frozen=True, kw_only=True)
class Result:
    """A step's result: `passed`, `failed`, `timed out`, `not here`, or `skipped` without a GPU.

    `missing` are the modules that a failed step did not find.
    """

    name: str
    what: str
    outcome: str
    exit_code: int | None
    seconds: float
    figures: Any
    output: str
    missing: tuple[str, ...] = ()


def _own(name: str, what: str, *, seconds: float, module: str = "steps") -> Step:
    """Make a step from a function of one of this package's modules."""
    command = (sys.executable, "-m", f"tests.gpu_check.{module}", name.replace("-", "_"))
    return Step(name=name, what=what, command=command, seconds=seconds)


_PYTEST = (sys.executable, "-m", "pytest", "-q", "-rs")

STEPS = (
    Step(
        name="doctor",
        what="what the machine has",
        command=(sys.executable, "-m", "rtseg", "doctor", "--json"),
        seconds=120,
        needs_gpu=False,
    ),
    Step(
        name="names",
        what="TensorRT's names that rtseg uses, in the installed bindings; NVIDIA's lean run-time",
        command=(
            *_PYTEST,
            "tests/backends/tensorrt/test_names.py",
            "tests/backends/tensorrt/test_old_driver.py",
        ),
        seconds=120,
        needs_gpu=False,
    ),
    _own(
        "driver",
        "the TensorRT backend's device code on the real driver, with a stand-in for the engine; by "
        "cuda-bindings, and by PyCUDA where it is installed",
        seconds=400,
        module="device_code",
    ),
    _own("build", "the shipped engines are built, timed, verified and inspected", seconds=900),
    _own(
        "interrupt",
        "Ctrl-C in the middle of a build ends it with 130 and leaves nothing",
        seconds=300,
    ),
    _own(
        "life-cycle",
        "opened, called and closed on three threads, over and over, with memory flat",
        seconds=400,
    ),
    _own(
        "capture",
        "graphs are recorded while another thread uses the default stream",
        seconds=300,
    ),
    Step(
        name="tests",
        what="the tests that need a GPU",
        command=(*_PYTEST, "-m", "gpu", "-s", "tests/backends"),
        seconds=900,
    ),
    _own("parity", "labels beside FP32 on the processor, by backend and precision", seconds=300),
    _own("faces", "faces a second by backend, precision and batch", seconds=480),
    _own("encode", "videos encoded and decoded by the GPU", seconds=300),
    _own(
        "sanitizer",
        "compute-sanitizer's memcheck over short runs",
        seconds=880,
        module="device_code",
    ),
)


def run_step(step: Step, *, environment: dict[str, str], log: Path) -> Result:
    """Run one step within its time limit; its whole output goes to a file."""
    start = time.monotonic()
    with log.open("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(
            step.command,
            stdout=output,
            stderr=subprocess.STDOUT,
            # unbuffered, so that the log of a step that is killed is complete
            env={**environment, SECONDS: str(step.seconds), "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
        code: int | None
        try:
            code = process.wait(step.seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            # including the processes that the step started
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        text = output.read()
    lines = text.splitlines()
    outcome = {0: "passed", NOT_HERE: "not here", None: "timed out"}.get(code, "failed")
    figures = None
    with contextlib.suppress(ValueError, IndexError):
        figures = json.loads(lines[-1])
    if step.name == "doctor":
        with contextlib.suppress(ValueError):
            figures = json.loads("\n".join(lines))
    return Result(
        name=step.name,
        what=step.what,
        outcome=outcome,
        exit_code=code,
        seconds=round(time.monotonic() - start, 1),
        figures=figures,
        output="\n".join(lines[-_TAIL_LINES:]),
        missing=tuple(sorted(set(_MISSING.findall(text)))) if outcome == "failed" else (),
    )


def report(results: Sequence[Result], *, machine: str) -> str:
    """Format the results as Markdown."""
    lines = [f"# GPU check on {machine}", "", "| step | what | outcome | seconds |"]
    lines.append("| --- | --- | --- | --- |")
    for one in results:
        outcome = one.outcome
        if one.missing:
            outcome += f" (not installed: {', '.join(one.missing)})"
        lines.append(f"| {one.name} | {one.what} | {outcome} | {one.seconds} |")
    for one in results:
        lines += ["", f"## {one.name}: {one.outcome}", ""]
        if isinstance(one.figures, list) and one.figures and one.name != "doctor":
            keys = list(one.figures[0])
            lines += [f"| {' | '.join(keys)} |", f"|{' --- |' * len(keys)}"]
            lines += [
                f"| {' | '.join(str(row.get(key, '')) for key in keys)} |" for row in one.figures
            ]
        else:
            lines += ["```", one.output, "```"]
    return "\n".join(lines) + "\n"


def skipped(step: Step, why: str) -> Result:
    """The report of a step that needs a GPU if there is none."""
    return Result(
        name=step.name,
        what=step.what,
        outcome="skipped",
        exit_code=None,
        seconds=0.0,
        figures=None,
        output=why,
    )


def write(results: Sequence[Result], *, machine: str, folder: Path) -> None:
    """Write both reports for the steps so far."""
    whole = {"machine": machine, "steps": [asdict(one) for one in results]}
    (folder / "gpu-check.json").write_text(json.dumps(whole, indent=2))
    (folder / "gpu-check.md").write_text(report(results, machine=machine))


def main(arguments: Sequence[str] | None = None, *, steps: Sequence[Step] = STEPS) -> int:
    """Run the steps and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.gpu_check", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("gpu-check"))
    parser.add_argument("--only", action="append", choices=[step.name for step in steps])
    parser.add_argument(
        "--at-most", type=float, default=float("inf"), metavar="SECONDS", help="for each step"
    )
    chosen = parser.parse_args(arguments)
    steps = [replace(step, seconds=min(step.seconds, chosen.at_most)) for step in steps]
    problem = nvidia_driver_problem()
    if problem is None:
        gpus = find_gpus()
        machine = "; ".join(f"{gpu.name} ({gpu.compute_capability})" for gpu in gpus)
        machine += f", driver {gpus[0].driver}, CUDA {gpus[0].cuda}"
    else:
        sys.stderr.write(f"error: {problem}: only the steps that need no GPU are run\n")
        machine = f"a machine without a GPU ({problem})"
    chosen.output.mkdir(parents=True, exist_ok=True)
    engines = str((chosen.output / "engines").resolve())
    environment = {**os.environ, "RTSEG_ENGINE_DIR": engines, "RTSEG_REQUIRE_GPU": "1"}
    results: list[Result] = []
    for step in steps:
        if chosen.only and step.name not in chosen.only:
            continue
        if problem is not None and step.needs_gpu:
            sys.stdout.write(f"{step.name}: skipped, {problem}\n")
            results.append(skipped(step, problem))
            continue
        sys.stdout.write(f"{step.name}: {step.what} (at most {step.seconds:.0f} s) …\n")
        sys.stdout.flush()
        result = run_step(step, environment=environment, log=chosen.output / f"{step.name}.log")
        sys.stdout.write(f"  {result.outcome} in {result.seconds} s\n")
        if result.missing:
            sys.stdout.write(
                f"  not installed: {', '.join(result.missing)}; pip install -e '.[test]'\n"
            )
        results.append(result)
        # after each step, so that results survive if the machine goes away
        write(results, machine=machine, folder=chosen.output)
    write(results, machine=machine, folder=chosen.output)
    if problem is not None:
        return 7
    on_gpu = {step.name for step in steps if step.needs_gpu}
    ran = [one for one in results if one.name in on_gpu]
    if ran and all(one.outcome == "not here" for one in ran):
        sys.stderr.write(f"error: nothing ran on the GPU: {ran[0].output.splitlines()[-1]}\n")
        return 1
    return 0 if all(one.outcome in ("passed", "not here") for one in results) else 1


if __name__ == "__main__":
    sys.exit(main())
