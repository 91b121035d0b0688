"""Start `driver_runs` in a process of its own, over the machine's driver or the stub of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[3]
RUNS = ("close threads dropped memory beside flat", "left_open", "sticky")
"""The runs for any driver: one process each, because the last two leave theirs unusable."""


def run(
    names: str,
    *,
    model: Path,
    folder: Path,
    cuda: str,
    seconds: float,
    environment: Mapping[str, str] | None = None,
    under: Sequence[str] = (),
) -> str:
    """Execute some runs; return what they said.

    Args:
        names: the runs, separated by spaces.
        model: an exported model, of which only the description is used.
        folder: for engines.
        cuda: "pycuda" or "cuda-bindings".
        seconds: the time limit.
        environment: additional variables.
        under: a program that runs them, with its options.

    Raises:
        AssertionError: a run failed, or PyCUDA complained.
        subprocess.TimeoutExpired: the time is up.
    """
    module = "tests.backends.tensorrt.driver_runs"
    command = [*under, sys.executable, "-m", module, str(model), str(folder), *names.split()]
    process = subprocess.run(
        command,
        env={**os.environ, **(environment or {}), "RTSEG_CUDA": cuda},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    said = f"{process.stdout}\n{process.stderr}"
    assert process.returncode == 0, f"exit code {process.returncode}\n{said}"
    assert set(names.split()) <= set(process.stdout.split("\n")), said
    assert "context stack" not in said, said
    assert "clean-up" not in said or names == "sticky", said
    return said
