"""Dyed clothes: which colours they get, and what they leave alone."""

from __future__ import annotations

import numpy as np
import pytest

from rtseg.frames import Image
from rtseg.labels import FACE_PARTS
from training.augment.clothing import with_dyed_clothes
from training.augment.heads import Head, head_of
from training.augment.scene_settings import SceneSettings
from training.augment.scenes import FaceViews
from training.data.base import Sample

SKIN, HAIR, NECK, CLOTHES = (
    FACE_PARTS.names.index(name) for name in ("skin", "hair", "neck", "clothes")
)
HAIR_COLOUR, SHIRT_COLOUR = (70, 40, 20), (220, 225, 230)


def portrait(*, clothes: int = CLOTHES) -> Head:
    """Brown hair over a face, and a white shirt with a dark fold."""
    labels = np.zeros((256, 256), np.uint8)
    labels[30:80, 70:186] = HAIR
    labels[70:180, 80:176] = SKIN
    labels[180:210, 100:156] = NECK
    labels[205:, 20:236] = clothes
    image = np.full((256, 256, 3), 120, np.uint8)
    image[labels == HAIR] = HAIR_COLOUR
    image[np.isin(labels, (SKIN, NECK))] = (200, 160, 140)
    image[labels == clothes] = SHIRT_COLOUR
    image[205:, 120:130] = 150
    head = head_of(Sample(name="one", image=image, labels=labels), FACE_PARTS)
    assert head is not None
    return head


def dyed(head: Head, seed: int) -> Head:
    rng = np.random.default_rng(seed)
    return with_dyed_clothes(head, rng, clothes=(CLOTHES,), hair=(HAIR,))


def test_clothes_alone_change_and_no_label_does() -> None:
    head = portrait()
    before = head.image.copy()
    others = head.labels != CLOTHES
    for seed in range(20):
        changed = dyed(head, seed)
        assert changed.labels is head.labels
        assert np.array_equal(changed.image[others], head.image[others])
        inside = changed.image[230:250, 40:100]
        assert np.abs(inside.astype(int) - SHIRT_COLOUR).max() > 10
    assert np.array_equal(head.image, before)


def test_the_hair_s_colour_is_the_usual_one() -> None:
    head = portrait()
    near = 0
    for seed in range(200):
        colour = dyed(head, seed).image[230:250, 40:100].mean((0, 1))
        hue = colour / max(1.0, colour.sum())
        expected = np.array(HAIR_COLOUR) / sum(HAIR_COLOUR)
        near += bool(np.abs(hue - expected).max() < 0.08 and colour.mean() < 75)
    assert 80 <= near <= 160


def test_folds_are_still_seen() -> None:
    head = portrait()
    for seed in range(20):
        image = dyed(head, seed).image.astype(int)
        assert image[230:250, 122:128].mean() <= image[230:250, 40:100].mean()
    light = [dyed(head, seed).image[240, 60].mean() for seed in range(20)]
    dark = [dyed(head, seed).image[240, 125].mean() for seed in range(20)]
    assert np.mean(light) > np.mean(dark) + 5


@pytest.mark.parametrize("head", [portrait(clothes=0)])
def test_no_clothes_no_dye(head: Head) -> None:
    assert all(dyed(head, seed) is head for seed in range(5))


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0, 0), (0.5, 12, 28), (1.0, 40, 40)])
def test_the_share_of_heads_that_are_dyed(share: float, low: int, high: int) -> None:
    head = portrait()
    scenery: list[Image] = [np.full((256, 256, 3), 90, np.uint8)]
    views = FaceViews(
        [Sample(name="one", image=head.image, labels=head.labels)],
        scenery,
        label_set=FACE_PARTS,
        settings=SceneSettings(composites=0.0, negatives=0.0, as_is=1.0, dyed=share),
        seed=0,
    )
    (head,) = views.composer.heads
    rng = np.random.default_rng(0)
    changed = sum(views.composer.any_head(rng).image is not head.image for _ in range(40))
    assert low <= changed <= high
