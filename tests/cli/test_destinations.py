"""Which output file an input gets: folders, patterns, names without a suffix."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import rtseg.backends
import rtseg.process
import rtseg.segmenter
from rtseg.errors import SettingError
from rtseg.settings import EncodeSettings
from tests.cli.conftest import Run
from tests.reliability.command import StandInSegmenter
from tests.support.clips import MakeClip, frame_times, picture


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loads no model, since only the destinations of files are tested."""
    for module in (rtseg.segmenter, rtseg.process):
        monkeypatch.setattr(module, "Segmenter", StandInSegmenter)
    for module in (rtseg.backends, rtseg.process):
        monkeypatch.setattr(module, "open_backend_for", lambda _model: nullcontext())


def stills(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        Image.fromarray(picture(number)).save(folder / name)
    return folder


def names_in(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize(
    ("output", "is_there"), [("done/", False), ("done/", True), ("done", True), ("d.mp4/", False)]
)
def test_one_video_into_a_folder(
    run: Run, make_clip: MakeClip, tmp_path: Path, output: str, is_there: bool
) -> None:
    clip, out = make_clip("in.mov", ticks=range(3)), tmp_path / output
    if is_there:
        out.mkdir()
    result = run("video", clip, "-o", f"{tmp_path}/{output}", "--json", f"{tmp_path}/{output}")
    assert result.code == 0, result.err
    assert names_in(out) == ["in.jsonl", "in.mov"]
    assert len(frame_times(out / "in.mov")) == 3


@pytest.mark.parametrize("source", ["clips", "clips/", "clips/*.mp4", "clips/*", "clips/%d.mp4"])
@pytest.mark.parametrize("count", [1, 3])
def test_a_folder_of_videos_is_a_batch(
    run: Run, make_clip: MakeClip, tmp_path: Path, source: str, count: int
) -> None:
    (tmp_path / "clips").mkdir()
    for number in range(count):
        make_clip(f"clips/{number}.mp4", ticks=range(2 + number))
    if not source.endswith("*"):
        (tmp_path / "clips" / "notes.txt").write_text("no video")
    out = tmp_path / "out"
    result = run("video", f"{tmp_path}/{source}", "-o", out, "--labels", tmp_path / "labels")
    assert result.code == 0, result.err
    assert names_in(out) == [f"{number}.mp4" for number in range(count)]
    assert names_in(tmp_path / "labels") == [f"{number}.mkv" for number in range(count)]
    assert f"{count} of {count} videos done" in result.err


def test_animations_are_videos_of_a_batch(run: Run, tmp_path: Path) -> None:
    images = [Image.fromarray(picture(number)) for number in range(4)]
    (tmp_path / "in").mkdir()
    for name in ("a.gif", "b.png", "c.webp"):
        images[0].save(tmp_path / "in" / name, save_all=True, append_images=images[1:], duration=80)
    result = run("video", tmp_path / "in", "-o", tmp_path / "out")
    assert result.code == 0, result.err
    assert names_in(tmp_path / "out") == ["a.mp4", "b.mp4", "c.mp4"]
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        assert [float(t) for t in frame_times(tmp_path / "out" / name)] == [0, 0.08, 0.16, 0.24]


@pytest.mark.parametrize("source", ["shots", "shots/*.png", "shots/%06d.png"])
def test_stills_into_a_folder_are_one_video(run: Run, tmp_path: Path, source: str) -> None:
    stills(tmp_path / "shots", "000001.png", "000002.png", "000003.png")
    result = run("video", tmp_path / source, "-o", f"{tmp_path}/out/")
    assert result.code == 0, result.err
    assert names_in(tmp_path / "out") == ["shots.mp4"]
    assert len(frame_times(tmp_path / "out" / "shots.mp4")) == 3


def test_pictures_can_be_requested(run: Run, make_clip: MakeClip, tmp_path: Path) -> None:
    clips = [make_clip(name, ticks=range(2)) for name in ("a.mp4", "b.mp4")]
    assert run("video", clips[0], "-o", tmp_path / "one", "--frames").code == 0
    assert run("video", clips[0], "-o", tmp_path / "two" / "%03d.jpg").code == 0
    assert run("video", *clips, "-o", tmp_path / "three", "--frames").code == 0
    assert names_in(tmp_path / "one") == ["000000.png", "000001.png"]
    assert names_in(tmp_path / "two") == ["000.jpg", "001.jpg"]
    assert names_in(tmp_path / "three") == [
        "a/000000.png", "a/000001.png", "b/000000.png", "b/000001.png"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("output", "more", "words"),
    [
        ("out", (), ["out.mp4", "out/in.mp4", "out/%06d.png"]),
        ("deep/out", (), ["out.mp4", "out/in.mp4", "out/%06d.png"]),
        ("out.png", (), ["out-%06d.png", "rtseg image"]),
        ("out.mp4", ("--frames",), ["a folder, or a pattern", "out/%06d.png"]),
        ("-", ("--frames",), ["pictures need a folder or a pattern"]),
    ],
)
def test_ambiguous_output_names_are_refused(
    run: Run, make_clip: MakeClip, tmp_path: Path, output: str, more: tuple[str, ...], words: Any
) -> None:
    clip = make_clip("in.mp4", ticks=range(2))
    result = run("video", clip, "-o", output if output == "-" else tmp_path / output, *more)
    assert result.code == 2, result.err
    for word in words:
        assert word in result.error
    assert names_in(tmp_path) == ["in.mp4"]


def test_frames_need_a_folder(run: Run, make_clip: MakeClip, tmp_path: Path) -> None:
    result = run("video", make_clip("in.mp4"), "--json", tmp_path / "a.jsonl", "--frames")
    assert result.code == 2
    assert "--frames" in result.error


def test_a_mixed_folder_is_refused_in_one_line(
    run: Run, make_clip: MakeClip, tmp_path: Path
) -> None:
    folder = stills(tmp_path / "mixed", "a.png")
    make_clip("mixed/b.mp4")
    result = run("video", folder, "-o", tmp_path / "out.mp4")
    assert result.code == 3
    assert "both stills (a.png) and videos (b.mp4)" in result.error
    assert not (tmp_path / "out.mp4").exists()


def test_skipped_stills_change_the_exit_code(run: Run, tmp_path: Path) -> None:
    folder = stills(tmp_path / "shots", "a.png", "b.png")
    (folder / "c.cr2").write_bytes(b"raw")
    (folder / "notes.txt").write_text("text")
    result = run("video", folder, "-o", tmp_path / "out.mp4")
    assert result.code == 4
    assert "1 picture is left out: c.cr2" in result.error
    assert "skipped, neither a picture nor a video: notes.txt" in result.err
    assert len(frame_times(tmp_path / "out.mp4")) == 2
    result = run("image", folder, "-o", tmp_path / "views")
    assert result.code == 3
    assert "c.cr2: skipped: .cr2 cannot be read" in result.error
    assert "2 of 3 pictures segmented" in result.err
    assert names_in(tmp_path / "views") == ["a.png", "b.png"]


def test_image_lists_files_that_are_no_stills(
    run: Run, make_clip: MakeClip, tmp_path: Path
) -> None:
    folder = stills(tmp_path / "shots", "a.png")
    make_clip("shots/b.mp4")
    images = [Image.fromarray(picture(number)) for number in range(4)]
    images[0].save(folder / "c.webp", save_all=True, append_images=images[1:])
    result = run("image", folder, "-o", tmp_path / "views")
    assert result.code == 3
    assert "1 of 3 pictures segmented" in result.err
    assert result.err.count("is a video or an animation: rtseg video") == 2


@pytest.mark.parametrize("spelled", ["uri", "encoded", "pattern"])
def test_image_accepts_file_urls(run: Run, tmp_path: Path, spelled: str) -> None:
    photo = stills(tmp_path / "a b", "ä.jpg") / "ä.jpg"
    url = {
        "uri": photo.as_uri(),
        "encoded": photo.as_uri().replace("a%20b", "%61%20b"),
        "pattern": f"file://{photo.parent}/*.jpg",
    }[spelled]
    result = run("image", url, "-o", tmp_path / "out")
    assert result.code == 0, result.err
    assert names_in(tmp_path / "out") == ["ä.png"]
    assert run("image", "https://host/x.jpg", "-o", tmp_path / "out").code == 3


def test_outputs_are_named_after_their_inputs() -> None:
    from rtseg.destination import container_for, stem_of

    encode = EncodeSettings()
    assert stem_of("x/clip.mov") == "clip"
    assert stem_of("http://user:secret@host/a/clip.ts?token=1") == "clip"
    assert stem_of("nowhere/shots/*.png") == "shots"
    assert stem_of("nowhere/img_%04d.png") == "img"
    assert stem_of("0") == "camera-0"
    assert stem_of("/dev/video2") == "camera-2"
    assert container_for("a.avi", encode) == ".mkv"
    assert container_for("a.mov", encode) == ".mov"
    assert container_for("a.gif", encode) == ".mp4"
    assert container_for("a.mov", EncodeSettings(codec="ffv1")) == ".mkv"
    assert container_for("nowhere/*.png", EncodeSettings(codec="ffv1")) == ".mkv"


def test_python_and_the_command_line_name_outputs_alike(
    make_clip: MakeClip, tmp_path: Path
) -> None:
    clip = make_clip("in.mp4", ticks=range(2))
    rtseg.process.process_video(clip, f"{tmp_path}/out/", records=f"{tmp_path}/out/")
    assert names_in(tmp_path / "out") == ["in.jsonl", "in.mp4"]
    with pytest.raises(SettingError, match="neither a file name nor an existing folder"):
        rtseg.process.process_video(clip, tmp_path / "nothing")
