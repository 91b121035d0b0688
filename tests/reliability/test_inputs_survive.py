"""No input and no earlier output is ever damaged, by whatever name it is called."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pictures

import rtseg.backends
import rtseg.process
import rtseg.segmenter
import training.cli
from rtseg.errors import SinkError
from rtseg.settings import EncodeSettings
from rtseg.sinks import open_sink
from tests.cli.conftest import Run
from tests.cli.conftest import run as run
from tests.reliability.command import StandInSegmenter, start, wait_until_ready
from tests.reliability.survival import pictures, posix, unharmed
from tests.support.clips import MakeClip, frame_times, parts_of, picture

pytestmark = pytest.mark.usefixtures("no_network")


@pytest.mark.parametrize("name", ["out.part.mp4", "out.0123abcd.part.mp4", "out.part.part.mp4"])
@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_a_part_file_can_be_an_input(
    run: Run, make_clip: MakeClip, tmp_path: Path, name: str, overwrite: tuple[str, ...]
) -> None:
    part = make_clip(name, ticks=range(30))
    with unharmed(part):
        result = run("video", part, "-o", tmp_path / "out.mp4", *overwrite)
    assert result.code == 0, result.err
    assert frame_times(tmp_path / "out.mp4") == frame_times(part)
    if name != "out.part.part.mp4":
        assert f"{part}: left by an earlier run that was interrupted; kept" in result.err


@posix
def test_the_part_file_of_a_killed_run_is_kept_and_named(
    make_clip: MakeClip, tmp_path: Path
) -> None:
    clip, out = make_clip("in.mkv", ticks=range(400)), tmp_path / "out.mp4"
    with start("video", clip, "-o", out, seconds=0.02) as process:
        wait_until_ready(process)
        time.sleep(0.7)
        process.kill()
        process.communicate(timeout=30)
    (part,) = parts_of(out)
    with unharmed(part, clip), start("video", clip, "-o", out) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert f"{part}: left by an earlier run" in errors
    assert len(frame_times(out)) == 400
    assert parts_of(out) == [part]
    # And it is an input like any other.
    with unharmed(part), start("video", part, "-o", out, "--overwrite") as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode in (0, 4), errors  # it may say that it is cut off
    assert 0 < len(frame_times(out)) < 400


@posix
def test_the_part_file_of_a_killed_label_archive_is_kept(
    make_clip: MakeClip, tmp_path: Path
) -> None:
    clip = make_clip("in.mkv", ticks=range(400))
    outputs = ["--labels", tmp_path / "a.npz", "--json", tmp_path / "a.jsonl"]
    with start("video", clip, *outputs, seconds=0.02) as process:
        wait_until_ready(process)
        process.kill()
        process.communicate(timeout=30)
    left = [path for path in tmp_path.iterdir() if ".part" in path.name]
    assert len(left) == 2
    with unharmed(*left), start("video", clip, *outputs) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors


def same_path(path: Path) -> str:
    return str(path)


def relative(path: Path) -> str:
    return os.path.relpath(path)


def roundabout(path: Path) -> str:
    return f"{path.parent}/sub/../{path.name}"


def doubled(path: Path) -> str:
    return f"{path.parent}//./{path.name}"


def symbolic_link(path: Path) -> str:
    link = path.with_name("link.mp4")
    link.symlink_to(path)
    return str(link)


def hard_link(path: Path) -> str:
    link = path.with_name("second.mp4")
    os.link(path, link)
    return str(link)


def linked_folder(path: Path) -> str:
    link = path.parent.parent / "linked"
    link.symlink_to(path.parent)
    return str(link / path.name)


def link_to_a_link(path: Path) -> str:
    return symbolic_link(Path(linked_folder(path)))


def url(path: Path) -> str:
    return path.as_uri()


def encoded_url(path: Path) -> str:
    return "file://" + "".join(f"%{letter:02X}" for letter in os.fsencode(path)).replace("%2F", "/")


def localhost_url(path: Path) -> str:
    return f"FILE://localhost{path}"


SPELLINGS = [
    same_path,
    relative,
    roundabout,
    doubled,
    symbolic_link,
    hard_link,
    linked_folder,
    link_to_a_link,
    url,
    encoded_url,
    localhost_url,
]


@posix
@pytest.mark.parametrize("spelled", SPELLINGS)
@pytest.mark.parametrize("side", ["input", "output"])
def test_an_input_under_another_name_is_protected(
    run: Run, make_clip: MakeClip, tmp_path: Path, spelled: Callable[[Path], str], side: str
) -> None:
    (tmp_path / "clips" / "sub").mkdir(parents=True)
    clip = make_clip("clips/in.mp4")
    other = spelled(clip)
    source, output = (other, clip) if side == "input" else (clip, other)
    for option in ("-o", "--json"):
        with unharmed(clip):
            result = run("video", source, option, output, "--overwrite")
        assert result.code in (2, 5), result.err
        assert result.error
    assert not parts_of(clip)


@posix
@pytest.mark.parametrize("option", ["-o", "--labels", "--json"])
def test_every_kind_of_output_is_refused(
    run: Run, make_clip: MakeClip, tmp_path: Path, option: str
) -> None:
    clip = make_clip("in.mkv")
    (tmp_path / "link.mkv").symlink_to(clip)
    for output in (clip, tmp_path / "link.mkv"):
        with unharmed(clip):
            result = run("video", clip, option, output, "--overwrite")
        assert result.code == 2
        assert "is the input itself" in result.error


def test_the_model_is_protected_too(run: Run, make_clip: MakeClip, tmp_path: Path) -> None:
    clip, model = make_clip("in.mp4"), tmp_path / "model.safetensors"
    model.write_bytes(b"weights")
    with unharmed(model):
        result = run("video", clip, "--json", model, "--model", model, "--overwrite")
    assert result.code == 2
    assert "is the input itself" in result.error


def test_bench_protects_its_input(run: Run, make_clip: MakeClip) -> None:
    clip = make_clip("in.mp4")
    with unharmed(clip):
        assert run("bench", "--input", clip, "--json", clip).code == 2


@posix
def test_standard_input_and_output_are_protected_too(make_clip: MakeClip, tmp_path: Path) -> None:
    clip = make_clip("in.mkv", ticks=range(5))
    with unharmed(clip), clip.open("rb") as file:
        with start("video", "-", "-o", clip, "--overwrite", stdin=file) as process:
            _, errors = process.communicate(timeout=60)
        assert process.returncode in (2, 5)
        assert "is the input itself" in errors
    with unharmed(clip), clip.open("ab") as file:  # as `>> in.mkv`
        with start("video", clip, "-o", "-", stdout=file) as process:
            _, errors = process.communicate(timeout=60)
        assert process.returncode == 5
        assert "standard output is the input itself" in errors


def test_a_recording_never_replaces_the_file_being_played(
    run: Run, make_clip: MakeClip, tmp_path: Path
) -> None:
    clip = make_clip("in.mp4", ticks=range(3))
    with unharmed(clip):
        for source in (clip, clip.as_uri()):
            result = run("camera", source, "--no-display", "-o", clip, "--overwrite")
            assert result.code == 2, result.err
            assert "is the input itself" in result.error


def test_snapshots_and_recordings_of_one_second_get_separate_names(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtseg.controls import Controls
    from rtseg.settings import ViewSettings
    from rtseg.sources import open_source
    from rtseg.wiring import wire

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "strftime", lambda words: words.replace("%Y%m%d-%H%M%S", "now"))
    source = open_source(make_clip("in.mkv"))
    live = wire(source, StandInSegmenter(), [], view=ViewSettings())
    controls = Controls(
        live, record=lambda name: open_sink(name, settings=EncodeSettings(overwrite=True))
    )
    (tmp_path / "rtseg-now.mp4").write_bytes(b"somebody's")
    for number in range(3):
        controls.view.last_picture = picture(number)
        controls.handle("snapshot")
    controls.handle("record")
    controls.handle("record")
    names = {path.name for path in tmp_path.glob("*.png")}
    assert names == {"rtseg-now.png", "rtseg-now-2.png", "rtseg-now-3.png"}
    read = [np.asarray(Pictures.open(tmp_path / name)) for name in sorted(names)]
    assert len({array.tobytes() for array in read}) == 3
    assert (tmp_path / "rtseg-now.mp4").read_bytes() == b"somebody's"
    source.close()


@pytest.mark.parametrize("patterns", [("%06d.png", ""), ("%06d.png",) * 2, ("%06d.png", "./")])
def test_views_and_labels_in_one_folder_are_refused(
    run: Run, make_clip: MakeClip, tmp_path: Path, patterns: tuple[str, str]
) -> None:
    clip, out = make_clip("in.mp4", ticks=range(3)), tmp_path / "out"
    out.mkdir()
    views, labels = (f"{out}/{pattern}" for pattern in patterns)
    result = run("video", clip, "-o", views, "--labels", labels, "--overwrite")
    assert result.code in (2, 5)
    assert not list(out.iterdir())


@posix
def test_an_output_that_is_a_device_is_refused(
    run: Run, make_clip: MakeClip, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    result = run("video", make_clip("in.mkv", ticks=range(2)), "-o", pipe, "--overwrite")
    assert result.code == 5
    assert "is a device or a pipe" in result.error
    assert pipe.is_fifo()


def test_the_demo_replaces_only_its_own_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "holiday.mp4").write_bytes(b"mine")
    (tmp_path / "x-input.mp4").write_bytes(b"mine")
    with unharmed(tmp_path):
        for name in ("holiday.mp4", "x.mp4"):
            result = run("demo", "-o", tmp_path / name)
            assert result.code == 5
            assert "exists; --overwrite replaces it" in result.error


@posix
def test_an_exported_model_does_not_replace_its_checkpoint(run: Run, tmp_path: Path) -> None:
    model = Path(rtseg.__file__).parent / "weights" / "face-parts.safetensors"
    (tmp_path / "model.safetensors").write_bytes(model.read_bytes())
    (tmp_path / "model.onnx").symlink_to(tmp_path / "model.safetensors")
    with unharmed(tmp_path):
        result = run("engine", "export", tmp_path / "model.safetensors")
    assert result.code == 2
    assert "is the model itself" in result.error


def test_predictions_of_training_do_not_replace_their_pictures(tmp_path: Path) -> None:
    photos = pictures(tmp_path / "photos", ["a.png"])
    checkpoint = Path(rtseg.__file__).parent / "weights" / "face-parts.safetensors"
    words = ["predict", str(checkpoint), str(photos / "a.png"), "-o", str(photos)]
    with unharmed(photos), pytest.raises(SinkError, match="is one of the inputs"):
        training.cli.main(words, standalone_mode=False)
