"""The steps of the GPU check about the code that drives the device, each run in its own process:
`python -m tests.gpu_check.device_code NAME`. The last line of output has the figures as JSON."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from rtseg.backends.parity import portrait_crops
from rtseg.export.onnx_file import exported_path
from rtseg.system.nvidia import find_gpu
from rtseg.weights import default_checkpoint_path
from tests.backends.tensorrt import driver_process
from tests.gpu_check.__main__ import NOT_HERE, SECONDS
from tests.gpu_check.steps import give, missing, not_here, opened
from tests.support.cuda_machine import compiled
from tests.support.exported import tiny_checkpoint, tiny_crops


def driver() -> None:
    """The TensorRT backend's memory, streams, graphs, threads and errors, by each CUDA library."""
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        model = stand_in()
        for cuda in _cuda_libraries():
            for names in driver_process.RUNS:
                start = time.perf_counter()
                said = problem = ""
                try:
                    said = driver_process.run(
                        names, model=model, folder=Path(folder), cuda=cuda, seconds=60
                    )
                except (AssertionError, subprocess.TimeoutExpired) as error:
                    problem = str(error)
                    sys.stdout.write(f"{cuda}, {names}: {problem}\n")
                seconds = round(time.perf_counter() - start, 1)
                lines = (said or problem).strip().splitlines()
                row = {"CUDA by": cuda, "runs": names, "passed": not problem, "seconds": seconds}
                figures.append({**row, "said": lines[-1]})
    give(figures)
    sys.exit(not all(row["passed"] for row in figures))


def stand_in() -> Path:
    """The model that a fake engine with real kernels stands in for; or end the step."""
    try:
        compiled(find_gpu().architecture)
    except Exception as error:  # noqa: BLE001 - NVIDIA's loader has errors of its own
        not_here(f"cuda-bindings and NVRTC, which compile the stand-in's kernels: {error}")
    return exported_path(default_checkpoint_path())


def _cuda_libraries() -> tuple[str, ...]:
    return ("cuda-bindings", *(("pycuda",) if find_spec("pycuda") is not None else ()))


def sanitizer() -> None:
    """compute-sanitizer's memcheck, which also finds memory that is never freed."""
    program = shutil.which("compute-sanitizer")
    if program is None:
        not_here("compute-sanitizer is not installed")
    under = (str(program), "--error-exitcode", "3", "--report-api-errors", "no")
    checks = ("--leak-check", "full")
    figures = []
    # a few seconds are kept for the report
    end = time.monotonic() + float(os.environ.get(SECONDS, "1000")) - 4

    def left() -> float:
        return max(1.0, end - time.monotonic())

    def check(what: str, work: Callable[[], str]) -> None:
        start = time.perf_counter()
        passed, said = True, ""
        try:
            said = work()
        except AssertionError as error:
            passed, said = False, str(error)
        except subprocess.TimeoutExpired as error:
            passed, said = False, f"{error}\n{error.stdout}\n{error.stderr}"
        sys.stdout.write(f"{what}: {said[-3000:]}\n")
        summary = [line for line in said.splitlines() if "SUMMARY" in line]
        seconds = round(time.perf_counter() - start, 1)
        figures.append({"what": what, "passed": passed, "seconds": seconds, "said": summary})

    def one_call_of(name: str) -> str:
        command = [*under, sys.executable, "-m", "tests.gpu_check.device_code", "one_call", name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=left(), check=False)
        said = done.stdout + done.stderr
        assert done.returncode in (0, NOT_HERE), said
        return said

    with tempfile.TemporaryDirectory() as folder:
        model = stand_in()
        for cuda in _cuda_libraries():
            names = "close threads dropped beside"
            check(
                f"driver, {cuda}",
                lambda cuda=cuda, names=names: driver_process.run(
                    names,
                    model=model,
                    folder=Path(folder),
                    cuda=cuda,
                    seconds=left(),
                    under=(*under, *checks),
                ),
            )
    for name in ("torch", "tensorrt"):
        check(name, lambda name=name: one_call_of(name))
    give(figures)
    sys.exit(not all(row["passed"] for row in figures))


def one_call(name: str) -> None:
    """Do a little of every kind of work, for the sanitizer: in PyTorch with a tiny network, which
    is slow enough there."""
    why = missing(name)
    if why:
        not_here(why)
    if name == "torch":
        from rtseg.backends.torch.backend import TorchBackend

        with TorchBackend(tiny_checkpoint(), device="cuda", precision="fp16") as backend:
            backend.infer(tiny_crops(3))
    else:
        with opened(name, "fp16") as engine:
            engine.infer(portrait_crops(engine.model)[:3])


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
