"""The finder's runs: their order, and what each of them is shown."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from training.augment.face_scenes import FaceScenes
from training.data import base
from training.recipes import face_finder
from training.recipes.face_finder import HEADS, RECIPE, RUNS


def test_the_recipe_runs_all_its_runs_in_order() -> None:
    assert RUNS[0] is RECIPE
    assert RUNS[-1].first is None
    for later, earlier in itertools.pairwise(RUNS):
        assert later.first is earlier
        assert later.spec == earlier.spec
        assert later.settings.seed != earlier.settings.seed


@pytest.fixture
def listed_data(toy_data: Path) -> Path:
    """The drawn data with a face that looks aside, another face, and an animal's head."""
    lists = {
        "figaro-train": "F1",
        "figaro-profiles": "F1 20 20 60 80",
        "figaro-faces": "F1 30 10 70 90 15",
        "figaro-backs": "",
        "backgrounds-heads": "000 10 10 60 80",
    }
    for name, text in lists.items():
        (base.SPLITS / f"{name}.txt").write_text(f"{text}\n")
    (base.SPLITS / "helen-bystanders.txt").write_text("")
    return toy_data


def views_of(run: str, data: Path) -> FaceScenes:
    recipe = next(one for one in RUNS if one.name == run)
    views = recipe.training(data, recipe.settings).views
    assert isinstance(views, FaceScenes)
    image, target = views[0]
    assert image.shape == (recipe.spec.input_height, recipe.spec.input_width, 3)
    assert target.size
    return views


def test_the_first_runs_see_people_of_four_data_sets(listed_data: Path) -> None:
    views = views_of("face-finder-second", listed_data)
    assert len(views.busts) == 4
    assert not views.lookalikes


def test_the_fifth_sees_faces_that_look_aside_too(listed_data: Path) -> None:
    views = views_of("face-finder-fifth", listed_data)
    aside = [people for people, share in views.busts if share == face_finder.ASIDE]
    assert [bust.is_turned for bust in aside[0]] == [True]
    assert aside[0][0] in views.turned
    assert not views.lookalikes


@pytest.mark.parametrize("run", ["face-finder-sixth", "face-finder"])
def test_the_last_two_see_other_faces_and_heads_of_animals(run: str, listed_data: Path) -> None:
    views = views_of(run, listed_data)
    others = [people for people, share in views.busts if share == face_finder.OTHERS]
    assert [bust.roll_degrees for bust in others[0]] == [15]
    assert len(views.lookalikes) == HEADS


def test_only_the_last_sees_pictures_that_fade(listed_data: Path) -> None:
    shares = {one.name: views_of(one.name, listed_data).settings.faded for one in RUNS}
    assert shares.pop("face-finder") > 0
    assert not any(shares.values())
