"""Habits from other tools: each works, or one line says what to use instead."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from rtseg.cli.habits import guessed_command, is_meant_as_output
from rtseg.cli.values import Device, Seconds, resolved_place
from tests.cli.conftest import FAST, FRAME_COUNT, Run

pytestmark = pytest.mark.usefixtures("own_folder")


def frames_of(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_an_input_alone_gives_a_video_in_the_current_folder(
    run: Run, portrait_clip: Path, tmp_path: Path
) -> None:
    result = run(portrait_clip, *FAST)
    assert result.code == 0, result.err
    assert "no output given: writing portrait.rtseg.mp4" in result.err
    assert frames_of(tmp_path / "portrait.rtseg.mp4") == 5
    # existing files are kept, unless -y is given
    again = run("video", portrait_clip, *FAST)
    assert again.code == 5
    assert "--overwrite" in again.error
    assert run("video", portrait_clip, "-y", *FAST).code == 0


def test_input_and_output_can_be_arguments_or_options(
    run: Run, portrait_clip: Path, tmp_path: Path
) -> None:
    assert run("video", portrait_clip, "a.mp4", *FAST).code == 0
    assert run("-i", portrait_clip, "-o", "b.mp4", *FAST).code == 0
    assert {"a.mp4", "b.mp4"} <= {path.name for path in tmp_path.iterdir()}
    # once the file exists it could be an input, so nothing is guessed
    assert run("video", portrait_clip, "a.mp4", *FAST).code == 2


def test_a_picture_alone_gives_a_picture(run: Run, tmp_path: Path) -> None:
    from skimage.data import astronaut

    Image.fromarray(astronaut()[:256, 90:346]).save(tmp_path / "a.jpg")
    assert run("a.jpg").code == 0
    assert run("image", "a.jpg", "-o", "out.png").code == 0
    assert run("image", "a.jpg", "-o", "small.jpg", "--labels", "ids.png").code == 0
    with Image.open("out.png") as made, Image.open("a.rtseg.png") as other:
        assert made.size == (256, 256)
        assert np.array_equal(np.asarray(made), np.asarray(other))
    with Image.open("small.jpg") as made:
        assert made.format == "JPEG"
    with Image.open("ids.png") as made:
        assert made.mode == "L"
    several = run("image", "a.jpg", "out.png", "-o", "both.png")
    assert several.code == 2
    assert "one file for 2 pictures; give a folder" in several.error
    assert run("image", "a.jpg", "-o", "a.jpg", "-y").code == 2
    assert "allowed: .png" in run("image", "a.jpg", "-o", "a.gif").error


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["vidoe", "x"], "did you mean video"),
        (["nothing"], "neither a command nor a file"),
        (["video"], "no input"),
        (["video", "in.mp4", "--show"], "rtseg camera INPUT"),
        (["video", "in.mp4", "--save-txt"], "--json FILE, --coco FILE"),
        (["video", "in.mp4", "--imgsz", "640"], "the model determines"),
        (["video", "in.mp4", "--weights", "a.pt"], "--model FILE"),
        (["image", "in.png", "--coco", "x"], "rtseg video INPUT --coco"),
        (["video", "in.mp4", "-o", "o.mp4", "--device", "cuda:x"], "cuda:x"),
        (["video", "in.mp4", "-o", "o.mp4", "--device", "tpu"], "tpu"),
        (["video", "in.mp4", "-o", "o.mp4", "--device", "mps"], "--device cpu"),
        (["video", "in.mp4", "-o", "o.mp4", "--codec", "prores"], "'h264'"),
        (["video", "in.mp4", "-o", "o.mp4", "--start", "1:75"], "is not a time"),
        (["video", "in.mp4", "-o", "o.mp4", "--effect", "lips=redish"], "not a colour"),
        (["video", "in.mp4", "-o", "o.mp4", "--colour", "red"], "No such option"),
        (["video", "-", "--json"], "requires an argument"),
        (["--config", "nothing.toml", "video", "in.mp4"], "cannot be read"),
    ],
)
def test_a_missing_input_is_reported_in_one_line(
    run: Run, arguments: list[str], wanted: str
) -> None:
    result = run(*arguments)
    assert result.code == 2
    assert wanted in result.error
    assert len(result.err.strip().splitlines()) == 1


def test_options_of_other_tools_are_understood(run: Run, portrait_clip: Path) -> None:
    result = run(
        *("video", portrait_clip, "a.mkv", "--codec", "libx265", "--start", "00:00:00.2"),
        *("--device", "CPU", "--max-faces", "1"),
    )
    assert result.code == 0, result.err
    with av.open("a.mkv") as container:
        assert container.streams.video[0].codec_context.name == "hevc"
        assert sum(1 for _ in container.decode(video=0)) == FRAME_COUNT - 5


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("62.5", 62.5), ("62.5s", 62.5), ("1:02.5", 62.5), ("00:01:02.5", 62.5), ("2:00:00", 7200.0)],
)
def test_times_are_parsed(text: str, seconds: float) -> None:
    assert Seconds().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "a", "1:2:3:4", "-1", "1:60", "1:60:00", "nan", "inf"])
def test_invalid_times_are_refused(text: str) -> None:
    import click

    with pytest.raises(click.BadParameter, match="is not a time"):
        Seconds().convert(text, None, None)


@pytest.mark.parametrize(
    ("word", "device"),
    [
        ("cuda:0", "cuda:0"),
        ("0", "cuda:0"),
        ("1", "cuda:1"),
        ("GPU", "cuda"),
        ("gpu:2", "cuda:2"),
        ("CUDA", "cuda"),
        ("CPU", "cpu"),
        ("auto", "auto"),
    ],
)
def test_devices_can_be_numbers_and_names(word: str, device: str) -> None:
    assert Device().convert(word, None, None) == device


def test_home_folders_and_file_urls_are_resolved(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolved_place("~/a.mp4") == str(tmp_path / "a.mp4")
    assert resolved_place("file:///tmp/my%20clip.mp4") == "/tmp/my clip.mp4"
    for same in ("-", "a.mp4", "rtsp://h/s", "out/%06d.png", "0"):
        assert resolved_place(same) == same


def test_outputs_may_be_in_the_home_folder_or_a_file_url(
    run: Run, portrait_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    url = (tmp_path / "my file.mp4").as_uri()
    result = run(
        *("video", portrait_clip.as_uri(), "-o", url, "--json", "~/a.jsonl", "--coco", "~/a.json"),
        *("--labels", "~/ids", *FAST),
    )
    assert result.code == 0, result.err
    names = {path.name for path in tmp_path.iterdir()}
    assert {"my file.mp4", "a.jsonl", "a.json", "ids"} <= names
    assert not any(name.startswith(("~", "file:")) for name in names)


def test_the_command_is_guessed_from_the_input(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "clip").touch()
    assert guessed_command("0") == "camera"
    assert guessed_command("rtsp://host/x") == "camera"
    assert guessed_command("https://host/x.mp4") == "video"
    assert guessed_command("a.png") == "image"
    assert guessed_command("clip") == "video"
    assert guessed_command("missing.mp4") == "video"
    assert guessed_command("shots/*.png") == "video"
    assert guessed_command("missing") is None


def test_a_second_name_is_recognised_as_an_output(tmp_path: Path) -> None:
    (tmp_path / "b.mp4").touch()
    assert is_meant_as_output("new.mp4")
    assert not is_meant_as_output("b.mp4")
    assert not is_meant_as_output("new.txt")
    assert not is_meant_as_output("rtmp://host/live")


def test_cameras_are_listed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import rtseg.sources.camera

    monkeypatch.setattr(rtseg.sources.camera, "list_cameras", lambda: ("/dev/video0 (Eye)",))
    assert run("camera", "--list").out == "/dev/video0 (Eye)\n"
    monkeypatch.setattr(rtseg.sources.camera, "list_cameras", tuple)
    nothing = run("camera", "--list")
    assert (nothing.code, nothing.out) == (0, "")
    assert "no camera is connected" in nothing.err


def test_a_configuration_file_gives_defaults(run: Run, portrait_clip: Path, tmp_path: Path) -> None:
    (tmp_path / "rtseg.toml").write_text(
        """
        max-faces = 1
        device = "cpu"

        [video]
        view = "mask"
        classes = ["hair", "lips"]
        end = "00:00:00.2"
        json = "a.jsonl"

        [camera]
        flip = true
        """
    )
    result = run("--config", "rtseg.toml", "video", portrait_clip, "a.mp4", "--crf", "5")
    assert result.code == 0, result.err
    assert frames_of(tmp_path / "a.mp4") == 5
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 6
    # the command line takes precedence over the file
    again = run(
        "--config",
        "rtseg.toml",
        "video",
        portrait_clip,
        "b.mp4",
        "--json",
        "b.jsonl",
        "--end",
        "0.1",
    )
    assert again.code == 0, again.err
    assert frames_of(tmp_path / "b.mp4") < 5


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("viwe = 'mask'", "viwe is not an option of any command"),
        ("[video]\nviwe = 'mask'", "viwe is not an option of `rtseg video`"),
        ("[vidoe]\nview = 'mask'", "[vidoe] is not a command"),
        ("[image]\ncodec = 'h264'", "codec is not an option of `rtseg image`"),
        ("[video]\nend = {a = 1}", "allowed: a string, a number"),
        ("view =", "is not TOML"),
        ("[video]\nview = 'cartoon'", "cartoon"),
        ("[video]\ncrf = 'high'", "high"),
    ],
)
def test_a_wrong_configuration_is_reported_in_one_line(
    run: Run, tmp_path: Path, text: str, wanted: str
) -> None:
    (tmp_path / "c.toml").write_text(text)
    result = run("--config=c.toml", "video", "in.mp4", "-o", "o.mp4")
    assert result.code == 2
    assert wanted in result.error


def test_environment_variables_give_defaults(
    run: Run, portrait_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RTSEG_VIDEO_END", "0.2")
    monkeypatch.setenv("RTSEG_VIDEO_VIEW", "contour")
    monkeypatch.setenv("RTSEG_VIDEO_MAX_FACES", "1")
    monkeypatch.setenv("RTSEG_VIDEO_JSON", "a.jsonl")
    assert run("video", portrait_clip).code == 0
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 6
    monkeypatch.setenv("RTSEG_VIDEO_VIEW", "cartoon")
    assert "cartoon" in run("video", portrait_clip).error


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands_and_options(shell: str) -> None:
    def asked(**variables: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", "from rtseg.cli import main; main()"],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        ).stdout

    if shell != "bash":  # bash's own script asks bash for its version
        assert "_RTSEG_COMPLETE" in asked(_RTSEG_COMPLETE=f"{shell}_source")
    words = {"COMP_WORDS": "rtseg video --vi", "COMP_CWORD": "--vi" if shell == "fish" else "2"}
    assert "--view" in asked(_RTSEG_COMPLETE=f"{shell}_complete", **words)
