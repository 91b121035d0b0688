"""Benchmark the real pipeline: the time of each stage, latency, and frames per second."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from rtseg.errors import SettingError, SourceError
from rtseg.frames import Frame, Picture, Segmentation
from rtseg.labels import HELEN
from rtseg.media.info import SourceInfo
from rtseg.run_outputs import video_sink
from rtseg.runtime.statistics import Progress, RunSummary
from rtseg.settings import (
    BenchSettings,
    EncodeSettings,
    FaceSettings,
    ModelSettings,
    ViewSettings,
    thread_count,
)
from rtseg.sinks.base import Outcome, Sink
from rtseg.sources.base import Source
from rtseg.system.machine import Machine, this_machine
from rtseg.system.threads import NULL_MODEL, decoder_threads
from rtseg.timing import STAGES, Percentiles, StageTimes
from rtseg.wiring import check_choices, wire

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rtseg.backends.base import Backend

AGREEMENT = 0.1
"""Tolerated difference between a serial run's summed stages and its end-to-end time."""

_EXTRA_FRAMES = 16
"""Frames in the source beyond the last measured one, so that the earlier stages are as busy at the
end of the measurement as at its start."""

Segment = Callable[[Frame], Segmentation]


@dataclass(frozen=True, kw_only=True)
class Engine:
    """The backend that ran the network; everything except `model` is empty if none ran."""

    model: str
    backend: str
    device: str
    precision: str


@dataclass(frozen=True, kw_only=True)
class BenchReport:
    """The results of a benchmark and its configuration.

    Attributes:
        settings: the benchmark's settings.
        source: the input's name.
        width, height: frame size in pixels.
        engine: the backend that ran the network.
        threads: its processor threads.
        summary: counts and distributions, without the warm-up.
        machine: the machine.
    """

    settings: BenchSettings
    source: str
    width: int
    height: int
    engine: Engine
    threads: int
    summary: RunSummary = field(repr=False)
    machine: Machine

    @property
    def frame_ms(self) -> float:
        """End-to-end milliseconds per frame."""
        return self.summary.seconds * 1e3 / self.summary.frames

    @property
    def stages_ms(self) -> float:
        """The sum of all stages in milliseconds per frame."""
        stages = self.summary.stages.values()
        return sum(stage.mean * stage.count for stage in stages) / self.summary.frames

    @property
    def agrees(self) -> bool | None:
        """Whether stages and end-to-end time agree; None if stages overlap and need not agree."""
        if self.settings.overlap:
            return None
        return abs(self.stages_ms - self.frame_ms) <= AGREEMENT * self.frame_ms

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values; times are in milliseconds."""
        summary = self.summary
        return {
            "schema": 1,
            "settings": asdict(self.settings),
            "source": {"name": self.source, "width": self.width, "height": self.height},
            "engine": {**asdict(self.engine), "threads": self.threads},
            "frames": summary.frames,
            "dropped": summary.dropped,
            "seconds": summary.seconds,
            "frames_per_second": summary.frames_per_second,
            "latency_ms": asdict(summary.latency),
            "stages_ms": {stage: asdict(times) for stage, times in summary.stages.items()},
            "frame_ms": self.frame_ms,
            "stages_sum_ms": self.stages_ms,
            "stages_agree": self.agrees,
            "machine": self.machine.to_json(),
        }

    def table(self) -> RenderableType:
        """Format the results as a table."""
        from rich.console import Group
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        table.add_column("stage")
        for name in ("p50", "p95", "p99", "mean"):
            table.add_column(f"{name} ms", justify="right")
        for stage in STAGES:
            table.add_row(stage, *_cells(self.summary.stages.get(stage)))
        table.add_row("latency", *_cells(self.summary.latency), style="bold")
        return Group("", table, "", *self._lines())

    def _lines(self) -> Iterator[str]:
        summary, engine, machine = self.summary, self.engine, self.machine
        yield (
            f"{summary.frames_per_second:.1f} FPS end to end: {summary.frames} frames in "
            f"{summary.seconds:.2f} s, {summary.dropped} dropped"
        )
        close = summary.stages.get("close")
        if self.settings.output == "encode" and close is not None:
            yield f"of which finishing the file took {close.mean:.0f} ms, once"
        if self.settings.overlap:
            yield "Stages overlap, so they add up to more than the time per frame;"
            yield "latency includes queueing between them. --no-overlap runs them one by one."
        else:
            verdict = "they agree" if self.agrees else "THEY DISAGREE: do not trust this table"
            yield (
                f"stages add up to {self.stages_ms:.2f} ms per frame, end to end "
                f"{self.frame_ms:.2f} ms: {verdict}"
            )
        yield ""
        yield f"input    {self.source}, {self.width}x{self.height}, output {self.settings.output}"
        if engine.backend:
            yield f"network  {engine.model}, {engine.backend} {engine.precision} on {engine.device}"
        else:
            yield "network  none: decoding, drawing and encoding only"
        yield f"machine  {machine.line()}, {self.threads} threads used"
        versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
        yield f"system   {machine.system}, Python {machine.python}"
        yield f"         {versions}"


def _cells(times: Percentiles | None) -> tuple[str, ...]:
    if times is None or not times.count:
        return ("-",) * 4
    return tuple(f"{value:.2f}" for value in (times.p50, times.p95, times.p99, times.mean))


def run_bench(
    settings: BenchSettings,
    *,
    model: ModelSettings | None = None,
    faces: FaceSettings | None = None,
    view: ViewSettings | None = None,
    effects: Sequence[str] = (),
    on_progress: Callable[[Progress], None] | None = None,
) -> BenchReport:
    """Measure one configuration.

    Args:
        settings: the input, output and length of the run.
        model: the network; the model `null` runs none.
        faces: how faces are tracked.
        view: the view to draw.
        effects: as for `wire`; their time counts towards the stage render.
        on_progress: as for `Pipeline.run`.

    Raises:
        SettingError: there are effects but no network to make their masks.
        SourceError: the input cannot be read, or ends before the warm-up.
        RtsegError: any error of the pipeline.
    """
    model, view = model or ModelSettings(), view or ViewSettings()
    if effects and model.model == NULL_MODEL:
        raise SettingError(f"`effect`: needs a network's masks; `model` {NULL_MODEL} runs none")
    if model.model != NULL_MODEL:
        from rtseg.backends import label_set_of

        check_choices(label_set_of(model.model), view=view, effects=effects)
    soft = bool(effects) or view.kind.uses_soft_masks
    times = StageTimes()
    with ExitStack() as stack:
        source = stack.enter_context(_open_source(settings, model))
        segment, engine = stack.enter_context(_open_segmenter(model, faces, times, soft=soft))
        sink = stack.enter_context(_open_sink(settings, model))
        summary = measure(
            settings,
            source=source,
            segment=segment,
            sink=sink,
            view=view,
            effects=effects,
            times=times,
            on_progress=on_progress,
        )
        return BenchReport(
            settings=settings,
            source=source.info.name,
            width=source.info.width,
            height=source.info.height,
            engine=engine,
            threads=thread_count(model.threads),
            summary=summary,
            machine=this_machine(),
        )


def run_bench_on(
    backend: Backend,
    settings: BenchSettings,
    *,
    faces: FaceSettings | None = None,
    view: ViewSettings | None = None,
    threads: int = 0,
) -> RunSummary:
    """Like `run_bench`, on an open backend, which stays open; returns the summary only.

    Raises:
        SourceError: as for `run_bench`.
    """
    from rtseg.segmenter import Segmenter

    times = StageTimes()
    model = ModelSettings(
        device="cpu" if backend.device.startswith("cpu") else "cuda", threads=threads
    )
    with ExitStack() as stack:
        source = stack.enter_context(_open_source(settings, model))
        sink = stack.enter_context(_open_sink(settings, model))
        return measure(
            settings,
            source=source,
            segment=Segmenter(backend=backend, faces=faces, times=times),
            sink=sink,
            view=view or ViewSettings(),
            times=times,
        )


def measure(
    settings: BenchSettings,
    *,
    source: Source,
    segment: Segment,
    sink: Sink,
    view: ViewSettings,
    effects: Sequence[str] = (),
    times: StageTimes,
    on_progress: Callable[[Progress], None] | None = None,
) -> RunSummary:
    """Run the pipeline and return its summary.

    Raises:
        SourceError: the source ends before the warm-up.
    """
    summary = wire(
        source,
        segment,
        [sink],
        view=view,
        effects=effects,
        times=times,
        overlap=settings.overlap,
        max_frames=settings.frames,
        warmup_frames=settings.warmup,
    ).run(on_progress=on_progress)
    if summary.frames == 0:
        raise SourceError(
            f"{source.info.name}: ends before the warm-up of {settings.warmup} frames; "
            "use a longer input or a smaller `warmup`"
        )
    return summary


class _PixelsOnlySink(Sink):
    """A sink that discards the rendered pictures."""

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        pass

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        pass

    def close(self, outcome: Outcome) -> None:
        pass


def _open_source(settings: BenchSettings, model: ModelSettings) -> Source:
    if settings.input is not None:
        from rtseg.sources import open_source

        return open_source(settings.input, threads=decoder_threads(model))
    from rtseg.sources.synthetic import MovingFaceSource

    width, height = settings.size
    count = settings.warmup + settings.frames + _EXTRA_FRAMES
    return MovingFaceSource(width=width, height=height, frame_count=count)


@contextmanager
def _open_segmenter(
    model: ModelSettings, faces: FaceSettings | None, times: StageTimes, *, soft: bool
) -> Iterator[tuple[Segment, Engine]]:
    if model.model == NULL_MODEL:
        yield _label_nothing, Engine(model=NULL_MODEL, backend="", device="", precision="")
        return
    from rtseg.backends import open_backend_for
    from rtseg.segmenter import Segmenter

    with open_backend_for(model) as backend:
        segmenter = Segmenter(backend=backend, faces=faces, times=times, soft=soft)
        size = f"{backend.model.input_width}x{backend.model.input_height}"
        yield (
            segmenter,
            Engine(
                model=f"{model.model or 'face-parts'} ({backend.model.architecture}, {size})",
                backend=backend.name,
                device=backend.device,
                precision=backend.precision,
            ),
        )


def _label_nothing(frame: Frame) -> Segmentation:
    import numpy as np

    labels = np.zeros((frame.height, frame.width), np.uint8)
    return Segmentation(labels=labels, label_set=HELEN)


@contextmanager
def _open_sink(settings: BenchSettings, model: ModelSettings) -> Iterator[Sink]:
    if settings.output == "none":
        yield _PixelsOnlySink()
        return
    from pathlib import Path
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="rtseg-bench-") as folder:
        yield video_sink(str(Path(folder) / "bench.mp4"), encode=EncodeSettings(), model=model)
