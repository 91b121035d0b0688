"""Every recipe from `check` to `predict` on data in its layout, through the commands."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from rtseg.checkpoint import read_checkpoint
from rtseg.cli import main as rtseg_main
from tests.training.layouts import LAYOUTS
from training.cli import main
from training.recipes import RECIPES, recipe_of

SMALL = {"helen-unet": ("width=4",), "bdd-drivable-unet": ("width=4",), "fasseg-fcn": ()}
"""The recipes that are small enough for a test, with their options."""

SIZES = {"bdd": (96, 160), "cihp": (64, 64)}


def call(*arguments: object) -> Result:
    threads = torch.get_num_threads()
    try:
        return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)
    finally:
        torch.set_num_threads(threads)


def first_word(recipe: str) -> str:
    return recipe.partition("-")[0]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in SMALL else [pytest.mark.slow])
        for name in RECIPES
        if not name.startswith("face-")
        and name not in ("fasseg-fcn-both", "celebamask-deeplab-labels")
    ],
)
def test_the_commands_work_from_check_to_predict(
    name: str, layout_data: Path, tmp_path: Path
) -> None:
    for library in ("torchvision", "segmentation_models_pytorch", "matplotlib"):
        pytest.importorskip(library)
    LAYOUTS[first_word(name)](layout_data)
    checked = call("check", name, "--data", layout_data)
    assert checked.exit_code == 0, checked.output
    assert "0 files missing" in checked.output
    assert "terms: Weights trained on research-use data" in checked.output

    run = tmp_path / "run"
    height, width = SIZES.get(first_word(name), (64, 64))
    words: list[object] = [
        "fit",
        name,
        "--data",
        layout_data,
        "--out",
        run,
        "--encoder-weights",
        "none",
    ]
    changes = (f"input_height={height}", f"input_width={width}", "epochs=1", "batch=2")
    for change in (*changes, "workers=0", "threads=1"):
        words += ["--set", change]
    for option in SMALL.get(name, ()):
        words += ["--option", option]
    fitted = call(*words)
    assert fitted.exit_code == 0, fitted.output
    written = {path.name for path in run.iterdir()}
    pictures = {"curves.png", "confusion.png", "predictions.png"}
    assert {"model.safetensors", "state.pt", "log.jsonl", "results.md"} | pictures <= written
    assert f"# {name}, split {recipe_of(name).splits[0]}" in (run / "results.md").read_text()

    model = read_checkpoint(run / "model.safetensors")
    assert "--data DIR --out RUN" in model.spec.provenance["command"]
    measured = call("evaluate", run / "model.safetensors", "--data", layout_data, "--json")
    assert measured.exit_code == 0, measured.output
    result = json.loads(measured.output)
    # the figure at the end of the run, except for the rounding of the weights in the file
    assert result["f1"] == pytest.approx(model.spec.accuracy["f1"], abs=0.02)

    image = next(path for path in layout_data.rglob("*") if path.suffix in (".jpg", ".bmp"))
    predicted = call("predict", run / "model.safetensors", image, "-o", tmp_path / "masks")
    assert predicted.exit_code == 0, predicted.output
    mask = cv2.imread(str(tmp_path / "masks" / f"{image.stem}.png"), cv2.IMREAD_UNCHANGED)
    assert mask.shape == cv2.imread(str(image)).shape[:2]
    assert mask.max() < len(model.spec.label_set)

    labels = rtseg_image(run / "model.safetensors", image, tmp_path)
    assert labels.shape == mask.shape
    assert labels.max() < len(model.spec.label_set)
    if model.spec.view == "frame":  # the whole picture through the network, as in `predict`
        # a network of a few steps draws borders everywhere, and the two may round those differently
        assert (labels == mask).mean() > 0.8


def rtseg_image(model: Path, image: Path, folder: Path) -> np.ndarray:
    """The labels of `rtseg image --model`."""
    words = ["image", image, "-o", folder / "views", "--labels", folder / "labels"]
    words += ["--model", model, "--device", "cpu", "--precision", "fp32", "--legend"]
    with pytest.raises(SystemExit) as stopped:
        rtseg_main([str(word) for word in words])
    assert stopped.value.code == 0
    assert list((folder / "views").iterdir())
    return cv2.imread(str(folder / "labels" / f"{image.stem}.png"), cv2.IMREAD_UNCHANGED)


def test_check_finds_problems(layout_data: Path) -> None:
    LAYOUTS["bdd"](layout_data)
    images = layout_data / "bdd100k/images/100k/train"
    masks = layout_data / "bdd100k/labels/drivable/masks/train"
    (masks / "0003.png").unlink()
    (images / "0001.jpg").write_bytes(b"not a picture")
    shutil.copy(images / "0000.jpg", images / "0002.jpg")
    shutil.copy(images / "0000.jpg", layout_data / "bdd100k/images/100k/val/0005.jpg")
    bad = np.full((180, 320), 7, np.uint8)
    cv2.imwrite(str(masks / "0004.png"), bad)
    result = call("check", "bdd-drivable-unet", "--data", layout_data)
    assert result.exit_code == 3
    lines = result.output
    assert "bdd-drivable-train: 3 of 6 readable, 1 files missing" in lines
    assert "0001.jpg: is not a picture" in lines
    assert "0004.png: holds the label value 7 in 57600 pixels" in lines
    assert "identical pictures: 0000, 0002" in lines
    assert "also in another split: 0005 is bdd-drivable-train/0000" in lines


def test_show_prints_settings_published_figures_and_notes() -> None:
    shown = call("show", "bdd-drivable-pspnet-resnet50").output
    for text in ("learning_rate    0.0003", "loss             log-dice", "mean-iou", "0.7549"):
        assert text in shown
    assert "one view per training picture" in shown
    assert "note: size: 180x320 in its notebooks" in shown
    listed = call("list").output
    assert all(name in listed for name in RECIPES)
