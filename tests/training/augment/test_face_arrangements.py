"""Hard arrangements in a finder's views: heads that touch, faces cut by an edge, passers-by."""

import dataclasses
import itertools

import numpy as np
import pytest

from tests.training.augment.test_face_scenes import GREEN, painted_bust, scenes
from training.augment.face_arrangements import (
    arranged_people,
    coming_people,
    cut_by_edge,
    passers_by,
    touching_heads,
)

SIZE = {"height": 224, "width": 384}
FACE_WIDTH = 0.75  # of a face's height


def is_green(view):
    red, middle, blue = (view[..., channel].astype(int) for channel in range(3))
    return middle > 1.6 * np.maximum(red, blue) + 5


@pytest.mark.parametrize("seed", range(20))
def test_touching_heads_are_no_farther_apart_than_their_hair(seed):
    people = touching_heads(np.random.default_rng(seed), **SIZE)
    assert len(people) in (2, 3)
    for one in people:
        nearest = min(
            abs(one.x - other.x) / (FACE_WIDTH * (one.tall + other.tall) / 2)
            for other in people
            if other is not one
        )
        assert 0.1 < nearest < 1.4


@pytest.mark.parametrize("seed", range(20))
def test_the_frames_edge_cuts_through_the_middle_of_a_face(seed):
    for one in cut_by_edge(np.random.default_rng(seed), **SIZE):
        beside = min(one.x, SIZE["width"] - one.x) / (FACE_WIDTH * one.tall)
        above = min(one.y, SIZE["height"] - one.y) / one.tall
        assert -0.13 < min(beside, above) < 0.31


@pytest.mark.parametrize("seed", range(20))
def test_passers_by_are_small_and_beside_each_other(seed):
    people = passers_by(np.random.default_rng(seed), **SIZE)
    assert all(0.015 < one.tall / SIZE["height"] < 0.2 for one in people)
    left_to_right = sorted(people, key=lambda one: one.x)
    for one, other in itertools.pairwise(left_to_right):
        assert other.x - one.x >= 0.39 * (one.tall + other.tall)


def test_people_who_come_closer_are_5_to_12_percent_high_and_often_cut_by_a_side():
    at_a_side = 0
    for seed in range(60):
        people = coming_people(np.random.default_rng(seed), **SIZE)
        assert people
        assert all(0.035 < one.tall / SIZE["height"] < 0.17 for one in people)
        beside = min(min(one.x, SIZE["width"] - one.x) / one.tall for one in people)
        at_a_side += beside < FACE_WIDTH / 2
    assert 20 <= at_a_side <= 50


def test_they_are_in_the_views_that_ask_for_them():
    made = scenes(coming=1.0, upside=0)
    tall = [face.height / SIZE["height"] for index in range(12) for face in made.scene(index)[1]]
    assert len(tall) >= 12
    assert max(tall) < 0.2


def test_without_hard_arrangements_no_random_number_is_drawn():
    rng, untouched = np.random.default_rng(1), np.random.default_rng(1)
    assert arranged_people(rng, touching=0, at_edge=0, passing=0, size=(224, 384)) == []
    assert rng.random() == untouched.random()


def test_each_touching_head_that_shows_enough_has_its_own_centre():
    made = scenes(touching=1.0, upside=0)
    close = 0
    for index in range(12):
        _, faces, uncertain = made.scene(index)
        assert 2 <= len(faces) + len(uncertain) <= 3 or any(face.visible < 0.1 for face in faces)
        if len(faces) >= 2:
            first, second = faces[:2]
            gap = np.hypot(first.x - second.x, first.y - second.y)
            close += gap < 1.2 * (first.height + second.height) / 2
    assert close >= 8


def test_a_face_cut_by_the_edge_counts_from_the_least_visible_share_on():
    strict = scenes(at_edge=1.0, upside=0)
    lenient = scenes(at_edge=1.0, upside=0, least_visible=0.2)
    some = [len(strict.scene(index)[1]) for index in range(30)]
    more = [len(lenient.scene(index)[1]) for index in range(30)]
    assert all(few <= many for few, many in zip(some, more, strict=True))
    assert sum(some) < sum(more)


def test_passers_by_are_drawn_from_the_turned_people():
    blue = dataclasses.replace(painted_bust(), is_turned=True)
    levels = tuple(
        np.dstack((level[..., 2], level[..., 0], level[..., 1], level[..., 3]))
        for level in blue.levels
    )
    turned = [dataclasses.replace(blue, levels=levels)]
    plain = scenes(passing=1.0)
    made = dataclasses.replace(plain, turned=turned)
    fewer = [int(is_green(made.scene(index)[0]).sum()) for index in range(8)]
    all_green = [int(is_green(plain.scene(index)[0]).sum()) for index in range(8)]
    assert sum(fewer) < 0.8 * sum(all_green)


@pytest.mark.parametrize("index", range(4))
def test_a_lookalike_is_shown_but_is_no_face(index):
    made = dataclasses.replace(scenes(empty=1.0, lookalikes=1.0), lookalikes=[painted_bust()])
    view, faces, uncertain = made.scene(index)
    assert is_green(view).sum() > 30, GREEN
    assert (faces, uncertain) == ([], [])
    _, target = made[index]
    assert not target[..., 0].any()
    assert (target[..., 1] == 1000).all()
