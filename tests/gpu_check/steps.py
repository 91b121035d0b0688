"""The steps of the GPU check, each run in its own process: `python -m tests.gpu_check.steps NAME`.
The last line of output has the figures as JSON."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rtseg.backends import open_backend
from rtseg.backends.base import Backend
from rtseg.backends.parity import label_agreement, portrait_crops
from rtseg.errors import BackendError, ModelError, RtsegError
from rtseg.system.nvidia import cuda_driver, find_gpu
from tests.gpu_check.__main__ import NOT_HERE, SECONDS

COMBINATIONS = (
    ("torch", "fp32"),
    ("torch", "fp16"),
    ("tensorrt", "fp32"),
    ("tensorrt", "fp16"),
    ("tensorrt", "int8"),
)
FACES = (1, 2, 4, 8, 16)
ROUNDS, LEAST_ROUNDS = 12, 5

_NOT_INSTALLED = ("installed", "does not run on", "sees no NVIDIA GPU", "was built for CUDA")
"""Words of the errors of run-times that cannot run on this machine, however well they work."""


def not_here(why: str) -> None:
    """End the step because it does not apply to this machine."""
    sys.stdout.write(f"{why}\n")
    sys.exit(NOT_HERE)


def give(figures: Any) -> None:
    """Print the figures as the last line."""
    sys.stdout.write(json.dumps(figures) + "\n")


def opened(name: str, precision: str) -> Backend:
    """Open a backend on the GPU; TensorRT's engine is built if necessary."""
    return open_backend(name, device="cuda", precision=precision)  # type: ignore[arg-type]


def missing(name: str) -> str:
    """Why a backend is missing on this machine; "" if it opens.

    Raises:
        BackendError: it is installed, but fails.
    """
    try:
        opened(name, "fp16").close()
    except BackendError as error:
        if not any(words in str(error) for words in _NOT_INSTALLED):
            raise
        return str(error)
    return ""


def tensorrt() -> None:
    """Build TensorRT's FP16 engine if necessary, or end the step."""
    why = missing("tensorrt")
    if why:
        not_here(why)


def build() -> None:
    """Rebuild every shipped recipe, then verify and inspect."""
    tensorrt()
    figures = []
    for recipe in ("face-parts", "face-parts-fp32", "face-parts-int8", "face-finder"):
        start = time.perf_counter()
        done = _rtseg("engine", "build", recipe, "--rebuild")
        seconds = round(time.perf_counter() - start, 1)
        lines = (done.stdout + done.stderr).strip().splitlines()
        figures.append(
            {
                "recipe": recipe,
                "exit": done.returncode,
                "seconds": seconds,
                "said": lines[-1] if lines else "",
            }
        )
    for command in ("verify", "inspect"):
        done = _rtseg("engine", command)
        figures.append(
            {
                "recipe": command,
                "exit": done.returncode,
                "seconds": 0,
                "said": done.stdout.replace("\n", "; "),
            }
        )
        sys.stdout.write(done.stdout + done.stderr)
    give(figures)
    # INT8 may be refused for its agreement, which is also a result
    required = [row for row in figures if row["recipe"] != "face-parts-int8"]
    sys.exit(any(row["exit"] for row in required))


def interrupt() -> None:
    """Send SIGINT at several moments of a build."""
    tensorrt()
    figures = []
    for seconds in (1.0, 3.0, 6.0):
        process = subprocess.Popen([*_RTSEG, "engine", "build", "--rebuild"])
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        sent = time.perf_counter()
        code = process.wait(120)
        figures.append(
            {"after": seconds, "exit": code, "until it ended": round(time.perf_counter() - sent, 2)}
        )
    give(figures)
    # a build may end before the signal arrives, and Python may not have started yet
    sys.exit(any(row["exit"] not in (130, 0, -signal.SIGINT) for row in figures))


def life_cycle() -> None:
    """Open, call and close on three threads; the device's memory must not grow.

    A round can take several seconds, since cuDNN plans a network's convolutions anew on each
    thread; so there are fewer rounds when half of the step's time is up.
    """
    figures: list[dict[str, Any]] = []
    seconds = float(os.environ.get(SECONDS, "400")) / 2 - 10
    for name in ("torch", "tensorrt"):
        end = time.monotonic() + seconds
        why = missing(name)
        if why:
            figures.append({"backend": name, "not here": why})
            continue
        used: list[int] = []
        while len(used) < LEAST_ROUNDS or (len(used) < ROUNDS and time.monotonic() < end):
            held: list[Backend] = []
            _on_its_own(lambda name=name, held=held: held.append(opened(name, "fp16")))
            crops = portrait_crops(held[0].model)
            _on_its_own(lambda held=held, crops=crops: held[0].infer(crops))
            _on_its_own(held[0].close)
            held.clear()
            used.append(_memory_used())
            sys.stdout.write(f"{name}, round {len(used)}: {used[-1] >> 20} MiB\n")
        growth = (used[-1] - used[2]) / 2**20
        figures.append(
            {
                "backend": name,
                "rounds": len(used),
                "MiB after three rounds": used[2] >> 20,
                "MiB in the end": used[-1] >> 20,
                "grown": round(growth, 1),
            }
        )
    give(figures)
    if all("not here" in row for row in figures):
        sys.exit(NOT_HERE)
    sys.exit(any(row.get("grown", 0) > 8 for row in figures))


def capture() -> None:
    """A thread copies on the default stream while backends are opened."""
    import torch

    if not torch.cuda.is_available():
        not_here("PyTorch, which copies beside, sees no GPU")
    stop, copies, problems = threading.Event(), [0], []

    def copy() -> None:
        tensor = torch.zeros(1 << 20)
        try:
            while not stop.is_set():
                tensor.to("cuda")
                copies[0] += 1
        except RuntimeError as error:
            problems.append(str(error))

    thread = threading.Thread(target=copy)
    thread.start()
    figures = []
    try:
        for name in ("torch", "tensorrt"):
            try:
                backend = opened(name, "fp16")
            except BackendError as error:
                figures.append({"backend": name, "graphs": str(error)})
                continue
            with backend:
                backend.warm_up()
                current: Any = backend
                figures.append({"backend": name, "graphs": current.uses_cuda_graphs})
    finally:
        stop.set()
        thread.join()
    figures.append({"backend": "copies beside", "graphs": f"{copies[0]}, {problems or 'no error'}"})
    give(figures)
    sys.exit(bool(problems) or any(row["graphs"] is False for row in figures))


def parity() -> None:
    """The share of labels equal to those of FP32 on the processor."""
    with open_backend("torch", device="cpu", precision="fp32") as reference:
        crops = portrait_crops(reference.model)
        expected = reference.infer(crops)
    figures = []
    for name, precision in COMBINATIONS:
        row: dict[str, Any] = {"backend": name, "precision": precision}
        try:
            with opened(name, precision) as backend:
                row["agreement"] = round(label_agreement(backend.infer(crops), expected), 5)
        except (BackendError, ModelError) as error:
            row["agreement"] = str(error)
        figures.append(row)
    give(figures)
    if all(isinstance(row["agreement"], str) for row in figures):
        sys.exit(NOT_HERE)
    least = {"fp32": 0.999, "fp16": 0.995, "int8": 0.98}
    wrong = [
        row
        for row in figures
        if isinstance(row["agreement"], float) and row["agreement"] < least[row["precision"]]
    ]
    sys.exit(bool(wrong))


def faces() -> None:
    """Faces per second, by the host's clock and by the device's."""
    gpu = find_gpu()
    figures = []
    for name, precision in COMBINATIONS:
        start = time.perf_counter()
        try:
            backend = opened(name, precision)
        except RtsegError as error:
            figures.append(
                {"GPU": gpu.name, "backend": name, "precision": precision, "faces": str(error)}
            )
            continue
        with backend:
            backend.warm_up()
            ready = time.perf_counter() - start
            crops = np.concatenate([portrait_crops(backend.model)] * 2)
            for count in FACES:
                samples, device = [], []
                for _ in range(60):
                    start = time.perf_counter()
                    backend.infer(crops[:count])
                    samples.append(time.perf_counter() - start)
                    device.append(backend.device_seconds or 0.0)
                median = float(np.median(samples[10:]))
                figures.append(
                    {
                        "GPU": gpu.name,
                        "backend": name,
                        "precision": precision,
                        "faces": count,
                        "ms": round(median * 1e3, 3),
                        "ms by CUDA": round(float(np.median(device[10:])) * 1e3, 3),
                        "faces a second": round(count / median),
                        "s until ready": round(ready, 1),
                    }
                )
                # where the time is up, what was measured is in the log
                sys.stdout.write(f"{figures[-1]}\n")
    give(figures)
    if all(isinstance(row["faces"], str) for row in figures):
        sys.exit(NOT_HERE)


def encode() -> None:
    """Encode with each codec once, and decode on the GPU and on the processor."""
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        done = _rtseg("demo", "-o", str(clip))
        if done.returncode:
            sys.stdout.write(done.stderr)
            sys.exit(1)
        decoded = _rtseg(
            "video", str(clip), "-o", str(Path(folder) / "d.mp4"), "--hardware-decoding", "cuda"
        )
        lines = decoded.stderr.strip().splitlines()
        figures.append(
            {
                "codec": "the demo's own, decoded",
                "exit": decoded.returncode,
                "seconds": None,
                "decoded": decoded.returncode,
                "said": lines[-1] if lines else "",
            }
        )
        for codec in ("h264_nvenc", "hevc_nvenc", "av1_nvenc"):
            output = Path(folder) / f"{codec}.mp4"
            start = time.perf_counter()
            written = _rtseg("video", str(clip), "-o", str(output), "--codec", codec)
            seconds = round(time.perf_counter() - start, 1)
            read = None
            if written.returncode == 0:
                again = Path(folder) / f"{codec}-again.mp4"
                arguments = ("video", str(output), "-o", str(again))
                read = _rtseg(*arguments, "--hardware-decoding", "cuda").returncode
            lines = written.stderr.strip().splitlines()
            figures.append(
                {
                    "codec": codec,
                    "exit": written.returncode,
                    "seconds": seconds,
                    "decoded": read,
                    "said": lines[-1] if lines else "",
                }
            )
    give(figures)
    if all(row["exit"] == 7 for row in figures):
        sys.exit(NOT_HERE)
    sys.exit(any(row["exit"] not in (0, 7) for row in figures))


_RTSEG = (sys.executable, "-m", "rtseg")


def _rtseg(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*_RTSEG, *arguments], capture_output=True, text=True, check=False)


def _on_its_own(work: Callable[[], Any]) -> None:
    """Run a function in its own thread, and re-raise its exception."""
    problems: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again below
            problems.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    thread.join()
    if problems:
        raise problems[0]


def _memory_used() -> int:
    """The used memory of the first GPU in bytes, by any program."""
    import torch

    torch.cuda.empty_cache()
    driver = cuda_driver()
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    torch.cuda.current_stream().synchronize()
    code = driver.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
    assert code == 0, code
    return total.value - free.value


if __name__ == "__main__":
    globals()[sys.argv[1]]()
