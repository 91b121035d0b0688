"""The measurements of every backend, as JSON and as a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from rtseg.settings import BenchSettings
from rtseg.system.machine import Machine
from rtseg.timing import Percentiles

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rtseg.backends import BackendName

BATCHES = (1, 2, 4)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One backend to measure, as requested; `eager` is `rtseg.bench.eager`."""

    backend: BackendName | Literal["eager"]
    device: str
    precision: str

    @property
    def label(self) -> str:
        """Its name in tables: `torch cpu fp32`."""
        return f"{self.backend} {self.device} {self.precision}"


@dataclass(frozen=True, kw_only=True)
class BackendFigures:
    """The measurements of one backend.

    Attributes:
        candidate: the backend as requested.
        device, precision: the backend's actual device and precision.
        batches: milliseconds per call by batch size, from uint8 crops to probabilities.
        device_ms: the same by the device's own clock, as medians, if it has one.
        frames_per_second: rate of the whole pipeline, from the first read to the closed output.
        latency: latency of the pipeline's frames in milliseconds.
        finish: milliseconds for making one crop's labels, at its size, from its probabilities.
        agreement: share of labels equal to PyTorch's in FP32, on real pictures of a face, 0..1.
        peak_mib: peak memory of its process including libraries, without that of Python.
        start_seconds: from a fresh interpreter to the first result, including imports.
        ratio: speed relative to the first candidate, one crop per call, by medians.
        problem: why it cannot run on this machine, or "".
    """

    candidate: Candidate
    device: str = ""
    precision: str = ""
    batches: dict[int, Percentiles]
    device_ms: dict[int, float] | None = None
    frames_per_second: float | None = None
    latency: Percentiles | None = None
    finish: Percentiles | None = None
    agreement: float | None = None
    peak_mib: float | None = None
    start_seconds: float | None = None
    ratio: float | None = None
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class BackendReport:
    """The measurements of all backends on one machine.

    Attributes:
        figures: in the order of `CANDIDATES`.
        threads: processor threads of each; 0 means one per core.
        bench: the input and output of the pipelines.
        machine: the machine.
    """

    figures: tuple[BackendFigures, ...]
    threads: int
    bench: BenchSettings
    machine: Machine

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values; times are in milliseconds except `start_seconds`."""
        return {
            "schema": 3,
            "settings": asdict(self.bench),
            "threads": self.threads,
            "backends": [asdict(figures) for figures in self.figures],
            "machine": self.machine.to_json(),
        }

    def table(self) -> RenderableType:
        """Format as a table for the terminal."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("backend", no_wrap=True)
        for batch in BATCHES:
            table.add_column(f"{batch} crop{'s'[: batch > 1]}", justify="right")
        for title in ("× first", "FPS", "same labels", "MiB", "start s"):
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
                _shown(figures.frames_per_second, "{:.1f}"),
                _shown(figures.agreement, "{:.2%}"),
                _shown(figures.peak_mib, "{:.0f}"),
                _shown(figures.start_seconds, "{:.2f}"),
            )
        skipped = [Text(f"not run: {', '.join(who)}: {why}") for why, who in reasons.items()]
        heading = Text("milliseconds per call, p50/p95/p99, from uint8 crops to probabilities")
        return Group(heading, table, *skipped, *map(Text, self._lines()))

    def _lines(self) -> Iterator[str]:
        first = self.figures[0]
        yield f"× first: speed relative to {first.candidate.label}, one crop per call, by medians"
        source = self.bench.input or f"the moving face, {self.bench.resolution}"
        yield f"FPS: the whole pipeline, end to end, on {source}, output {self.bench.output}"
        for figures in self.figures:
            if figures.device_ms:
                shown = ", ".join(f"{batch}: {ms:.2f}" for batch, ms in figures.device_ms.items())
                yield f"{figures.candidate.label}, by the device's own clock, ms per call: {shown}"
        if first.finish is not None:
            times = _three(first.finish, digits=2)
            yield f"finish: {times} ms from one crop's probabilities to its labels (p50/p95/p99)"
        yield self.machine.line()


def _three(times: Percentiles, *, digits: int = 1) -> str:
    return "/".join(f"{value:.{digits}f}" for value in (times.p50, times.p95, times.p99))


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)
