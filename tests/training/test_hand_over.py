"""`rtseg video --model` runs what `fit` writes: with its own view, classes, colours and legend."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from rtseg.checkpoint import read_checkpoint
from rtseg.cli import main as rtseg_main
from rtseg.frames import Image, LabelMap
from rtseg.labels import BDD_DRIVABLE
from tests.training import layouts
from tests.training.conftest import draw_face, write_png
from training.data.base import read_image
from training.recipes import recipe_of
from training.trainer import fit

FRAMES = 3


def face_frame(number: int) -> tuple[Image, LabelMap]:
    """A moving face that fills half of a wide frame."""
    small, small_labels = draw_face(size=160)
    image = np.full((200, 320, 3), (30, 60, 90), np.uint8)
    labels = np.zeros((200, 320), np.uint8)
    left = 70 + 4 * number
    image[20:180, left : left + 160] = small
    labels[20:180, left : left + 160] = small_labels
    return image, labels


def coarse_face_frame(number: int) -> tuple[Image, LabelMap]:
    image, labels = face_frame(number)
    return image, np.array([0, 1, 2, 2, 4, 4, 3, 5, 5, 5, 2], np.uint8)[labels]


def road_frame(number: int) -> tuple[Image, LabelMap]:
    """One of the training pictures."""
    labels = layouts.tiles(BDD_DRIVABLE, number, rows=1, columns=3, height=180, width=320)
    return layouts.picture_of(labels, BDD_DRIVABLE, number), labels


@dataclass(frozen=True, kw_only=True)
class Case:
    """A small variant of a recipe, and frames whose labels are known."""

    recipe: str
    view: str
    size: tuple[int, int]
    frame: Callable[[int], tuple[Image, LabelMap]]
    options: tuple[str, ...] = ()
    epochs: int = 100
    slow: bool = False


CASES = (
    Case(recipe="helen-unet", view="face", size=(64, 64), frame=face_frame, options=("width=8",)),
    Case(recipe="fasseg-fcn", view="face", size=(64, 64), frame=coarse_face_frame, slow=True),
    Case(
        recipe="bdd-drivable-unet",
        view="frame",
        size=(48, 80),
        frame=road_frame,
        options=("width=4",),
        epochs=40,
    ),
)
CHANGES = (
    *("batch=2", "learning_rate=1e-2", "schedule=one-cycle", "average=0", "precision=fp32"),
    *("loss=cross-entropy + image-weighted-cross-entropy", "workers=0", "threads=1"),
    "evaluate_every=1000",
)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.recipe, marks=[pytest.mark.slow] if case.slow else [])
        for case in CASES
    ],
)
def test_a_freshly_trained_model_segments_a_video(
    case: Case, toy_data: Path, tmp_path: Path
) -> None:
    layouts.bdd(toy_data)
    recipe = recipe_of(case.recipe).with_options(case.options)
    size = (f"input_height={case.size[0]}", f"input_width={case.size[1]}")
    settings = recipe.settings.changed((*CHANGES, *size, f"epochs={case.epochs}"))
    model = fit(recipe, data=toy_data, out=tmp_path / "run", settings=settings, command="test")

    truths = []
    for number in range(FRAMES):
        image, labels = case.frame(number)
        write_png(tmp_path / "in" / f"{number}.png", image)
        truths.append(labels)
    masks, records = tmp_path / "masks.npz", tmp_path / "records.jsonl"
    words = ["video", tmp_path / "in" / "*.png", "-o", tmp_path / "out" / "%d.png"]
    words += ["--view", "mask", "--legend", "--labels", masks, "--json", records]
    words += ["--model", model, "--backend", "torch", "--device", "cpu", "--precision", "fp32"]
    with pytest.raises(SystemExit) as stopped:
        rtseg_main([str(word) for word in words])
    assert stopped.value.code == 0

    label_set = recipe.spec.label_set
    header, *lines = [json.loads(line) for line in records.read_text().splitlines()]
    assert header["labels"] == list(label_set.names)
    assert read_checkpoint(model).spec.view == case.view
    assert [len(line["faces"]) for line in lines] == [int(case.view == "face")] * FRAMES
    predicted = np.load(masks)["labels"]
    assert predicted.shape == (FRAMES, *truths[0].shape)
    for labels, truth in zip(predicted, truths, strict=True):
        assert (labels == truth).mean() > 0.9
        shown = np.isin(labels, label_set.foreground) & (labels == truth)
        assert shown.sum() > 0.75 * np.isin(truth, label_set.foreground).sum()
    pictures = sorted((tmp_path / "out").iterdir())
    assert len(pictures) == FRAMES
    drawn = read_image(pictures[0]).reshape(-1, 3).astype(int)
    for label_id in label_set.foreground:  # the legend lists every class, present or not
        far = np.abs(drawn - label_set.colours[label_id]).max(1).min()
        assert far <= 8, label_set.names[label_id]
