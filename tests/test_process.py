"""`process_video` and `stream`: the whole pipeline from Python, without the command line."""

from __future__ import annotations

import json
import threading
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtseg import MemorySink, ModelSettings, ViewSettings, process_video, stream
from rtseg.backends import open_backend
from rtseg.backends.base import Backend
from rtseg.errors import NoVideoError, SettingError, SourceError, TruncatedError
from rtseg.frames import Frame, Segmentation
from rtseg.process import open_run
from rtseg.sources.synthetic import MovingFaceSource
from rtseg.wiring import wire
from tests.support.clips import MakeClip, read_frames
from tests.support.exported import tiny_checkpoint
from tests.support.painted import PaintedOnGpu


@pytest.fixture(scope="module")
def backend() -> Any:
    with open_backend("torch", model=tiny_checkpoint(), device="cpu", threads=1) as opened:
        yield opened


def rtseg_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("rtseg-")]


def test_a_video_can_be_written_to_every_kind_of_output(
    make_clip: MakeClip, tmp_path: Path, backend: Backend
) -> None:
    clip = make_clip(audio="aac")
    results: list[object] = []
    also: list[int] = []
    ticks: list[int] = []
    summary = process_video(
        clip,
        tmp_path / "out.mp4",
        labels=tmp_path / "masks",
        records=tmp_path / "out.jsonl",
        view="mask",
        backend=backend,
        on_frame=lambda frame, segmentation: results.append(
            (frame.index, segmentation.labels.shape)
        ),
        on_result=lambda frame, _found: also.append(frame.index),
        on_progress=lambda progress: ticks.append(progress.frames),
    )
    frames = read_frames(clip)
    size = (frames[0].height, frames[0].width)
    assert summary.frames == len(frames)
    assert summary.ended_by == "end"
    assert results == [(index, size) for index in range(len(frames))]
    assert also == list(range(len(frames)))
    assert ticks[-1] == len(frames)
    written = read_frames(tmp_path / "out.mp4")
    assert [frame.pts_seconds for frame in written] == [frame.pts_seconds for frame in frames]
    assert len(list((tmp_path / "masks").glob("*.png"))) == len(frames)
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["index"] for line in lines[1:]] == list(range(len(frames)))


def test_a_custom_source_and_sink_can_be_used(backend: Backend) -> None:
    with MovingFaceSource(width=64, height=48, frame_count=5) as source:
        sink = MemorySink()
        process_video(source, sink, view=ViewSettings(view="side-by-side"), backend=backend)
    assert sink.outcome == "finished"
    assert [picture.shape for picture in sink.pictures] == [(48, 128, 3)] * 5


def test_effects_change_the_picture_before_the_view(backend: Backend) -> None:
    def paint_it_black(frame: Frame, _segmentation: Segmentation) -> Any:
        return np.zeros_like(frame.image)

    def lighten(frame: Frame, _segmentation: Segmentation) -> Any:
        return frame.image + 7

    with MovingFaceSource(width=64, height=48, frame_count=2) as source:
        sink = MemorySink()
        process_video(
            source,
            sink,
            view=ViewSettings(opacity=0.0),
            effects=[paint_it_black, lighten],
            backend=backend,
        )
        assert all((picture == 7).all() for picture in sink.pictures)
        assert all(frame.image.max() > 7 for frame in sink.frames), "the frame is left as it was"


def test_an_exception_of_the_callers_ends_the_run_and_is_raised(
    make_clip: MakeClip, tmp_path: Path, backend: Backend
) -> None:
    def on_result(frame: Frame, _segmentation: Segmentation) -> None:
        if frame.index == 3:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        process_video(make_clip(), tmp_path / "o.mp4", backend=backend, on_result=on_result)
    assert not (tmp_path / "o.mp4").exists()
    assert rtseg_threads() == []


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({}, "no output; give `output`, `labels`, `records`, `coco` or `on_result`"),
        ({"output": "in.mp4"}, "`output`: .*is the input itself"),
        ({"output": "o.mp4", "records": "o.mp4"}, "`records`: .* is also `output`"),
        ({"output": "o.mp4", "view": "xray"}, "`view`: 'xray' is unknown"),
        ({"output": "o.mp4", "view": ViewSettings(classes=("horns",))}, "horns"),
    ],
)
def test_impossible_arguments_are_refused_at_once(
    make_clip: MakeClip,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    backend: Backend,
    how: dict[str, Any],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    clip = make_clip("in.mp4")
    before = clip.read_bytes()
    with pytest.raises(SettingError, match=says):
        process_video(clip, backend=backend, **how)
    assert clip.read_bytes() == before
    assert not (tmp_path / "o.mp4").exists()


def test_a_file_yields_every_frame_with_its_segmentation(
    make_clip: MakeClip, backend: Backend
) -> None:
    clip = make_clip(ticks=range(20), audio="aac")
    results = []
    for frame, segmentation in stream(clip, backend=backend):
        time.sleep(0.001)  # slower than the reader: still nothing is dropped
        assert segmentation.labels.shape == frame.image.shape[:2]
        results.append(frame.index)
    assert results == list(range(20))
    assert rtseg_threads() == []


def test_a_live_source_yields_its_newest_frame(make_clip: MakeClip, backend: Backend) -> None:
    clip = make_clip(ticks=range(40), time_base=Fraction(1, 100))
    indexes, ages = [], []
    for frame, _ in stream(clip, backend=backend, real_time=True):
        ages.append((time.monotonic_ns() - frame.captured_ns) / 1e9)
        indexes.append(frame.index)
        time.sleep(0.06)
    assert indexes == sorted(set(indexes))
    assert 2 <= len(indexes) < 30, "a loop that is too slow misses some"
    assert sorted(ages)[len(ages) // 2] < 0.5


@pytest.mark.parametrize("leave", ["break", "close", "raise"])
def test_leaving_the_loop_joins_the_threads(
    make_clip: MakeClip, backend: Backend, leave: str
) -> None:
    results = stream(make_clip(ticks=range(200)), backend=backend)
    next(results)
    assert "rtseg-stream" in rtseg_threads()
    if leave == "raise":
        with pytest.raises(KeyError):
            results.throw(KeyError("a bug in the loop"))
    results.close()
    assert rtseg_threads() == []


def test_a_stream_raises_the_errors_of_its_input(
    make_clip: MakeClip, backend: Backend, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match="missing"):
        next(stream(tmp_path / "missing.mp4", backend=backend))
    with pytest.raises(NoVideoError):
        next(stream(make_clip("sound.mkv", video=False, audio="aac"), backend=backend))
    whole = make_clip("cut.mkv", ticks=range(60))
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    count = 0
    with pytest.raises(TruncatedError):  # noqa: PT012  the frames before it come first
        for _ in stream(whole, backend=backend):
            count += 1
    assert count > 5
    assert rtseg_threads() == []


def test_a_failing_segmenter_ends_a_stream(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def infer(_crops: object) -> None:
        raise ZeroDivisionError("a bug in the network")

    monkeypatch.setattr(backend, "infer", infer)
    with (
        MovingFaceSource(width=64, height=48, frame_count=5) as source,
        pytest.raises(ZeroDivisionError, match="a bug in the network"),
    ):
        list(stream(source, backend=backend))


@pytest.mark.parametrize("is_live", [True, False])
def test_networks_on_a_gpu_are_prepared_before_a_live_source_is_read(
    make_clip: MakeClip, is_live: bool
) -> None:
    clip = make_clip()
    backend = PaintedOnGpu()
    with open_run(clip, MemorySink(), backend=backend, real_time=is_live):
        assert backend.warm_ups == is_live
        assert not backend.batches
    frames = stream(clip, backend=backend, real_time=is_live)
    next(frames)
    frames.close()
    assert backend.warm_ups == 2 * is_live


def test_a_run_names_its_outputs(make_clip: MakeClip, tmp_path: Path, backend: Backend) -> None:
    opened: list[str] = []
    with open_run(
        make_clip("in.mp4"),
        tmp_path / "o.mkv",
        records=tmp_path / "o.jsonl",
        backend=backend,
        on_open=lambda source: opened.append(source.info.name),
        more_sinks=[lambda _info: MemorySink(pictures=False)],
    ) as run:
        assert opened == ["in.mp4"]
        assert run.summary is None
        run.run()
        assert run.outputs == [str(tmp_path / "o.mkv"), str(tmp_path / "o.jsonl")]
        assert run.summary is not None


def test_without_a_view_frames_are_unchanged(backend: Backend) -> None:
    def segment(frame: Frame) -> Segmentation:
        labels = np.ones((frame.height, frame.width), np.uint8)
        return Segmentation(labels=labels, label_set=backend.model.label_set)

    with MovingFaceSource(width=64, height=48, frame_count=3) as source:
        sink = MemorySink()
        wire(source, segment, [sink], view=None).run()
    assert all(
        (picture == frame.image).all()
        for picture, frame in zip(sink.pictures, sink.frames, strict=True)
    )


def test_a_model_is_opened_and_closed(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtseg.backends.torch.backend import TorchBackend

    closed: list[object] = []
    close = TorchBackend.close
    monkeypatch.setattr(TorchBackend, "close", lambda self: (closed.append(self), close(self)))
    model = ModelSettings(backend="torch", device="cpu", threads=1, precision="fp32")
    summary = process_video(make_clip(ticks=range(2)), tmp_path / "o.mp4", model=model)
    assert summary.frames == 2
    assert closed
