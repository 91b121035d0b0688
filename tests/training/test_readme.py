"""The README's data set and recipe, as a newcomer would type them, train."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import training
from rtseg.checkpoint import read_checkpoint
from rtseg.labels import LabelSet, built_in
from tests.training.data.files import blocks, picture, write
from training.recipes import RECIPES, face_finder, face_parts, face_parts_answers
from training.recipes.base import Recipe
from training.settings import FitSettings
from training.studies import STUDIES
from training.trainer import fit

TEXT = (Path(training.__file__).parents[1] / "docs/training.md").read_text("utf-8")


def test_the_documented_example_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split in ("train", "val"):
        for number in range(4):
            folder = tmp_path / "mine" / split
            write(folder / f"images/{number}.jpg", picture(number))
            write(folder / f"ids/{number}.png", blocks([0, 1]))
    label_set = LabelSet(name="mine", names=("a", "b"), colours=((0, 0, 0), (255, 0, 0)))
    monkeypatch.setattr(built_in, "MINE", label_set, raising=False)
    data_set, of_recipe = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    module = ModuleType("training.data.mine")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(data_set, module.__dict__)
    names: dict[str, object] = {}
    exec(of_recipe, names)
    recipe = names["RECIPE"]
    assert isinstance(recipe, Recipe)
    changes = ("epochs=1", "batch=2", "input_height=32", "input_width=32", "workers=0")
    settings = recipe.settings.changed(changes)
    small = recipe.with_options(["width=4"])
    path = fit(small, data=tmp_path, out=tmp_path / "run", settings=settings, command="test")
    checkpoint = read_checkpoint(path)
    assert checkpoint.spec.view == "frame"
    assert np.isfinite(checkpoint.tensors["head.weight"]).all()
    assert {name.rpartition("-")[0] for name in recipe.downloads(tmp_path)} == {"mine"}


def test_every_published_recipe_is_in_the_table() -> None:
    for name in RECIPES:
        assert f"`{name}`" in TEXT or name in (
            *(run.name for run in (*face_parts.RUNS, *face_parts_answers.RUNS, *face_finder.RUNS)),
            "fasseg-fcn-both",
            "cihp-deeplabv3plus-official",
            "celebamask-deeplab-labels",
        ), name


def test_documented_commands_exist() -> None:
    for recipe in re.findall(r"training (?:fit|check|show) ([a-z][a-z0-9-]+)", TEXT):
        assert recipe in RECIPES
    for study in re.findall(r"training study ([a-z]+)", TEXT):
        assert study in STUDIES
    for assignment in re.findall(r"--set ([a-z_]+=[^\s`\]]+)", TEXT):
        name, _, value = assignment.partition("=")
        if value not in ("VALUE", "…") and "runs/" not in value and not value.startswith('"'):
            FitSettings().changed([assignment.rstrip("…")])
        assert hasattr(FitSettings(), name)
