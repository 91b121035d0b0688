"""Compare all backends: the network's time, end-to-end frames per second, agreement, memory and
start-up.

Each backend runs in its own process, so that one's libraries, thread pools and memory neither count
for nor disturb the next.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtseg.backends import label_set_of
from rtseg.backends.registry import RUNTIMES
from rtseg.bench.backend_report import BATCHES, BackendFigures, BackendReport, Candidate
from rtseg.errors import BackendError, ModelError, SettingError
from rtseg.settings import BenchSettings, FaceSettings, ModelSettings, ViewSettings
from rtseg.system.machine import this_machine
from rtseg.system.threads import NULL_MODEL
from rtseg.timing import Percentiles
from rtseg.wiring import check_choices

if TYPE_CHECKING:
    from rtseg.backends.base import Backend

ROUNDS = 60
WARM_UP_ROUNDS = 8
TIMEOUT_SECONDS = 600.0


CANDIDATES = (
    Candidate(backend="eager", device="cpu", precision="fp32"),
    *(
        Candidate(backend=runtime.name, device=device, precision=precision)
        for device in ("cpu", "cuda")
        for runtime in RUNTIMES
        for precision in runtime.precisions.get(device, ())
    ),
)
"""The backends to measure; the first is the reference for the others."""


def bench_backends(
    model: ModelSettings,
    *,
    candidates: Sequence[Candidate] = CANDIDATES,
    rounds: int = ROUNDS,
    bench: BenchSettings | None = None,
    faces: FaceSettings | None = None,
    view: ViewSettings | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> BackendReport:
    """Measure every backend that works on this machine; the others say why they do not.

    Args:
        model: the model and number of threads; device and precision come from the candidates.
        candidates: the backends to measure; the first is the reference for the others.
        rounds: measured calls for each batch size.
        bench, faces, view: the settings of the whole pipeline.
        on_progress: called with a description of the current measurement.

    Raises:
        SettingError: the model has no such class, or there is no model to run.
        BackendError: not even the first candidate runs.
    """
    if model.model == NULL_MODEL:
        raise SettingError(f"`model` {NULL_MODEL}: no backend runs it; give a network")
    check_choices(label_set_of(model.model), view=view or ViewSettings())
    bench = bench or BenchSettings()
    order = {
        "model": model.model,
        "threads": model.threads,
        "rounds": rounds,
        "bench": asdict(bench),
        "faces": asdict(faces or FaceSettings()),
        "view": asdict(view or ViewSettings()),
    }
    measured: list[BackendFigures] = []
    for candidate in candidates:
        if on_progress is not None:
            on_progress(candidate.label)
        figures = _in_own_process(candidate, order)
        if not measured and figures.problem:
            raise BackendError(f"{candidate.label} does not run here: {figures.problem}")
        if not figures.problem:
            measure = measured[0] if measured else figures
            figures = replace(figures, ratio=measure.batches[1].p50 / figures.batches[1].p50)
        measured.append(figures)
    return BackendReport(
        figures=tuple(measured), threads=model.threads, bench=bench, machine=this_machine()
    )


def _in_own_process(candidate: Candidate, order: dict[str, Any]) -> BackendFigures:
    problem = _obstacle(candidate)
    if problem:
        return BackendFigures(candidate=candidate, batches={}, problem=problem)
    order = {**order, **asdict(candidate)}
    command = [sys.executable, "-m", "rtseg.bench.backends", json.dumps(order)]
    start = time.time()
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        problem = f"took more than {TIMEOUT_SECONDS:.0f} s"
        return BackendFigures(candidate=candidate, batches={}, problem=problem)
    lines = done.stdout.strip().splitlines()
    try:
        answer = json.loads(lines[-1])
    except (IndexError, ValueError):
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        answer = {"problem": f"its process ended: {last}"}
    if "problem" in answer:
        return BackendFigures(candidate=candidate, batches={}, problem=answer["problem"])
    return BackendFigures(
        candidate=candidate,
        device=answer["device"],
        precision=answer["precision"],
        batches={int(batch): Percentiles(**p) for batch, p in answer["batches"].items()},
        device_ms={int(batch): ms for batch, ms in answer["device_ms"].items()} or None,
        frames_per_second=answer["frames_per_second"],
        latency=Percentiles(**answer["latency"]),
        finish=Percentiles(**answer["finish"]),
        agreement=answer["agreement"],
        peak_mib=answer["peak_mib"],
        start_seconds=answer["first_result_at"] - start,
    )


def _obstacle(candidate: Candidate) -> str:
    """Why it need not be tried, found without loading anything that could abort the process."""
    from rtseg.system.nvidia import nvidia_driver_problem

    return (nvidia_driver_problem() or "") if candidate.device == "cuda" else ""


def _measure(order: dict[str, Any]) -> dict[str, Any]:
    """In the backend's process: measure opening, first result, timings, memory and agreement."""
    import numpy as np

    before = _peak_mib()
    with _opened(order) as backend:
        size = (backend.model.input_height, backend.model.input_width, 3)
        backend.infer(np.zeros((1, *size), np.uint8))
        first_result_at = time.time()
        crops = np.random.default_rng(0).integers(0, 256, (max(BATCHES), *size), np.uint8)
        batches, device_ms = {}, {}
        for batch in BATCHES:
            samples, on_device = [], []
            for turn in range(WARM_UP_ROUNDS + order["rounds"]):
                start = time.perf_counter()
                backend.infer(crops[:batch])
                if turn >= WARM_UP_ROUNDS:
                    samples.append(time.perf_counter() - start)
                    if backend.device_seconds is not None:
                        on_device.append(backend.device_seconds)
            batches[batch] = asdict(Percentiles.of(samples))
            if on_device:
                device_ms[batch] = Percentiles.of(on_device).p50
        after = _peak_mib()
        return {
            "device": backend.device,
            "precision": backend.precision,
            "batches": batches,
            "device_ms": device_ms,
            "peak_mib": None if before is None or after is None else after - before,
            "first_result_at": first_result_at,
            "finish": asdict(_finish_times(backend, rounds=order["rounds"])),
            **_end_to_end(backend, order),
            "agreement": _agreement(backend, order),
        }


def _opened(order: dict[str, Any]) -> Backend:
    from rtseg.backends import open_backend

    backend_name = order["backend"]
    if backend_name == "eager":
        from rtseg.bench.eager import EagerBackend
        from rtseg.checkpoint import read_checkpoint
        from rtseg.weights import default_checkpoint_path

        path = Path(order["model"] or default_checkpoint_path())
        if path.suffix == ".onnx":
            raise ModelError(
                f"{path}: the comparison needs the .safetensors model it was made from"
            )
        return EagerBackend(read_checkpoint(path), threads=order["threads"])
    backend = open_backend(
        # auto takes TensorRT first but builds nothing, since building does not count as start-up
        "auto" if backend_name == "tensorrt" else backend_name,
        model=order["model"],
        device=order["device"],
        precision=order["precision"],
        threads=order["threads"],
    )
    if backend.name != backend_name:
        backend.close()
        raise BackendError(backend.reason)
    return backend


def _finish_times(backend: Backend, *, rounds: int) -> Percentiles:
    """Measure the time from probabilities to labels at a crop's size (upsampling and argmax).

    Real pictures of a face are used, because blank pictures would be faster and noise slower.
    """
    from rtseg.backends.parity import portrait_crops
    from rtseg.postprocess import whole_labels

    maps = backend.infer(portrait_crops(backend.model))
    height, width = backend.model.input_height, backend.model.input_width
    samples = []
    for turn in range(WARM_UP_ROUNDS + rounds):
        start = time.perf_counter()
        whole_labels(maps[turn % len(maps)], height=height, width=width)
        if turn >= WARM_UP_ROUNDS:
            samples.append(time.perf_counter() - start)
    return Percentiles.of(samples)


def _end_to_end(backend: Backend, order: dict[str, Any]) -> dict[str, Any]:
    """Run the real pipeline on the backend, like `rtseg bench`."""
    from rtseg.bench.pipeline import run_bench_on

    view = {**order["view"], "classes": tuple(order["view"]["classes"])}
    summary = run_bench_on(
        backend,
        BenchSettings(**order["bench"]),
        faces=FaceSettings(**order["faces"]),
        view=ViewSettings(**view),
        threads=order["threads"],
    )
    return {"frames_per_second": summary.frames_per_second, "latency": asdict(summary.latency)}


def _agreement(backend: Backend, order: dict[str, Any]) -> float | None:
    """Agreement with PyTorch in FP32; None for an ONNX file, which PyTorch cannot run."""
    from rtseg.backends import open_backend
    from rtseg.backends.parity import label_agreement, portrait_crops

    model = order["model"]
    if model is not None and model.endswith(".onnx"):
        return None
    crops = portrait_crops(backend.model)
    with open_backend(
        "torch", model=model, device="cpu", precision="fp32", threads=order["threads"]
    ) as reference:
        return label_agreement(backend.infer(crops), reference.infer(crops))


def _peak_mib() -> float | None:
    """Peak memory of this process; None if the system does not report it."""
    if sys.platform == "win32":
        return None
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would include the parent process's memory from before this one was started
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) / 2**10
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def main(order: str) -> None:
    """The entry point of a backend's process: reads a request, writes results as JSON."""
    from rtseg.errors import RtsegError

    try:
        answer = _measure(json.loads(order))
    except RtsegError as error:
        answer = {"problem": str(error)}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
