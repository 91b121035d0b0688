"""Run the whole pipeline: `process_video` writes outputs, `stream` yields results.

Both, and every command, open sources, models and sinks by name and pass them to
`rtseg.wiring.wire`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rtseg.backends import label_set_of, open_backend, open_backend_for
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
from rtseg.wiring import AnyEffect, Run, check_choices, wire

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
        source: an argument for `open_source`, or an open source, which is left open.
        output: an argument for `open_sink`, or a sink; None writes no pictures. In a folder (an
            existing one, or a name ending in `/`) the video is named after its input; a pattern
            (`out/%06d.png`) selects pictures.
        labels: output for label ids: a folder, .mkv or .npz.
        records: output for one line of JSON per frame.
        coco: output for one file of COCO annotations with run-length masks.
        alpha: classes whose soft mask is written to `output` instead of a view, losslessly: .mkv
            or PNG files.
        alpha_bits: bits per pixel of the soft mask.
        more_sinks: makes further sinks once the source is known.
        view: the view to draw, as settings or by name; by default the overlay, or with effects
            the picture itself.
        effects: changes to the picture before the view is drawn, as for `wire`.
        model: settings, a checkpoint or a path; by default the built-in model.
        faces: how faces are detected, tracked and smoothed.
        soft: keep probabilities for `Segmentation.alpha`; outputs that need them get them anyway.
        backend: an open backend, which stays open; `model` then only determines the threads.
        read, camera, real_time: as for `open_source`; if every output is sent over the network, a
            file is read in real time.
        reconnect: how to reconnect a live input or a network output that goes away.
        encode: how to encode video.
        overlap, max_seconds: as for `Pipeline`.
        on_result: called with each frame and its segmentation after the outputs.
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
        raise SettingError("`alpha`: needs an output; give `output`")
    output, labels, records, coco = destinations(
        source,
        output,
        labels,
        records,
        coco,
        encode=encode,
        real_time=real_time,
        is_lossless=alpha is not None,
    )
    places |= {"`output`": output, "`labels`": labels, "`records`": records, "`coco`": coco}
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
    # Viewers of such outputs watch in real time; files get every frame.
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
        label_set = (
            label_set_of(model.model if isinstance(model, ModelSettings) else model)
            if backend is None
            else backend.model.label_set
        )
        has_alpha = any(sink.wants_pixels and sink.has_alpha for sink in sinks)
        check_choices(label_set, view=view, effects=effects, alpha=alpha, has_alpha=has_alpha)
        if backend is None:
            backend = stack.enter_context(_open_backend(model))
        soft = soft or bool(effects) or alpha is not None or view.kind.uses_soft_masks
        segmenter = Segmenter(backend=backend, faces=faces, times=times, soft=soft)
        if source.info.is_live:
            segmenter.warm_up()
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
    """Segment a video, a stream or images, and write every frame at its exact time.

    Args:
        source: a file, a URL, a folder or pattern of images, or an open `Source`.
        output: a video file, a folder for a video named like the input, a pattern
            (`out/%06d.png`) for images, a URL, or a `Sink`.
        on_progress: called at most ten times per second, on this thread.
        on_frame: another name for `on_result`; if both are given, both are called.
        labels, records, coco, alpha, alpha_bits, view, effects, model, faces, soft, backend, read,
            reconnect, encode, overlap, on_result: as for `open_run`.

    Returns:
        A summary of the run: frames, seconds, stages.

    Raises:
        SettingError: a value is not allowed, there is no output, or an output is the input.
        TruncatedError: the input is truncated; every frame before that was written.
        RtsegError: any other error, after partial outputs have been saved.
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

    Reading and the network run on their own threads, concurrently with the caller's loop. A live
    source yields its newest frame, and frames that the loop is too slow for are dropped; a file
    yields every frame. Leaving the loop or closing the generator joins the threads and closes
    everything that was opened.

    Args:
        source: a file, a URL, a camera's index as text ("0") or an open `Source`.
        model, faces, soft, backend: as for `open_run`.
        read, reconnect, camera, real_time: as for `open_source`.

    Raises:
        RtsegError: while iterating: the input or the model cannot be opened, or fails;
            TruncatedError after the last frame of a truncated input.
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
        if opened.info.is_live:
            segmenter.warm_up()

        def make_pipeline(sink: Sink) -> Pipeline:
            return wire(opened, segmenter, [sink], view=None).pipeline

        yield from iterate(make_pipeline, is_live=source.info.is_live)


def _open_backend(model: Model | None) -> Backend:
    if isinstance(model, ModelSettings):
        return open_backend_for(model)
    return open_backend(model=model)
