"""Every backend beside the others: the network's time, agreement, memory and start-up.

Each backend runs in a process of its own, so that what one has loaded or started (libraries,
thread pools, memory) is neither counted nor in the way of the next.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtseg.errors import BackendError
from rtseg.settings import ModelSettings
from rtseg.timing import Percentiles

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rtseg.backends import BackendName
    from rtseg.backends.base import Backend

BATCHES = (1, 2, 4)
ROUNDS = 60
WARM_UP_ROUNDS = 8
TIMEOUT_SECONDS = 600.0


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One backend as it is asked for."""

    backend: BackendName
    device: str
    precision: str

    @property
    def label(self) -> str:
        """For tables: `torch cpu fp32`."""
        return f"{self.backend} {self.device} {self.precision}"


CANDIDATES = (
    Candidate(backend="torch", device="cpu", precision="fp32"),
    Candidate(backend="torch", device="cpu", precision="bf16"),
    Candidate(backend="openvino", device="cpu", precision="fp32"),
    Candidate(backend="openvino", device="cpu", precision="bf16"),
    Candidate(backend="torch", device="cuda", precision="fp32"),
    Candidate(backend="torch", device="cuda", precision="fp16"),
    Candidate(backend="tensorrt", device="cuda", precision="fp16"),
)
"""What is tried; the first is the measure of the others."""


@dataclass(frozen=True, kw_only=True)
class BackendFigures:
    """What one backend does.

    Attributes:
        candidate: as it was asked for.
        device, precision: as it answered.
        batches: milliseconds a call by batch size: uint8 crops in, probabilities out.
        agreement: share of labels equal to PyTorch's in FP32, on real pictures of a face, 0..1.
        peak_mib: the most memory its process held, libraries and all; without that of Python.
        start_seconds: from a fresh interpreter to its first result, imports and all.
        ratio: how many times as fast as the first candidate, one crop a call, by medians.
        problem: why it cannot run here, or "".
    """

    candidate: Candidate
    device: str = ""
    precision: str = ""
    batches: dict[int, Percentiles]
    agreement: float | None = None
    peak_mib: float | None = None
    start_seconds: float | None = None
    ratio: float | None = None
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class BackendReport:
    """All of them, on one machine.

    Attributes:
        figures: in the order of `CANDIDATES`.
        threads: the processor threads each was allowed; 0 is one a core.
    """

    figures: tuple[BackendFigures, ...]
    threads: int

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"schema": 1, "threads": self.threads, "backends": [asdict(f) for f in self.figures]}

    def table(self) -> RenderableType:
        """For a terminal."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("backend")
        for batch in BATCHES:
            table.add_column(f"{batch} crop{'s'[: batch > 1]}", justify="right")
        for title in ("times as fast", "as fp32", "MiB", "start s"):
            table.add_column(title, justify="right")
        reasons: dict[str, list[str]] = {}
        for figures in self.figures:
            if figures.problem:
                reasons.setdefault(figures.problem, []).append(figures.candidate.label)
                continue
            table.add_row(
                figures.candidate.label,
                *(_three(figures.batches[batch]) for batch in BATCHES),
                _shown(figures.ratio, "{:.2f}"),
                _shown(figures.agreement, "{:.2%}"),
                _shown(figures.peak_mib, "{:.0f}"),
                _shown(figures.start_seconds, "{:.2f}"),
            )
        skipped = [Text(f"not run: {', '.join(who)}: {why}") for why, who in reasons.items()]
        heading = Text("milliseconds a call, p50/p95/p99: uint8 crops in, probabilities out")
        return Group(heading, table, *skipped)


def bench_backends(
    model: ModelSettings,
    *,
    candidates: Sequence[Candidate] = CANDIDATES,
    rounds: int = ROUNDS,
    on_progress: Callable[[str], None] | None = None,
) -> BackendReport:
    """Measure every backend that this machine has; those it has not say why.

    Args:
        model: which model, and how many threads; device and precision are the candidates'.
        candidates: what is tried; the first is the measure of the others.
        rounds: calls that are measured for each batch size.
        on_progress: told what is measured now.

    Raises:
        BackendError: not even the first candidate runs.
    """
    found: list[BackendFigures] = []
    for candidate in candidates:
        if on_progress is not None:
            on_progress(candidate.label)
        figures = _in_own_process(candidate, model, rounds)
        if not found and figures.problem:
            raise BackendError(f"{candidate.label} does not run here: {figures.problem}")
        if not figures.problem:
            measure = found[0] if found else figures
            figures = replace(figures, ratio=measure.batches[1].p50 / figures.batches[1].p50)
        found.append(figures)
    return BackendReport(figures=tuple(found), threads=model.threads)


def _in_own_process(candidate: Candidate, model: ModelSettings, rounds: int) -> BackendFigures:
    problem = _obstacle(candidate)
    if problem:
        return BackendFigures(candidate=candidate, batches={}, problem=problem)
    order = {**asdict(candidate), "model": model.model, "threads": model.threads, "rounds": rounds}
    command = [sys.executable, "-m", "rtseg.bench_backends", json.dumps(order)]
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
        agreement=answer["agreement"],
        peak_mib=answer["peak_mib"],
        start_seconds=answer["first_result_at"] - start,
    )


def _obstacle(candidate: Candidate) -> str:
    """Why it need not be tried: known without loading anything that could end a process."""
    from rtseg.nvidia import nvidia_driver_problem

    return (nvidia_driver_problem() or "") if candidate.device == "cuda" else ""


def _measure(order: dict[str, Any]) -> dict[str, Any]:
    """In the backend's own process: open, first result, timings, memory, then agreement."""
    import numpy as np

    from rtseg.backends import open_backend

    before = _peak_mib()
    wanted = order["backend"]
    backend = open_backend(
        # auto takes TensorRT first, but builds nothing: a build is no start-up time
        "auto" if wanted == "tensorrt" else wanted,
        model=order["model"],
        device=order["device"],
        precision=order["precision"],
        threads=order["threads"],
    )
    with backend:
        if backend.name != wanted:
            raise BackendError(backend.reason)
        size = (backend.model.input_height, backend.model.input_width, 3)
        backend.infer(np.zeros((1, *size), np.uint8))
        first_result_at = time.time()
        crops = np.random.default_rng(0).integers(0, 256, (max(BATCHES), *size), np.uint8)
        batches = {}
        for batch in BATCHES:
            samples = []
            for turn in range(WARM_UP_ROUNDS + order["rounds"]):
                start = time.perf_counter()
                backend.infer(crops[:batch])
                if turn >= WARM_UP_ROUNDS:
                    samples.append(time.perf_counter() - start)
            batches[batch] = asdict(Percentiles.of(samples))
        after = _peak_mib()
        return {
            "device": backend.device,
            "precision": backend.precision,
            "batches": batches,
            "peak_mib": None if before is None or after is None else after - before,
            "first_result_at": first_result_at,
            "agreement": _agreement(backend, order),
        }


def _agreement(backend: Backend, order: dict[str, Any]) -> float | None:
    """Beside PyTorch in FP32; None where the model is an ONNX file, which PyTorch does not run."""
    from rtseg.backends import open_backend
    from rtseg.backends.agreement import label_agreement, portrait_crops

    model = order["model"]
    if model is not None and model.endswith(".onnx"):
        return None
    crops = portrait_crops(backend.model)
    with open_backend(
        "torch", model=model, device="cpu", precision="fp32", threads=order["threads"]
    ) as reference:
        return label_agreement(backend.infer(crops), reference.infer(crops))


def _peak_mib() -> float | None:
    """The most memory that this process has held; None where the system does not say."""
    if sys.platform == "win32":
        return None
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would count what the parent process held before this one was started
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) / 2**10
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def _three(times: Percentiles) -> str:
    return f"{times.p50:.1f}/{times.p95:.1f}/{times.p99:.1f}"


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def main(order: str) -> None:
    """The entry point of a backend's own process: an order in JSON, figures or a problem out."""
    from rtseg.errors import RtsegError

    try:
        answer = _measure(json.loads(order))
    except RtsegError as error:
        answer = {"problem": str(error)}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
