"""The promises of recipes: published settings, their network's stride, no shared pictures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from rtseg.errors import SettingError
from rtseg.models import build_model
from training.evaluation.report import scores
from training.recipes import (
    RECIPES,
    face_finder,
    face_parts,
    face_parts_answers,
    recipe_of,
)

OURS = (
    *(run.name for run in (*face_parts.RUNS, *face_parts_answers.RUNS, *face_finder.RUNS)),
    "fasseg-fcn-both",
    *("celebamask-deeplab-labels", "cihp-deeplabv3plus-official"),
)
PUBLISHED = [name for name in RECIPES if name not in OURS]

REQUIRED = {
    *("celebamask-deeplab", "fasseg-fcn", "cihp-deeplabv3plus", "helen-unet", "face-parts"),
    *("bdd-drivable-fcn-resnet50", "bdd-drivable-unet", "bdd-drivable-pspnet-resnet50"),
    *("bdd-drivable-deeplabv3plus-resnet50", "bdd-drivable-segformer-mit-b3"),
}


def test_every_published_run_has_a_recipe() -> None:
    assert set(RECIPES) >= REQUIRED
    with pytest.raises(SettingError, match="unknown recipe 'unet'; allowed: face-parts"):
        recipe_of("unet")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("celebamask-deeplab", (19, 256, 256, "adam", 1e-3, 8, 10, "cross-entropy")),
        ("fasseg-fcn", (6, 256, 256, "adam", 1e-2, 4, 100, "cross-entropy")),
        ("cihp-deeplabv3plus", (20, 512, 512, "adam", 1e-3, 4, 25, "cross-entropy")),
        ("helen-unet", (11, 256, 256, "adam", 1e-3, 10, 30, "tversky")),
        ("bdd-drivable-unet", (3, 192, 320, "adam", 3e-4, 8, 12, "log-dice")),
        ("bdd-drivable-pspnet-resnet50", (3, 192, 320, "adam", 3e-4, 8, 12, "log-dice")),
    ],
)
def test_published_settings_are_used(name: str, expected: tuple[object, ...]) -> None:
    recipe = recipe_of(name)
    s = recipe.settings
    assert expected == (
        *(len(recipe.spec.label_set), recipe.spec.input_height, recipe.spec.input_width),
        *(s.optimizer, s.learning_rate, s.batch, s.epochs, s.loss),
    )
    assert s.beta2 == 0.999  # Adam's default
    assert s.augmentation == "none"
    assert s.weight_decay == s.clip == s.average == 0


def test_bdds_one_cycle_is_the_published_one() -> None:
    s = recipe_of("bdd-drivable-unet").settings
    assert (s.schedule, s.warm_up, s.start, s.cycle_momentum) == ("one-cycle", 0.3, 0.1, True)
    assert recipe_of("bdd-drivable-pspnet-resnet50").settings.auxiliary == 0.4


def test_published_figures_are_stated() -> None:
    assert recipe_of("helen-unet").published["parts"] == 0.8116
    assert recipe_of("cihp-deeplabv3plus").published == {"pixel-accuracy": 0.7870}
    figures = [
        recipe_of(f"bdd-drivable-{net}").published["mean-iou"]
        for net in (
            *("fcn-resnet50", "unet", "pspnet-resnet50"),
            *("deeplabv3plus-resnet50", "segformer-mit-b3"),
        )
    ]
    assert figures == [0.6956, 0.6544, 0.7549, 0.7305, 0.7707]


@pytest.mark.parametrize("name", RECIPES)
def test_every_published_figure_can_be_measured(name: str) -> None:
    import numpy as np

    recipe = recipe_of(name)
    classes = len(recipe.spec.label_set)
    assert set(recipe.published) <= set(
        scores(np.eye(classes, dtype=np.int64), recipe.spec.label_set)
    )


@pytest.mark.parametrize("name", ["fasseg-fcn", "helen-unet", "bdd-drivable-unet"])
def test_a_recipes_stride_equals_its_networks(name: str) -> None:
    recipe = recipe_of(name).with_options(["width=4"] if "unet" in name else [])
    model = build_model(
        recipe.spec.architecture, classes=len(recipe.spec.label_set), options=recipe.spec.options
    )
    with torch.inference_mode():
        logits = model.eval()(torch.zeros(1, 3, 64, 96))
    assert logits.shape == (
        1,
        len(recipe.spec.label_set),
        64 // recipe.spec.stride,
        96 // recipe.spec.stride,
    )


@pytest.mark.parametrize("name", RECIPES)
def test_headers_are_plain_json_and_state_the_terms(name: str) -> None:
    recipe = recipe_of(name)
    checkpoint = recipe.checkpoint({}, provenance={}, accuracy={})
    assert json.loads(json.dumps(checkpoint.spec.header()))["options"] == dict(recipe.spec.options)
    assert recipe.spec.terms
    views = {"cihp": "frame", "bdd": "frame", "face-finder": "finder"}
    assert recipe.spec.view == next((v for n, v in views.items() if name.startswith(n)), "face")


@pytest.mark.parametrize("name", PUBLISHED)
def test_differences_between_code_and_text_are_noted(name: str) -> None:
    assert recipe_of(name).notes


def test_no_recipe_trains_on_pictures_it_is_measured_on() -> None:
    from training import recipes

    for path in Path(recipes.__file__).parent.glob("*.py"):
        text = path.read_text()
        assert not ("datasets.lapa" in text and "datasets.helen" in text), path


def test_options_are_json() -> None:
    changed = recipe_of("helen-unet").with_options(["width=16", "slope=0.1"])
    assert dict(changed.spec.options) == {"width": 16, "slope": 0.1}
    with pytest.raises(SettingError, match="JSON value"):
        changed.with_options(["width"])
    with pytest.raises(SettingError, match="JSON value"):
        changed.with_options(["width=many"])


def test_the_input_size_can_be_changed() -> None:
    changed = recipe_of("bdd-drivable-unet").with_input(384, 0)
    assert (changed.spec.input_height, changed.spec.input_width) == (384, 320)
    assert recipe_of("bdd-drivable-unet").with_input(0, 0).spec.input_height == 192
