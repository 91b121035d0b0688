"""One short file per published run and per shipped model."""

from __future__ import annotations

from rtseg.errors import SettingError, listed
from training.recipes import face_parts
from training.recipes.base import Recipe

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (face_parts.RECIPE,)}
"""Every recipe by name."""


def recipe_of(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        SettingError: there is none.
    """
    if name not in RECIPES:
        raise SettingError(f"unknown recipe {name!r}; allowed: {listed(RECIPES)}")
    return RECIPES[name]
