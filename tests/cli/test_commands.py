"""The other commands, through their entry point."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from rtseg import __version__
from rtseg.cli import COMMANDS
from rtseg.cli.options import with_options_named
from tests.cli.conftest import Run


@pytest.fixture
def portrait(tmp_path: Path) -> Path:
    path = tmp_path / "portrait.jpg"
    Image.fromarray(astronaut()).save(path, quality=95)
    return path


def test_version(run: Run) -> None:
    result = run("--version")
    assert (result.code, result.out) == (0, f"rtseg {__version__}\n")


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; from rtseg.cli import main\n"
        "try: main(['--help'])\n"
        "finally: print([m for m in ('torch', 'av', 'cv2', 'openvino') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[]"
    for name in COMMANDS:
        assert name in done.stdout


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help(run: Run, name: str) -> None:
    result = run(name, "--help")
    assert result.code == 0
    assert "Usage: rtseg" in result.out


@pytest.mark.parametrize(
    "command",
    [*sorted(COMMANDS), *(f"engine {name}" for name in ("build", "export", "inspect", "verify"))],
)
def test_help_fits_a_terminal_of_80_columns(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = run(*command.split(), "--help").out.splitlines()
    assert not [line for line in lines if len(line) > 80]


def test_an_unknown_command_is_exit_code_2(run: Run) -> None:
    result = run("segment")
    assert result.code == 2
    assert "segment" in result.err


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (("image", "a.jpg", "-o", "out"), "--hud"),
        (("image", "a.jpg", "-o", "out"), "--smoothing"),
        (("image", "a.jpg", "-o", "out"), "--detect-every"),
        (("bench",), "--hud"),
    ],
)
def test_an_option_without_effect_is_not_offered(
    run: Run, command: tuple[str, ...], option: str
) -> None:
    result = run(*command, option)
    assert result.code == 2
    assert "no such option" in result.err.lower()
    assert option in result.err
    assert option not in run(command[0], "--help").out


@pytest.mark.parametrize("option", [("--device", "cpu"), ("--precision", "fp32"), ("--compile",)])
def test_bench_of_all_backends_refuses_the_options_that_it_varies(
    run: Run, option: tuple[str, ...]
) -> None:
    result = run("bench", "--backend", "all", *option)
    assert result.code == 2
    assert result.error.startswith(f"error: {option[0]}: --backend all measures every backend")


def test_the_command_line_names_options_where_the_library_names_fields(run: Run) -> None:
    result = run("video", "a.mp4", "-o", "b.mp4", "--detect-every", "0")
    assert result.error == "error: --detect-every: 0 is out of range; allowed: 1 or more"
    assert with_options_named("`output`: o.mp4 is also `records`") == "-o: o.mp4 is also --json"
    assert (
        with_options_named("`rtseg doctor` and `other` stay") == "`rtseg doctor` and `other` stay"
    )


def test_images_keep_their_names_and_sizes(run: Run, portrait: Path, tmp_path: Path) -> None:
    out, labels = tmp_path / "out", tmp_path / "labels"
    result = run("image", portrait, "-o", out, "--labels", labels)
    assert result.code == 0, result.err
    with Image.open(labels / "portrait.png") as mask, Image.open(out / "portrait.png") as picture:
        assert mask.size == picture.size == (512, 512)
        ids = np.array(mask)
    rows, columns = np.nonzero(ids == 6)  # the portrait's nose
    assert abs(np.median(rows) - 118) < 12
    assert abs(np.median(columns) - 224) < 12


def test_a_broken_image_does_not_stop_the_others(run: Run, portrait: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    result = run("image", broken, portrait, "-o", tmp_path / "out")
    assert result.code == 3
    assert "broken.png" in result.error
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["portrait.png"]


def test_a_missing_image_leaves_no_folder(run: Run, tmp_path: Path) -> None:
    folders = tmp_path / "out", tmp_path / "labels"
    result = run("image", tmp_path / "none.jpg", "-o", folders[0], "--labels", folders[1])
    assert result.code == 3
    assert "none.jpg" in result.error
    assert list(tmp_path.iterdir()) == []


def test_an_impossible_image_folder_is_refused_before_the_start(
    run: Run, portrait: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    result = run("image", portrait, "-o", tmp_path / "file" / "out")
    assert result.code == 5
    assert "file is not a folder" in result.error


def test_images_with_one_name_are_refused_before_anything_is_written(
    run: Run, portrait: Path, tmp_path: Path
) -> None:
    twin = tmp_path / "portrait.png"
    Image.open(portrait).save(twin)
    result = run("image", portrait, twin, "-o", tmp_path / "out")
    assert result.code == 2
    assert not (tmp_path / "out").exists()


def test_an_image_does_not_overwrite_its_input(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "portrait.png"
    Image.fromarray(astronaut()).save(path)
    before = path.read_bytes()
    result = run("image", path, "-o", tmp_path, "--overwrite")
    assert result.code == 2
    assert path.read_bytes() == before


def test_models_shows_classes_colours_and_accuracy(run: Run) -> None:
    result = run("models")
    assert result.code == 0
    for word in ("face-parts", "face-finder", "inner-mouth", "#", "F1", "terms"):
        assert word in result.out
    assert re.search(r"hair .* 0\.\d\d\d", result.out)


def test_doctor_never_fails(run: Run) -> None:
    result = run("doctor", "--json")
    assert result.code == 0
    findings = {finding["subject"]: finding for finding in json.loads(result.out)}
    assert findings["PyTorch"]["state"] == "ok"
    assert findings["model"]["state"] == "ok"
    assert run("doctor").code == 0


def test_doctor_measures_again_on_request(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtseg.doctor.examine", lambda: ())
    monkeypatch.setattr("rtseg.backends.fastest.speeds_folder", lambda: tmp_path)
    (tmp_path / "earlier.json").write_text("{}")
    assert run("doctor").code == 0
    assert (tmp_path / "earlier.json").exists()
    assert run("doctor", "--measure").code == 0
    assert not (tmp_path / "earlier.json").exists()


def test_doctor_continues_when_something_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    from rtseg import doctor

    def fall_over(_subject: str) -> doctor.Finding:
        raise OSError("half installed")

    monkeypatch.setitem(doctor._EXAMINATIONS, "OpenVINO", fall_over)
    findings = {finding.subject: finding for finding in doctor.examine()}
    assert findings["OpenVINO"].state == "broken"
    assert "half installed" in findings["OpenVINO"].found
    assert findings["PyTorch"].state == "ok"


def test_bench_prints_every_stage_and_writes_json(run: Run, tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    result = run(
        *("bench", "--resolution", "320x180", "--frames", "8", "--warmup", "2"),
        *("--no-overlap", "--json", figures),
    )
    assert result.code == 0, result.err
    for word in ("capture", "prepare", "infer", "finish", "render", "output", "p99", "FPS"):
        assert word in result.out
    assert json.loads(figures.read_text())["frames"] == 8


def test_camera_plays_a_file_in_real_time_without_a_display(
    run: Run, portrait_clip: Path, tmp_path: Path
) -> None:
    out = tmp_path / "record.mkv"
    result = run("camera", portrait_clip, "--no-display", "-o", out)
    assert result.code == 0, result.err
    with av.open(str(out)) as container:
        assert sum(1 for _ in container.decode(video=0)) > 0


def test_camera_without_a_display_says_what_to_do(
    run: Run, portrait_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("displays are looked for by environment on Linux only")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    result = run("camera", portrait_clip)
    assert result.code == 8
    assert "-o OUTPUT" in result.error


def test_a_missing_camera_is_one_line_with_the_devices(run: Run, tmp_path: Path) -> None:
    if os.path.exists("/dev/video37"):  # noqa: PTH110
        pytest.skip("that camera exists here")
    result = run("camera", "37", "--no-display", "-o", tmp_path / "out.mp4")
    assert result.code == 3
    assert "37" in result.error
    assert list(tmp_path.iterdir()) == []


def test_the_demo_makes_its_clip_and_segments_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtseg.cli import demo

    monkeypatch.setattr(demo, "SECONDS", 0.2)
    out = tmp_path / "demo.mp4"
    result = run("demo", "-o", out)
    assert result.code == 0, result.err
    assert "FPS" in result.err
    for path in (out, tmp_path / "demo-input.mp4"):
        with av.open(str(path)) as container:
            assert sum(1 for _ in container.decode(video=0)) == 6
