"""The fuzzer's targets: briefly with atheris if it is installed, and with fixed inputs."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.parsers import TARGETS, described, seeds


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("data", [b"", b"{}", b"\xff" * 40, b"[" * 3000])
def test_a_fuzz_target_accepts_any_bytes(
    target: str, data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.fuzz.parsers.FOLDER", tmp_path)
    monkeypatch.setenv("RTSEG_ENGINE_DIR", "")
    TARGETS[target](data)


def test_the_fuzzer_starts_with_valid_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtseg.backends.tensorrt import list_engines
    from rtseg.checkpoint import read_spec
    from rtseg.export.onnx_file import parse_onnx

    path = tmp_path / "seed.safetensors"
    path.write_bytes(described(seeds()["checkpoint"]))
    assert read_spec(path).architecture == "a"
    monkeypatch.setenv("RTSEG_ENGINE_DIR", str(tmp_path))
    (tmp_path / "seed.engine").touch()
    (tmp_path / "seed.engine.json").write_bytes(seeds()["manifest"])
    assert len(list_engines()) == 1
    assert parse_onnx(seeds()["onnx"], name="seed.onnx").precision == "fp16"


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("atheris"), reason="pip install atheris")
@pytest.mark.parametrize("target", TARGETS)
def test_a_minute_of_fuzzing_finds_nothing(target: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.parsers", target, "-max_total_time=60", "-timeout=10"],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr[-3000:]
