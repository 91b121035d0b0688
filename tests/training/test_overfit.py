"""Every published recipe memorises four pictures: data, labels, loss and network match.

The size and number of steps are reduced; network, optimizer, schedule and loss are the recipe's.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from rtseg.checkpoint import read_checkpoint
from rtseg.models import create_model
from tests.training.layouts import LAYOUTS
from training.evaluation.metrics import iou_of, mean_of
from training.recipes import recipe_of
from training.trainer import fit, measured


@dataclass(frozen=True, kw_only=True)
class Case:
    """A recipe, its size in the test, and its changed settings."""

    recipe: str
    height: int
    width: int
    changes: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    slow: bool = True


CASES = (
    Case(recipe="fasseg-fcn", height=48, width=48, changes=("epochs=100",), slow=False),
    Case(
        recipe="helen-unet",
        height=64,
        width=64,
        options=("width=12",),
        # with a Tversky loss alone, the last classes appear late
        changes=("epochs=200", "learning_rate=5e-3"),
    ),
    Case(recipe="celebamask-deeplab", height=128, width=160, changes=("epochs=120",)),
    Case(recipe="cihp-deeplabv3plus", height=128, width=160, changes=("epochs=120",)),
    Case(recipe="bdd-drivable-fcn-resnet50", height=96, width=160, changes=("epochs=100",)),
    Case(
        recipe="bdd-drivable-unet",
        height=48,
        width=80,
        options=("width=8",),
        changes=("epochs=60", "learning_rate=5e-3"),
        slow=False,
    ),
    Case(recipe="bdd-drivable-pspnet-resnet50", height=96, width=160, changes=("epochs=60",)),
    Case(
        recipe="bdd-drivable-deeplabv3plus-resnet50",
        height=96,
        width=160,
        changes=("epochs=80",),
    ),
    Case(recipe="bdd-drivable-segformer-mit-b3", height=96, width=160, changes=("epochs=100",)),
)

COMMON = (
    *("batch=4", "encoder_weights=none", "workers=0", "evaluate_every=1000", "save_minutes=1000"),
    *("average=0", "keep=last", "threads=1"),
)


def parameters(cases: Sequence[Case]) -> list[object]:
    return [
        pytest.param(case, id=case.recipe, marks=[pytest.mark.slow] if case.slow else [])
        for case in cases
    ]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("case", parameters(CASES))
def test_four_pictures_are_memorised(case: Case, layout_data: Path, tmp_path: Path) -> None:
    if "resnet" in case.recipe or "deeplab" in case.recipe:
        pytest.importorskip("torchvision")
    if case.recipe.startswith("bdd"):
        pytest.importorskip("segmentation_models_pytorch")  # needed for its loss
    LAYOUTS[case.recipe.partition("-")[0]](layout_data)
    recipe = recipe_of(case.recipe).with_options(case.options)
    size = (f"input_height={case.height}", f"input_width={case.width}")
    settings = recipe.settings.changed((*COMMON, *case.changes, *size))
    before = torch.get_num_threads()
    try:
        path = fit(
            recipe, data=layout_data, out=tmp_path / "run", settings=settings, command="test"
        )
    finally:
        torch.set_num_threads(before)
    checkpoint = read_checkpoint(path)
    learnt = recipe.training(layout_data, settings).views.dataset  # type: ignore[attr-defined]
    assert len(learnt) == 4
    small = recipe.with_input(case.height, case.width)
    matrix = measured(small, create_model(checkpoint), learnt)
    scores = [iou_of(matrix, [i]) for i in range(len(recipe.spec.label_set))]
    assert mean_of(scores) >= 0.95, dict(zip(recipe.spec.label_set.names, scores, strict=True))
    assert checkpoint.spec.provenance["recipe"] == case.recipe
    assert checkpoint.spec.label_set == recipe.spec.label_set
    logging.getLogger(__name__).info("%s: mean IoU %.4f", case.recipe, mean_of(scores))
