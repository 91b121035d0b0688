"""Plot a benchmark: time per stage, and the distribution of latencies."""

from __future__ import annotations

from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from rtseg.bench.backend_report import BackendReport
from rtseg.bench.pipeline import BenchReport
from rtseg.errors import SettingError
from rtseg.outputs import write_output
from rtseg.timing import STAGES, Percentiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")

_HALF, _NEARLY_ALL = "#2f6f8f", "#a8cbd8"
_BINS = 40


def check_plot(path: str) -> None:
    """Reject a file that `plot` cannot write, before anything is measured.

    Raises:
        SettingError: the file type is not supported, or matplotlib is not installed.
    """
    suffix = Path(path).suffix.lower().removeprefix(".")
    if suffix not in FORMATS:
        raise SettingError(
            f"--plot {path}: is not a supported picture; allowed: .{', .'.join(FORMATS)}"
        )
    if find_spec("matplotlib") is None:
        raise SettingError("--plot: drawing needs matplotlib; pip install 'rtseg[plot]'")


def plot(report: BenchReport | BackendReport, path: str, *, overwrite: bool = False) -> None:
    """Plot a report into a file.

    Args:
        report: for a pipeline, its stages and latencies are plotted; for several backends, the
            milliseconds per crop of each.
        path: a .png, .svg or .pdf file.
        overwrite: whether an existing file may be replaced.

    Raises:
        SettingError: as for `check_plot`.
        OutputExistsError: the file exists and may not be replaced.
        SinkError: the file cannot be written.
    """
    check_plot(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained", dpi=120)
    if isinstance(report, BackendReport):
        _draw_backends(figure, report)
    else:
        _draw_pipeline(figure, report)
    drawn = BytesIO()
    figure.savefig(drawn, format=Path(path).suffix.lower().removeprefix("."))
    write_output("--plot", path, drawn.getvalue(), overwrite=overwrite)


def _draw_pipeline(figure: Figure, report: BenchReport) -> None:
    summary = report.summary
    stages, latency = figure.subplots(1, 2)
    times = {stage: summary.stages[stage] for stage in STAGES if stage in summary.stages}
    _bars(stages, times)
    stages.set_title("stages" + (", which overlap" if report.settings.overlap else ""))
    latency.hist(summary.latencies_ms, bins=_BINS, color=_HALF)
    latency.margins(y=0.12)
    for value, name, side in (
        (summary.latency.p50, "p50", "left"),
        (summary.latency.p99, "p99", "right"),
    ):
        latency.axvline(value, color="black", linewidth=0.8, linestyle="--")
        latency.annotate(
            f" {name} {value:.1f} ",
            (value, 0.98),
            xycoords=("data", "axes fraction"),
            va="top",
            ha=side,
        )
    latency.set(title="latency, from capture to output", xlabel="ms", ylabel="frames")
    engine = report.engine
    network = f"{engine.backend} {engine.precision}" if engine.backend else "no network"
    figure.suptitle(
        f"{summary.frames_per_second:.1f} FPS end to end: {report.source}, "
        f"{report.width}x{report.height}, {network}, {report.machine.processor}, "
        f"{report.threads} threads",
        fontsize=10,
    )


def _draw_backends(figure: Figure, report: BackendReport) -> None:
    axes = figure.subplots()
    _bars(
        axes,
        {
            figures.candidate.label: figures.batches[1]
            for figures in report.figures
            if not figures.problem
        },
    )
    axes.set_title("one crop: uint8 in, probabilities out")
    figure.suptitle(report.machine.line(), fontsize=10)


def _bars(axes: Axes, times_by_name: dict[str, Percentiles]) -> None:
    """Draw one bar per name: to p50 in one colour, to p95 in a lighter one; the first on top."""
    names = list(times_by_name)
    bars = axes.barh(names, [t.p95 for t in times_by_name.values()], color=_NEARLY_ALL, label="p95")
    axes.barh(names, [t.p50 for t in times_by_name.values()], color=_HALF, label="p50")
    texts = [f" {times.p50:.1f}, {times.p95:.1f}" for times in times_by_name.values()]
    axes.bar_label(bars, texts, fontsize=8)
    axes.margins(x=0.22)
    axes.invert_yaxis()
    axes.set_xlabel("ms")
    axes.legend(loc="lower right")
