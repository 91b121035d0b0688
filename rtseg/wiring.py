"""Wire a source, a segmenter, a view and sinks together into a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from rtseg.effects import Effect, EffectChain
from rtseg.errors import SettingError
from rtseg.frames import Frame, Picture, Segmentation
from rtseg.labels import LabelSet
from rtseg.pending import PendingSegmentation
from rtseg.runtime.pipeline import Pipeline
from rtseg.runtime.statistics import Progress, RunSummary
from rtseg.runtime.turns import Turn
from rtseg.segmenter import Segmenter
from rtseg.settings import ViewSettings
from rtseg.sinks.base import Event, Sink
from rtseg.sinks.tee import TeeSink
from rtseg.sources.base import Source
from rtseg.timing import StageTimes
from rtseg.views import check_view, rendered_size
from rtseg.views.live import Effect as PictureEffect
from rtseg.views.live import LiveView

Segment = Callable[[Frame], Segmentation]

AnyEffect = str | Effect | PictureEffect
"""An effect: a `NAME=VALUE` string, an object of `rtseg.effects`, or a function."""


@dataclass(frozen=True, eq=False)
class Run:
    """A source, a segmenter, a view and sinks, wired together. It can run once.

    Attributes:
        source: the source of frames; whoever opened it closes it.
        segment: labels the frames.
        sink: all sinks combined; more can be added during the run.
        sinks: the initial sinks in order.
        view: draws the view, which can be changed during the run; None if frames are passed on
            unchanged.
        width, height: size of the drawn pictures in pixels.
        pipeline: the pipeline that runs it.
    """

    source: Source
    segment: Segment
    sink: TeeSink
    sinks: tuple[Sink, ...]
    view: LiveView | None
    width: int
    height: int
    pipeline: Pipeline

    def run(
        self,
        *,
        on_progress: Callable[[Progress], None] | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> RunSummary:
        """Process the source to its end. See `Pipeline.run` for the callbacks and errors."""
        return self.pipeline.run(on_progress=on_progress, on_event=on_event)

    def stop(self) -> None:
        """End the run normally. Safe from any thread and from signal handlers."""
        self.pipeline.stop()

    @property
    def summary(self) -> RunSummary | None:
        """The summary of the run, even if `run` raised; None until it has ended."""
        return self.pipeline.summary

    @property
    def outputs(self) -> list[str]:
        """The locations of the outputs, for people."""
        return [place for place in (sink.describe() for sink in self.sinks) if place]


def wire(
    source: Source,
    segment: Segment,
    sinks: Sequence[Sink],
    *,
    view: ViewSettings | None,
    effects: Sequence[AnyEffect] = (),
    times: StageTimes | None = None,
    overlap: bool = True,
    max_seconds: float | None = None,
    max_frames: int | None = None,
    warmup_frames: int = 0,
    turn: Turn | None = None,
) -> Run:
    """Assemble a run.

    Args:
        source: an open source.
        segment: a `Segmenter`, or any function that labels a frame.
        sinks: closed sinks; the run opens and closes them.
        view: the view to draw; None passes frames on unchanged.
        effects: changes to each picture before the view is drawn, on the output's thread:
            `"lips=#b0122a"`, an object of `rtseg.effects`, or a function from a frame and its
            segmentation to a picture.
        times: records the stages; pass the same object to the segmenter.
        overlap, max_seconds, max_frames, warmup_frames, turn: as for `Pipeline`.

    Raises:
        SettingError: the view's settings are invalid, an effect is unknown or not supported by the
            model, or a limit is out of range.
        SourceError: an effect's file cannot be read.
    """
    sink = TeeSink(sinks)
    width, height = source.info.width, source.info.height
    live: LiveView | None = None
    label_set: LabelSet | None = None
    if view is not None:
        if isinstance(segment, Segmenter):
            check_view(view, segment.label_set, alpha=sink.has_alpha)
            label_set = segment.label_set
        width, height = rendered_size(view, width, height)
        live = LiveView(
            view,
            alpha=sink.has_alpha,
            statistics=lambda: pipeline.statistics,
            effects=chained(effects, label_set),
        )
    first: Callable[[Frame], Segmentation | PendingSegmentation] = segment
    if isinstance(segment, Segmenter):
        first = segment.begin
    pipeline = Pipeline(
        source=source,
        segment=first,
        sink=sink,
        render=live or _unchanged,
        width=width,
        height=height,
        times=times,
        overlap=overlap,
        max_seconds=max_seconds,
        max_frames=max_frames,
        warmup_frames=warmup_frames,
        turn=turn,
    )
    return Run(
        source=source,
        segment=segment,
        sink=sink,
        sinks=tuple(sinks),
        view=live,
        width=width,
        height=height,
        pipeline=pipeline,
    )


def check_choices(
    label_set: LabelSet,
    *,
    view: ViewSettings,
    effects: Sequence[AnyEffect] = (),
    alpha: Sequence[str] | None = None,
    has_alpha: bool = True,
) -> None:
    """Reject classes and effects that a model does not have; needs its label set only.

    Args:
        label_set: the model's.
        view, effects: as for `wire`.
        alpha: classes whose soft mask is written.
        has_alpha: whether the output holds transparency.

    Raises:
        SettingError: a class or an effect is unknown, or not supported by the model.
        SourceError: an effect's file cannot be read.
    """
    check_view(view, label_set, alpha=has_alpha)
    chained(effects, label_set)
    if alpha is not None:
        try:
            label_set.select(alpha)
        except SettingError as error:
            raise SettingError(f"`alpha`: {error}") from None


def chained(effects: Sequence[AnyEffect], label_set: LabelSet | None) -> list[PictureEffect]:
    """Prepare effects for a view; those of `rtseg.effects` become chains with their own memory.

    Args:
        label_set: the model's label set, to check the effects; None without a model.

    Raises:
        SettingError: an effect is unknown, or the model has no such part.
        SourceError: a background file cannot be read.
    """
    grouped: list[PictureEffect] = []
    for is_ours, group in groupby(effects, lambda effect: isinstance(effect, (str, Effect))):
        if is_ours:
            chain = EffectChain(effect for effect in group if isinstance(effect, (str, Effect)))
            if label_set is not None:
                chain.check(label_set)
            grouped.append(chain)
        else:
            grouped += [effect for effect in group if not isinstance(effect, (str, Effect))]
    return grouped


def _unchanged(frame: Frame, _segmentation: Segmentation) -> Picture:
    return frame.image
