"""Every example works when started as a user would start it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.support.clips import MakeClip

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, *words: object, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py"), *map(str, words)],
        cwd=cwd,
        env={"PYTHONPATH": str(EXAMPLES.parent), "PATH": "", "HOME": str(cwd)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """NASA's portrait from scikit-image, at a quarter of its size."""
    from skimage.data import astronaut

    path = tmp_path_factory.mktemp("photos") / "portrait.png"
    Image.fromarray(astronaut()).resize((256, 256)).save(path)
    return path


def test_no_example_is_longer_than_a_screen() -> None:
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text("utf-8").splitlines()) < 40, path


def test_stills(portrait: Path, tmp_path: Path) -> None:
    line = run("stills", portrait, cwd=tmp_path)
    assert "portrait.png: 1 faces, hair" in line
    assert 0.02 < float(line.split("hair ")[1].strip("%\n")) / 100 < 0.5


def test_webcam_blur(make_clip: MakeClip, tmp_path: Path) -> None:
    said = run("webcam_blur", make_clip(), tmp_path / "blurred.mkv", cwd=tmp_path)
    assert said == f"12 frames in {tmp_path / 'blurred.mkv'}\n"


def test_lip_recolour(make_clip: MakeClip, tmp_path: Path) -> None:
    run("lip_recolour", make_clip(), tmp_path / "out.mp4", cwd=tmp_path)
    with av.open(str(tmp_path / "out.mp4")) as file:
        assert sum(1 for _ in file.decode(video=0)) == 12


def test_masks_to_numpy(make_clip: MakeClip, tmp_path: Path) -> None:
    run("masks_to_numpy", make_clip(), tmp_path / "masks.npz", cwd=tmp_path)
    with np.load(tmp_path / "masks.npz") as saved:
        assert saved["labels"].shape == (12, 48, 64)
        np.testing.assert_allclose(saved["seconds"], np.arange(12) / 25)


def test_masks_to_coco(portrait: Path, tmp_path: Path) -> None:
    run("masks_to_coco", portrait.parent, tmp_path / "coco.json", cwd=tmp_path)
    coco = json.loads((tmp_path / "coco.json").read_text())
    assert [image["file_name"] for image in coco["images"]] == ["portrait.png"]
    names = {category["id"]: category["name"] for category in coco["categories"]}
    shown = {names[annotation["category_id"]] for annotation in coco["annotations"]}
    assert {"skin", "nose", "hair", "left-eye"} <= shown


def test_custom_finder(portrait: Path, tmp_path: Path) -> None:
    said = run("custom_finder", portrait, 88, 25, 138, 100, cwd=tmp_path)
    assert "1 face" in said
    assert "'nose'" in said


def test_custom_sink(make_clip: MakeClip, tmp_path: Path) -> None:
    output = tmp_path / "out.skin"
    run("custom_sink", make_clip(), output, cwd=tmp_path)
    first, *lines = output.read_text().splitlines()
    assert first == "# clip.mp4, 64x48"
    assert [float(line.split()[0]) for line in lines] == [index / 25 for index in range(12)]
    assert all(0 <= float(line.split()[1]) <= 1 for line in lines)


def test_notebook_loop(make_clip: MakeClip, tmp_path: Path) -> None:
    lines = run("notebook_loop", make_clip(), 5, cwd=tmp_path).splitlines()
    assert [float(line.split()[0]) for line in lines] == [index / 25 for index in range(5)]


def test_supervision(portrait: Path, tmp_path: Path) -> None:
    pytest.importorskip("supervision", reason="supervision is not installed")
    run("supervision_annotate", portrait, tmp_path / "out.png", cwd=tmp_path)
    drawn = np.asarray(Image.open(tmp_path / "out.png"))
    assert (drawn != np.asarray(Image.open(portrait))).any(axis=2).mean() > 0.05


def test_gradio(portrait: Path) -> None:
    pytest.importorskip("gradio", reason="gradio is not installed")
    spec = importlib.util.spec_from_file_location("gradio_app", EXAMPLES / "gradio_app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    from rtseg import Segmenter

    with Segmenter() as segmenter:
        page = module.page(segmenter)
        picture = np.asarray(Image.open(portrait))
        assert page.fn(picture).shape[:2] == picture.shape[:2]
        assert page.fn(None) is None
