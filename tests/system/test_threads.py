"""Decoder and encoder leave the network its share of the processor."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import rtseg.sinks.video
import rtseg.system.nvidia
from rtseg.bench.pipeline import run_bench
from rtseg.cli.video import segment_video
from rtseg.settings import (
    BenchSettings,
    EncodeSettings,
    FaceSettings,
    ModelSettings,
    ReadSettings,
    ViewSettings,
)
from rtseg.sinks.codecs import CODECS, encoder_threads
from rtseg.sources.video import VideoSource
from rtseg.system.threads import (
    SWITCH_SECONDS,
    decoder_threads,
    half,
    quick_thread_switches,
    shares_processor,
)
from tests.support.clips import make_clip


def with_driver(monkeypatch: pytest.MonkeyPatch, *, works: bool) -> None:
    problem = None if works else "no NVIDIA driver"
    monkeypatch.setattr(rtseg.system.nvidia, "nvidia_driver_problem", lambda: problem)


def test_the_network_shares_the_processor_unless_a_gpu_or_nothing_runs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_driver(monkeypatch, works=True)
    assert not shares_processor(ModelSettings())
    assert not shares_processor(ModelSettings(model="null", device="cpu"))
    assert shares_processor(ModelSettings(device="cpu"))
    assert shares_processor(ModelSettings(backend="openvino"))
    assert decoder_threads(ModelSettings(threads=6)) == 6
    assert decoder_threads(ModelSettings()) == 0
    with_driver(monkeypatch, works=False)
    assert shares_processor(ModelSettings())
    assert not shares_processor(ModelSettings(model="null"))
    assert decoder_threads(ModelSettings(threads=6)) == 3
    assert decoder_threads(ModelSettings(threads=1)) == 1
    assert decoder_threads(ModelSettings()) == half(0)


@pytest.mark.parametrize(
    ("codec", "settings", "size", "shared", "expected"),
    [
        ("h264", {}, (1280, 720), True, 4),
        ("h264", {"preset": "ultrafast"}, (640, 480), True, 4),
        ("h264", {}, (1280, 720), False, 8),
        ("h264", {}, (1920, 1080), True, 8),
        ("h264", {"preset": "medium"}, (1280, 720), True, 8),
        ("hevc", {}, (1280, 720), True, 8),
        ("vp9", {}, (1280, 720), True, 8),
    ],
)
def test_an_encoder_that_is_faster_than_the_network_gets_half(
    codec: str, settings: dict[str, Any], size: tuple[int, int], shared: bool, expected: int
) -> None:
    width, height = size
    threads = encoder_threads(
        CODECS[codec],
        EncodeSettings(**settings),
        width=width,
        height=height,
        threads=8,
        shared=shared,
    )
    assert threads == expected


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The numbers of threads that decoder and encoder were opened with."""
    threads: dict[str, int] = {}
    begin = VideoSource._prepare

    def prepare(self: VideoSource, container: Any) -> None:
        begin(self, container)
        threads["decode"] = self._video.codec_context.thread_count

    def choose(*arguments: Any, **options: Any) -> int:
        threads["encode"] = encoder_threads(*arguments, **options)
        return threads["encode"]

    monkeypatch.setattr(VideoSource, "_prepare", prepare)
    monkeypatch.setattr(rtseg.sinks.video, "encoder_threads", choose)
    with_driver(monkeypatch, works=False)
    return threads


def test_video_opens_decoder_and_encoder_with_these_threads(
    used: dict[str, int], tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "in.mp4")
    model = ModelSettings(backend="torch", device="cpu", threads=4)
    code = segment_video(
        source=str(clip),
        output=str(tmp_path / "out.mp4"),
        view=ViewSettings(),
        read=ReadSettings(),
        encode=EncodeSettings(),
        model=model,
        faces=FaceSettings(),
        quiet=True,
    )
    assert code == 0
    assert used == {"decode": 2, "encode": 2}


def test_the_null_model_gets_all_threads(used: dict[str, int], tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4")
    run_bench(
        BenchSettings(input=str(clip), frames=4, warmup=1, output="encode"),
        model=ModelSettings(model="null", threads=4),
    )
    assert used == {"decode": 4, "encode": 4}


def test_threads_switch_quickly_during_any_run():
    before = sys.getswitchinterval()
    with quick_thread_switches():
        assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)
        with quick_thread_switches():
            pass
        assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)
        with pytest.raises(KeyError), quick_thread_switches():
            raise KeyError
    assert sys.getswitchinterval() == before


def test_an_interval_that_is_already_shorter_is_kept():
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0001)
    try:
        with quick_thread_switches():
            assert sys.getswitchinterval() == pytest.approx(0.0001, abs=2e-6)
        assert sys.getswitchinterval() == pytest.approx(0.0001, abs=2e-6)
    finally:
        sys.setswitchinterval(before)
