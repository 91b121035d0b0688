"""`rtseg video` through its entry point: its outputs, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest

from tests.cli.conftest import FRAME_COUNT, Run
from tests.support.clips import parts_of


def instants(path: Path) -> list[object]:
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def audio_packets(path: Path) -> list[tuple[bytes, object]]:
    with av.open(str(path)) as container:
        return [
            (bytes(packet), packet.pts * packet.time_base)
            for packet in container.demux(audio=0)
            if packet.size
        ]


def first_image(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def test_every_frame_and_the_audio_are_kept(run: Run, portrait_clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    result = run("video", portrait_clip, "-o", out)
    assert result.code == 0, result.err
    assert instants(out) == instants(portrait_clip)
    assert audio_packets(out) == audio_packets(portrait_clip)
    assert f"{FRAME_COUNT} frames in" in result.err
    assert f"wrote {out}" in result.err
    assert result.out == ""
    assert list(tmp_path.iterdir()) == [out]


def test_the_face_is_coloured_and_the_rest_is_not(
    run: Run, portrait_clip: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mask.mp4"
    assert run("video", portrait_clip, "-o", out, "--view", "mask", "--crf", "5").code == 0
    picture = first_image(out).astype(int)
    nose, flag = picture[112:122, 130:140], picture[200:, :40]
    assert np.abs(nose.mean((0, 1)) - (250, 214, 60)).max() < 30
    assert flag.max() < 30


def test_masks_and_records_agree(run: Run, portrait_clip: Path, tmp_path: Path) -> None:
    masks, records = tmp_path / "masks.npz", tmp_path / "records.jsonl"
    result = run("video", portrait_clip, "--labels", masks, "--json", records, "-q")
    assert result.code == 0, result.err
    assert result.err == ""
    labels = np.load(masks)["labels"]
    assert labels.shape == (FRAME_COUNT, 256, 256)
    header, *lines = [json.loads(line) for line in records.read_text().splitlines()]
    assert header["schema"] == 1
    assert len(lines) == FRAME_COUNT
    for index, line in enumerate(lines):
        assert line["index"] == index
        assert line["pixels"]["nose"] == int((labels[index] == 6).sum())
        assert len(line["faces"]) == 1


def test_two_runs_give_the_same_result(run: Run, portrait_clip: Path, tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        # automatic precision is a matter of speed, and may differ from machine to machine
        command = ("video", portrait_clip, "--labels", tmp_path / name, "--precision", "fp32")
        assert run(*command).code == 0
    first, second = (np.load(tmp_path / name)["labels"] for name in ("a.npz", "b.npz"))
    assert np.array_equal(first, second)


def test_overlapping_or_not_gives_the_same_labels(
    run: Run, portrait_clip: Path, tmp_path: Path
) -> None:
    options = {"a.npz": "--overlap", "b.npz": "--no-overlap"}
    for name, option in options.items():
        # automatic precision is a matter of speed, and may differ from machine to machine
        command = ("video", portrait_clip, "--labels", tmp_path / name, "--precision", "fp32")
        assert run(*command, option).code == 0
    first, second = (np.load(tmp_path / name)["labels"] for name in options)
    assert np.array_equal(first, second)


def test_standard_input_to_standard_output(portrait_clip: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rtseg", "video", "-", "-o", "-"],
        input=portrait_clip.read_bytes(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"\x1aE\xdf\xa3")  # Matroska, and nothing before it
    path = portrait_clip.with_name("from-stdout.mkv")
    path.write_bytes(done.stdout)
    assert len(instants(path)) == FRAME_COUNT


def test_images_in_images_out(run: Run, portrait_clip: Path, tmp_path: Path) -> None:
    frames, again = tmp_path / "frames", tmp_path / "again"
    assert run("video", portrait_clip, "-o", f"{frames}/%04d.png", "--view", "contour").code == 0
    assert len(list(frames.glob("*.png"))) == FRAME_COUNT
    assert run("video", f"{frames}/*.png", "-o", again, "--frames").code == 0
    assert len(list(again.glob("*.png"))) == FRAME_COUNT


def test_start_and_end_cut(run: Run, portrait_clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "part.mp4"
    result = run("video", portrait_clip, "-o", out, "--start", "0.2", "--end", "0.6")
    assert result.code == 0, result.err
    times = instants(out)
    assert len(times) == 10
    assert times[0] == 0
    whole = {packet for packet, _ in audio_packets(portrait_clip)}
    assert 0 < len(audio_packets(out)) < len(whole) + 1
    assert {packet for packet, _ in audio_packets(out)} <= whole


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--classes", "skin,beard"], 2, ["beard", "allowed", "hair"]),
        (["--codec", "h266"], 2, ["h266", "vp9"]),
        (["--opacity", "2"], 2, ["opacity", "2", "0"]),
        (["--model", "nowhere.safetensors"], 6, ["nowhere.safetensors"]),
        (["--start", "3", "--end", "2"], 2, ["--end", "--start"]),
    ],
)
def test_a_wrong_option_is_reported_in_one_line(
    run: Run, portrait_clip: Path, tmp_path: Path, options: list[str], code: int, words: list[str]
) -> None:
    result = run("video", portrait_clip, "-o", tmp_path / "out.mp4", *options)
    assert result.code == code, result.err
    assert "Traceback" not in result.err
    for word in words:
        assert word in result.err
    assert list(tmp_path.iterdir()) == []


def test_cuda_requested_by_name_never_falls_back(
    run: Run, portrait_clip: Path, tmp_path: Path
) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    result = run("video", portrait_clip, "-o", tmp_path / "out.mp4", "--device", "cuda")
    assert result.code == 7
    assert "cuda" in result.error
    assert list(tmp_path.iterdir()) == []


def test_bad_inputs_are_reported_in_one_line_each(run: Run, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("this is no video\n" * 50)
    for source in (tmp_path / "missing.mp4", text):
        result = run("video", source, "-o", tmp_path / "out.mp4")
        assert result.code == 3, result.err
        assert source.name in result.error
    assert list(tmp_path.iterdir()) == [text]


def test_a_file_that_is_no_model_is_refused(run: Run, portrait_clip: Path, tmp_path: Path) -> None:
    fake = tmp_path / "fake.safetensors"
    fake.write_bytes(b"\x80\x04\x95 not a model at all" * 10)
    result = run("video", portrait_clip, "-o", tmp_path / "out.mp4", "--model", fake)
    assert result.code == 6
    assert "fake.safetensors" in result.error


def test_a_truncated_input_keeps_the_frames_that_it_has(
    run: Run, portrait_clip: Path, tmp_path: Path
) -> None:
    whole, half, out = (tmp_path / name for name in ("whole.mkv", "half.mkv", "out.mp4"))
    assert run("video", portrait_clip, "-o", whole, "--no-audio", "--crf", "5").code == 0
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    result = run("video", half, "-o", out)
    assert result.code == 4, result.err
    assert "truncated" in result.error
    assert 0 < len(instants(out)) < FRAME_COUNT


def test_overwriting_needs_an_option(run: Run, portrait_clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"precious")
    result = run("video", portrait_clip, "-o", out)
    assert result.code == 5
    assert "--overwrite" in result.error
    assert out.read_bytes() == b"precious"
    assert run("video", portrait_clip, "-o", out, "--overwrite").code == 0
    assert len(instants(out)) == FRAME_COUNT


def test_the_input_is_never_the_output(run: Run, portrait_clip: Path, tmp_path: Path) -> None:
    symbolic, hard = tmp_path / "symbolic.mp4", tmp_path / "hard.mp4"
    symbolic.symlink_to(portrait_clip)
    hard.hardlink_to(portrait_clip)
    before = portrait_clip.read_bytes()
    for target in (portrait_clip, symbolic, hard):
        result = run("video", portrait_clip, "-o", target, "--overwrite")
        assert result.code == 2
        assert "input" in result.error
    assert portrait_clip.read_bytes() == before


def test_standard_input_gives_no_default_output_name(run: Run) -> None:
    result = run("video", "-")
    assert result.code == 2
    assert "-o" in result.error


def test_an_impossible_output_folder_is_refused(
    run: Run, portrait_clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    result = run("video", portrait_clip, "-o", tmp_path / "file" / "out.mp4")
    assert result.code == 5
    assert "file" in result.error


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_file(portrait_clip: Path, tmp_path: Path, number: int) -> None:
    long = tmp_path / "long.mkv"
    with av.open(str(long), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 256
        image = first_image(portrait_clip)
        for _ in range(1500):
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    out = tmp_path / "out.mp4"
    with subprocess.Popen(
        [sys.executable, "-m", "rtseg", "video", str(long), "-o", str(out)],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if any(part.stat().st_size > 2000 for part in parts_of(out)):
                break
            time.sleep(0.05)
        os.kill(process.pid, number)
        assert process.stderr is not None
        errors = process.stderr.read()
    assert process.returncode == 128 + number, errors
    assert "Traceback" not in errors
    assert 0 < len(instants(out)) < 1500
    assert not parts_of(out)
