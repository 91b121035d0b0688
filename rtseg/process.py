"""Run the whole pipeline: `process_video` writes outputs, `stream` yields results to a loop.

Both, and every command, open what they are given by name and hand it to `rtseg.wiring.wire`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rtseg.backends import open_backend, open_backend_for
from rtseg.backends.base import Backend
from rtseg.checkpoint import Checkpoint
from rtseg.errors import SettingError
from rtseg.frames import Frame, Segmentation
from rtseg.media.info import SourceInfo
from rtseg.outputs import check_outputs
from rtseg.run_outputs import Location, destinations, open_sinks
from rtseg.runtime.pipeline import Pipeline
from rtseg.runtime.statistics import Progress, RunSummary
from rtseg.runtime.stream import iterate
from rtseg.segmenter import Segmenter
from rtseg.settings import (
    CameraSettings,
    EncodeSettings,
    FaceSettings,
    ModelSettings,
    ReadSettings,
    StreamSettings,
    ViewName,
    ViewSettings,
)
from rtseg.sinks.base import Sink
from rtseg.sinks.callback import CallbackSink, OnResult
from rtseg.sinks.labels.alpha import AlphaBits
from rtseg.sources import open_source
from rtseg.sources.base import Source
from rtseg.system.threads import decoder_threads
from rtseg.timing import StageTimes
from rtseg.views import SOFT_VIEWS
from rtseg.wiring import AnyEffect, Run, wire

Model = ModelSettings | Checkpoint | Path | str


@contextmanager
def open_run(
    source: Location | int | Source,
    output: Location | Sink | None = None,
    *,
    labels: Location | None = None,
    records: Location | None = None,
    coco: Location | None = None,
    alpha: Sequence[str] | None = None,
    alpha_bits: AlphaBits = 8,
    more_sinks: Sequence[Callable[[SourceInfo], Sink]] = (),
    view: ViewSettings | ViewName | None = None,
    effects: Sequence[AnyEffect] = (),
    model: Model | None = None,
    faces: FaceSettings | None = None,
    soft: bool = False,
    backend: Backend | None = None,
    read: ReadSettings | None = None,
    reconnect: StreamSettings | None = None,
    camera: CameraSettings | None = None,
    encode: EncodeSettings | None = None,
    real_time: bool = False,
    overlap: bool = True,
    max_seconds: float | None = None,
    on_result: OnResult | None = None,
    on_open: Callable[[Source], None] | None = None,
) -> Iterator[Run]:
    """Open the source, the model and the sinks of a run, and close them after the block.

    Args:
        source: what `open_source` takes, or an open source, which is left open.
        output: what `open_sink` takes, or a sink; None writes no pictures. A folder (one that is
            there, or a name that ends in `/`) holds the video under its input's name; pictures
            are asked for by a pattern (`out/%06d.png`).
        labels: where label ids go: a folder, .mkv or .npz.
        records: where one JSON line a frame goes.
        coco: where one file of COCO annotations with run-length masks goes.
        alpha: classes whose soft mask is what `output` gets, without loss: .mkv or PNG files.
        alpha_bits: of its pixels.
        more_sinks: make further sinks, once the source is known.
        view: what is drawn, a group of settings or a view's name; if not given, the overlay, or
            with effects the picture itself.
        effects: what is done to the picture before the view is drawn, as `wire` takes them.
        model: a group of settings, a checkpoint or a path; the built-in model if not given.
        faces: how faces are found, followed and steadied.
        soft: keep what soft masks are made of, for `Segmentation.alpha`; what is asked for here
            and needs them has them anyway.
        backend: one that is open already, and stays so; then `model` only tells the threads.
        read, camera, real_time: as `open_source` takes them; where all there is to write is sent
            on the network, a file is read in real time.
        reconnect: what is done about a live input or a network output that goes away.
        encode: how a video is written.
        overlap, max_seconds: as `Pipeline` takes them.
        on_result: called with each frame and its segmentation once the outputs have them.
        on_open: called with the source once it is open, before the model is loaded.

    Raises:
        SettingError: a value is not allowed, there is no output, or an output is the input.
        RtsegError: the input, the model or an output cannot be opened.
    """
    if view is None:
        view = "none" if effects else ViewSettings()
    view = ViewSettings(view=view) if isinstance(view, str) else view
    encode = encode or EncodeSettings()
    reconnect = reconnect or StreamSettings()
    settings = model if isinstance(model, ModelSettings) else ModelSettings()
    places = {"`output`": output, "`labels`": labels, "`records`": records, "`coco`": coco}
    if all(place is None for place in places.values()) and not more_sinks and not on_result:
        raise SettingError("no output; give `output`, `labels`, `records`, `coco` or `on_result`")
    if alpha is not None and (output is None or isinstance(output, Sink)):
        raise SettingError("`alpha`: needs an output to go to; give `output`")
    output, labels, records = destinations(
        source,
        output,
        labels,
        records,
        encode=encode,
        real_time=real_time,
        is_lossless=alpha is not None,
    )
    places |= {"`output`": output, "`labels`": labels, "`records`": records}
    check_outputs(
        [None if isinstance(source, Source) else str(source), settings.model],
        {
            name: None if place is None or isinstance(place, Sink) else str(place)
            for name, place in places.items()
        },
        allow_nested_urls=read is not None and read.allow_nested_urls,
    )
    encode = encode.for_view(view.view)
    times = StageTimes()
    sinks = open_sinks(
        output,
        labels,
        records,
        coco,
        alpha=alpha,
        alpha_bits=alpha_bits,
        encode=encode,
        model=settings,
        reconnect=reconnect,
    )
    # Who receives such an output sees what comes when it comes; files get every frame.
    is_sent = any(sink.wants_real_time for sink in sinks)
    real_time = real_time or (all(sink.wants_real_time for sink in sinks) and is_sent)
    with ExitStack() as stack:
        if not isinstance(source, Source):
            source = stack.enter_context(
                open_source(
                    source,
                    settings=read,
                    exact_colour=output is not None or real_time,
                    with_streams=(
                        encode.kept_streams
                        if output is not None and (is_sent or not real_time)
                        else False
                    ),
                    real_time=real_time,
                    camera=camera,
                    stream=reconnect,
                    threads=decoder_threads(settings),
                )
            )
        if on_open is not None:
            on_open(source)
        sinks += [make(source.info) for make in more_sinks]
        if on_result is not None:
            sinks.append(CallbackSink(on_result))
        if backend is None:
            backend = stack.enter_context(_open_backend(model))
        soft = soft or bool(effects) or alpha is not None or view.view in SOFT_VIEWS
        segmenter = Segmenter(backend=backend, faces=faces, times=times, soft=soft)
        if alpha is not None:
            segmenter.label_set.select(alpha)
        yield wire(
            source,
            segmenter,
            sinks,
            view=view,
            effects=effects,
            times=times,
            overlap=overlap,
            max_seconds=max_seconds,
        )


def _both(first: OnResult | None, second: OnResult | None) -> OnResult | None:
    if first is None or second is None:
        return first or second

    def call(frame: Frame, segmentation: Segmentation) -> None:
        first(frame, segmentation)
        second(frame, segmentation)

    return call


def process_video(
    source: Location | int | Source,
    output: Location | Sink | None = None,
    *,
    labels: Location | None = None,
    records: Location | None = None,
    coco: Location | None = None,
    alpha: Sequence[str] | None = None,
    alpha_bits: AlphaBits = 8,
    view: ViewSettings | ViewName | None = None,
    effects: Sequence[AnyEffect] = (),
    model: Model | None = None,
    faces: FaceSettings | None = None,
    soft: bool = False,
    backend: Backend | None = None,
    read: ReadSettings | None = None,
    reconnect: StreamSettings | None = None,
    encode: EncodeSettings | None = None,
    overlap: bool = True,
    on_frame: OnResult | None = None,
    on_result: OnResult | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> RunSummary:
    """Segment a video, a stream or images, and write every frame at its own instant.

    Args:
        source: a file, a URL, a folder or pattern of images, or an open `Source`.
        output: a video by its suffix, a folder for a video of the input's name, a pattern
            (`out/%06d.png`) for images, a URL, or a `Sink`.
        on_progress: called at most ten times a second, on this thread.
        on_frame: another name of `on_result`; both are called where both are given.
        labels, records, coco, alpha, alpha_bits, view, effects, model, faces, soft, backend, read,
            reconnect, encode, overlap, on_result: as `open_run` takes them.

    Returns:
        What the run did: frames, seconds, stages.

    Raises:
        SettingError: a value is not allowed, there is no output, or an output is the input.
        TruncatedError: the input ended in the middle; every frame before it was written.
        RtsegError: whatever else went wrong, after what could be kept was kept.
    """
    with open_run(
        source,
        output,
        labels=labels,
        records=records,
        coco=coco,
        alpha=alpha,
        alpha_bits=alpha_bits,
        view=view,
        effects=effects,
        model=model,
        faces=faces,
        soft=soft,
        backend=backend,
        read=read,
        reconnect=reconnect,
        encode=encode,
        overlap=overlap,
        on_result=_both(on_frame, on_result),
    ) as run:
        return run.run(on_progress=on_progress)


def stream(
    source: Location | int | Source,
    *,
    model: Model | None = None,
    faces: FaceSettings | None = None,
    soft: bool = False,
    backend: Backend | None = None,
    read: ReadSettings | None = None,
    reconnect: StreamSettings | None = None,
    camera: CameraSettings | None = None,
    real_time: bool = False,
) -> Generator[tuple[Frame, Segmentation], None, None]:
    """Yield each frame of a video, a camera or a stream with its segmentation.

    Reading and the network work on threads of their own while the caller's loop does its work. Of
    a live source the newest frame comes, and those that the loop was too slow for are dropped;
    of a file every frame. Leaving the loop or closing the generator joins the threads and closes
    everything that was opened here.

    Args:
        source: a file, a URL, a camera's index as text ("0") or an open `Source`.
        model, faces, soft, backend: as `open_run` takes them.
        read, reconnect, camera, real_time: as `open_source` takes them.

    Raises:
        RtsegError: while iterating: the input or the model cannot be opened, or fails;
            TruncatedError after the last frame of an input that ends in the middle.
    """
    settings = model if isinstance(model, ModelSettings) else ModelSettings()
    with ExitStack() as stack:
        if not isinstance(source, Source):
            source = stack.enter_context(
                open_source(
                    source,
                    settings=read,
                    real_time=real_time,
                    camera=camera,
                    stream=reconnect or StreamSettings(),
                    threads=decoder_threads(settings),
                )
            )
        if backend is None:
            backend = stack.enter_context(_open_backend(model))
        opened, segmenter = source, Segmenter(backend=backend, faces=faces, soft=soft)

        def make_pipeline(sink: Sink) -> Pipeline:
            return wire(opened, segmenter, [sink], view=None).pipeline

        yield from iterate(make_pipeline, is_live=source.info.is_live)


def _open_backend(model: Model | None) -> Backend:
    if isinstance(model, ModelSettings):
        return open_backend_for(model)
    return open_backend(model=model)
