"""Outputs survive signals, full disks, removed folders, and failing encoders."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rtseg.sinks.disk_space
from rtseg.errors import DiskFullError, SinkError
from rtseg.frames import Frame, Image, Segmentation
from rtseg.labels import HELEN
from rtseg.media.info import SourceInfo
from rtseg.settings import EncodeSettings
from rtseg.sinks import Sink, open_sink
from rtseg.sinks.json_lines import JsonLinesSink
from rtseg.sinks.labels.images import open_labels_sink
from tests.reliability.command import segmented, start, wait_until_ready
from tests.support.clips import MakeClip, frame_times, part_of, parts_of

FRAMES_A_SECOND = 25
"""Frames per second of the tests' clips."""

IN_QUEUES = 5
"""Segmented frames that may be waiting for the output: four, and the one being written."""

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals and limits")

INFO = SourceInfo(name="t", width=64, height=48, time_base=Fraction(1, 30), frame_rate=Fraction(30))


@pytest.fixture
def long_clip(make_clip: MakeClip) -> Path:
    return make_clip("long.mkv", ticks=range(1000))


def finish(process: subprocess.Popen[str], *, seconds: float = 60) -> str:
    _, errors = process.communicate(timeout=seconds)
    assert "Traceback" not in errors
    return errors


@posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_signal_leaves_a_complete_file(
    long_clip: Path, tmp_path: Path, name: str, suffix: str
) -> None:
    out = tmp_path / f"out{suffix}"
    with start("video", long_clip, "-o", out, seconds=0.02) as process:
        wait_until_ready(process)
        process.send_signal(getattr(signal, name))
        errors = finish(process)
    assert process.returncode == 128 + getattr(signal, name), errors
    assert "interrupted: the output holds every frame up to here" in errors
    assert 3 <= len(frame_times(out)) < 1000
    assert not list(tmp_path.glob("*.part.*"))


@posix
def test_a_kill_loses_at_most_the_last_second(long_clip: Path, tmp_path: Path) -> None:
    with start("video", long_clip, "-o", tmp_path / "out.mp4", seconds=0.02) as process:
        wait_until_ready(process)
        time.sleep(1.5)
        process.kill()
        count = segmented(finish(process))
    assert count > 2 * FRAMES_A_SECOND, "else nothing is shown by what is kept"
    kept = len(frame_times(part_of(tmp_path / "out.mp4")))
    assert kept >= count - FRAMES_A_SECOND - IN_QUEUES


@posix
def test_a_second_ctrl_c_ends_at_once(long_clip: Path, tmp_path: Path) -> None:
    """Even during an inference that takes a minute."""
    with start("video", long_clip, "-o", tmp_path / "out.mp4", seconds=60) as process:
        end = time.monotonic() + 30
        while not parts_of(tmp_path / "out.mp4") and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        errors = finish(process)
    assert time.monotonic() - begun < 1 + 5
    assert process.returncode == 130, errors


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
import runpy
sys.argv = ["command", "0", *sys.argv[1:]]
runpy.run_module("tests.reliability.command", run_name="__main__")
"""


@posix
@pytest.mark.parametrize("option", ["-o", "--labels", "--json"])
def test_a_file_size_limit_ends_a_run_with_its_own_code(
    make_clip: MakeClip, tmp_path: Path, option: str
) -> None:
    noise = np.random.default_rng(0)
    images = [noise.integers(0, 255, (48, 64, 3)).astype(np.uint8) for _ in range(400)]
    clip = make_clip(ticks=range(400), images=images, width=64, height=48)
    out = tmp_path / {"-o": "out.mp4", "--labels": "out.mkv", "--json": "out.jsonl"}[option]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, "video", str(clip), option, str(out)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 9, done.stderr
    assert done.stderr.count("error: ") == 1
    assert "file too large" in done.stderr.lower()
    assert "Traceback" not in done.stderr
    assert not out.exists()
    if option == "-o":
        assert len(frame_times(part_of(out))) >= written(done.stderr) - FRAMES_A_SECOND


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_standard_output_into_a_full_device_exits_with_9(make_clip: MakeClip) -> None:
    with (
        Path("/dev/full").open("wb") as full,
        start("video", make_clip(ticks=range(200)), "-o", "-", stdout=full) as process,
    ):
        errors = finish(process)
    assert process.returncode == 9, errors
    assert "no space left on device" in errors


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=10)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("cannot mount a tmpfs here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True, timeout=10)


def written(error: str) -> int:
    """The number of written frames, according to an error's message."""
    match = re.search(r"after (\d+) frames", error)
    assert match, error
    return int(match[1])


def labelled(image: Image) -> Segmentation:
    return Segmentation(labels=image[..., 0] % len(HELEN), label_set=HELEN)


def write_noise(sink: Sink, count: int) -> int:
    """The number of frames written before the sink failed; the error is re-raised."""
    noise = np.random.default_rng(0)
    sink.open(INFO, width=64, height=48)
    for index in range(count):
        image = noise.integers(0, 255, (48, 64, 3)).astype(np.uint8)
        frame = Frame(image=image, index=index, pts=index, time_base=INFO.time_base)
        sink.write(frame, labelled(image), image)
    return count


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_small_disk_that_fills_up_keeps_a_playable_file(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr(rtseg.sinks.disk_space, "RESERVE_BYTES", 0)
    sink = open_sink(str(small_disk / f"out{suffix}"), settings=EncodeSettings(crf=1), threads=1)
    with pytest.raises(
        DiskFullError, match="no space left on device; what was written is kept"
    ) as caught:
        write_noise(sink, 5000)
    sink.close("failed")
    kept = len(frame_times(part_of(small_disk / f"out{suffix}")))
    assert kept >= written(str(caught.value)) - 30 > 100


def sinks(folder: Path) -> dict[str, Sink]:
    return {
        "video": open_sink(str(folder / "out.mp4"), threads=1),
        "pictures": open_sink(str(folder / "pictures")),
        "label pictures": open_labels_sink(str(folder / "labels"), overwrite=False),
        "label video": open_labels_sink(str(folder / "labels.mkv"), overwrite=False),
        "label archive": open_labels_sink(str(folder / "labels.npz"), overwrite=False),
        "records": JsonLinesSink(str(folder / "records.jsonl")),
    }


KINDS = tuple(sinks(Path("nowhere")))


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The free space in bytes that the fake disk reports; checked before every frame."""
    said = {"bytes": 10**12}

    class Usage:
        free = property(lambda _self: said["bytes"])

    monkeypatch.setattr("shutil.disk_usage", lambda _folder: Usage())
    monkeypatch.setattr(rtseg.sinks.disk_space, "INTERVAL_SECONDS", 0.0)
    return said


@pytest.mark.parametrize("kind", KINDS)
def test_low_space_is_noticed_before_the_run(
    tmp_path: Path, free: dict[str, int], kind: str
) -> None:
    free["bytes"] = 10_000_000
    sink = sinks(tmp_path)[kind]
    with pytest.raises(DiskFullError, match=r"only 10 MB are free in .*; allowed: 34 MB or more"):
        write_noise(sink, 1)
    sink.close("failed")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("kind", KINDS)
def test_low_space_is_noticed_during_the_run(
    tmp_path: Path, free: dict[str, int], kind: str
) -> None:
    sink = sinks(tmp_path)[kind]
    assert write_noise(sink, 3) == 3
    free["bytes"] = 10_000_000
    image = np.zeros((48, 64, 3), np.uint8)
    frame = Frame(image=image, index=3, pts=3, time_base=INFO.time_base)
    with pytest.raises(DiskFullError, match="only 10 MB are free"):
        sink.write(frame, labelled(image), image)
    sink.close("failed")
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(kept) == (3 if "pictures" in kind else 1)
    if kind == "video":
        assert len(frame_times(part_of(tmp_path / "out.mp4"))) == 3


@posix
@pytest.mark.parametrize("kind", KINDS)
def test_a_removed_output_folder_is_noticed(
    tmp_path: Path, free: dict[str, int], kind: str
) -> None:
    import shutil

    folder = tmp_path / "gone"
    sink = sinks(folder)[kind]
    write_noise(sink, 2)
    shutil.rmtree(folder)
    image = np.zeros((48, 64, 3), np.uint8)
    frame = Frame(image=image, index=2, pts=2, time_base=INFO.time_base)
    with pytest.raises(SinkError, match="was removed while it was written"):
        sink.write(frame, labelled(image), image)
    try:
        sink.close("failed")
    except SinkError as error:
        assert "cannot be written" in str(error)  # noqa: PT017  either is right
    assert not folder.exists()


def test_an_encoder_that_fails_keeps_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import av

    sink: Any = open_sink(str(tmp_path / "out.mp4"), threads=1)
    write_noise(sink, 60)

    def fail(_picture: object) -> None:
        raise av.error.ExternalError(1, "Generic error in an external library")

    monkeypatch.setattr(sink, "_encode", fail)
    image = np.zeros((48, 64, 3), np.uint8)
    frame = Frame(image=image, index=60, pts=60, time_base=INFO.time_base)
    with pytest.raises(SinkError, match="after 60 frames: generic error in an external library"):
        sink.write(frame, labelled(image), image)
    sink.close("failed")
    assert len(frame_times(part_of(tmp_path / "out.mp4"))) >= 30
