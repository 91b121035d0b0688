"""Errors come before a model is opened; what exists is kept unless `--overwrite` is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import pytest

from rtseg import backends, process
from tests.cli.conftest import Run

SMALL = ("--model", "null", "--resolution", "160x120", "--frames", "3", "--warmup", "1")


@pytest.fixture
def no_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a backend fails the test."""

    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("a backend was opened")

    for module in (process, backends):
        for function in ("open_backend", "open_backend_for"):
            monkeypatch.setattr(module, function, refuse)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    from skimage.data import astronaut

    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), astronaut()[::4, ::4, ::-1])
    return path


COMMANDS = {
    "image": ("--classes", "--effect"),
    "video": ("--classes", "--effect", "--alpha"),
    "several": ("--classes", "--effect"),
    "batch": ("--classes", "--effect", "--alpha"),
    "bench": ("--classes", "--effect"),
    "bench all": ("--classes",),
    "serve": ("--classes",),
}


@pytest.mark.parametrize(
    ("command", "wrong"), [(name, option) for name in COMMANDS for option in COMMANDS[name]]
)
@pytest.mark.usefixtures("no_backend")
def test_what_a_model_lacks_is_named_before_it_is_opened(
    run: Run, tmp_path: Path, portrait_clip: Path, photo: Path, command: str, wrong: str
) -> None:
    out = tmp_path / "out"
    words = {
        "image": ("image", photo, "-o", out / "a.png"),
        "video": ("video", portrait_clip, "-o", out / "a.mp4"),
        "several": ("video", portrait_clip, photo, "-o", f"{out}/"),
        "batch": ("batch", portrait_clip, "-o", out),
        "bench": ("bench",),
        "bench all": ("bench", "--backend", "all"),
        "serve": ("serve",),
    }[command]
    if (command, wrong) == ("video", "--alpha"):
        words = (*words[:-1], out / "a.mkv")
    value = "lips=nostril" if wrong == "--effect" else "nostril"
    result = run(*words, wrong, value)
    assert result.code == 2, result.err
    assert "nostril" in result.error
    assert "allowed: " in result.error
    assert len(result.err.splitlines()) == 1, "nothing else is said"
    assert not list(tmp_path.rglob("a.*"))


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ('outputs = ["streams.toml/a.mp4"]', "streams.toml is not a folder"),
        ('classes = ["nostril"]', "classes: unknown class 'nostril'; allowed: "),
        ('effects = ["glow=1"]', "effects: 'glow' is unknown; allowed: "),
        ('outputs = ["a.webm"]\ncodec = "hevc"', "codec: .webm cannot hold hevc"),
        ('view = "cutout"\nbackground = "mauvish"', "background: 'mauvish'"),
    ],
)
@pytest.mark.usefixtures("no_backend")
def test_what_a_stream_cannot_have_is_named_before_a_model_is_opened(
    run: Run, tmp_path: Path, setting: str, words: str
) -> None:
    file = tmp_path / "streams.toml"
    file.write_text(f'[streams.door]\nsource = "0"\n{setting}\n')
    result = run("serve", file, "--web", "0")
    assert result.code == 2, result.err
    problem, nothing_left = result.err.splitlines()
    assert problem.startswith(f"error: {file}: [streams.door] ")
    assert words in problem
    assert "none of its streams can be served" in nothing_left


def test_bench_keeps_existing_files(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for option, name in (("--json", "a.json"), ("--plot", "a.png")):
        path = tmp_path / name
        path.write_text("mine")
        refused = run("bench", *SMALL, option, path)
        assert refused.code == 5
        assert refused.error == f"error: {path} exists; --overwrite replaces it"
        assert "FPS" not in refused.out, "it is refused before anything is measured"
        assert path.read_text() == "mine"
        assert run("bench", *SMALL, option, path, "--overwrite").code == 0
        assert path.read_bytes() != b"mine"
    assert json.loads((tmp_path / "a.json").read_text())


def test_a_file_that_appears_while_bench_measures_is_kept(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtseg.bench import pipeline

    path = tmp_path / "a.json"
    run_bench = pipeline.run_bench

    def meanwhile(*arguments: Any, **options: Any) -> Any:
        path.write_text("mine")
        return run_bench(*arguments, **options)

    monkeypatch.setattr(pipeline, "run_bench", meanwhile)
    refused = run("bench", *SMALL, "--json", path)
    assert refused.code == 5
    assert path.read_text() == "mine"


def test_engine_export_keeps_existing_files(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_text("mine")
    refused = run("engine", "export", "-o", path)
    assert refused.code == 5
    assert refused.error == f"error: {path} exists; --overwrite replaces it"
    # the built-in model's own exported file is kept, too
    assert run("engine", "export").code == 5
    assert path.read_text() == "mine"


def test_engine_export_replaces_a_file_on_request(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtseg.export.onnx.export_onnx", lambda checkpoint, precision: b"network")
    path = tmp_path / "a.onnx"
    path.write_text("mine")
    assert run("engine", "export", "-o", path, "-y").code == 0
    assert path.read_text() == "network"
