"""Training recipes: one module per published run and per shipped model."""

from __future__ import annotations

from rtseg.errors import SettingError, listed
from training.recipes import (
    bdd_drivable,
    celebamask_deeplab,
    cihp_deeplabv3plus,
    face_finder,
    face_parts,
    face_parts_answers,
    fasseg_fcn,
    helen_unet,
)
from training.recipes.base import Recipe

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        *face_parts.RUNS,
        *face_parts_answers.RUNS,
        *face_finder.RUNS,
        helen_unet.RECIPE,
        fasseg_fcn.RECIPE,
        fasseg_fcn.BOTH,
        celebamask_deeplab.RECIPE,
        celebamask_deeplab.LABELS,
        cihp_deeplabv3plus.RECIPE,
        cihp_deeplabv3plus.OFFICIAL,
        *bdd_drivable.RECIPES,
    )
}
"""Every recipe by name."""


def recipe_of(name: str) -> Recipe:
    """Return a recipe by name.

    Raises:
        SettingError: there is none.
    """
    if name not in RECIPES:
        raise SettingError(f"unknown recipe {name!r}; allowed: {listed(RECIPES)}")
    return RECIPES[name]
