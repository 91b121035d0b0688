"""The wheel, installed outside the checkout, runs: it contains weights and engine recipes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ("rtseg", "engines", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy without network, so that the checkout is not changed."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in SHIPPED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy / name)
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "out"],
        cwd=copy,
        check=True,
        capture_output=True,
    )
    (built,) = (copy / "out").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def run(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    elsewhere = installed.parent
    environment = os.environ | {"PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=elsewhere,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )


def test_the_wheel_contains_weights_recipes_and_types_but_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "rtseg/weights/face-parts.safetensors" in names
    assert "rtseg/py.typed" in names
    assert "rtseg/weights/face-parts.onnx" in names
    assert "rtseg/engine_recipes/face-parts.toml" in names
    assert not [name for name in names if name.startswith(("tests/", "training/"))]


def test_the_command_runs_from_the_wheel(installed: Path) -> None:
    code = "import rtseg; print(rtseg.__file__); from rtseg.cli import main; main(['models'])"
    done = run(installed, "-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(installed))
    assert "face-parts" in done.stdout


def test_the_installed_wheel_segments_a_face(installed: Path) -> None:
    code = (
        "from skimage.data import astronaut; from rtseg import Segmenter\n"
        "with Segmenter() as segmenter:\n"
        "    segmentation = segmenter(astronaut())\n"
        "print(len(segmentation.faces), segmentation.mask('nose').sum() > 50)\n"
    )
    done = run(installed, "-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1", "True"]
