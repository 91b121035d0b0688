"""Drawn necklaces: where they lie, and what they leave alone."""

from __future__ import annotations

import numpy as np
import pytest

from rtseg.errors import SettingError
from rtseg.frames import Image
from rtseg.labels import FACE_PARTS, HELEN
from training.augment.heads import Head, head_of
from training.augment.necklaces import with_necklace
from training.augment.scene_settings import SceneSettings
from training.augment.scenes import FaceViews
from training.data.base import Sample

SKIN, HAIR, NECKLACE, NECK, CLOTHES = (
    FACE_PARTS.names.index(name) for name in ("skin", "hair", "necklace", "neck", "clothes")
)


def portrait(*, neck: bool = True) -> Head:
    """A face of skin on a neck over clothes, with hair over the left part of the neck."""
    labels = np.zeros((256, 256), np.uint8)
    labels[210:] = CLOTHES
    if neck:
        labels[150:220, 80:176] = NECK
    labels[60:170, 80:176] = SKIN
    labels[60:215, 70:95] = HAIR
    image = np.full((256, 256, 3), 150, np.uint8)
    head = head_of(Sample(name="one", image=image, labels=labels), FACE_PARTS)
    assert head is not None
    return head


def adorned(head: Head, seed: int) -> Head:
    rng = np.random.default_rng(seed)
    return with_necklace(head, rng, neck=(NECK,), clothes=(CLOTHES,), to=NECKLACE)


def test_necklaces_lie_on_neck_and_clothes_alone() -> None:
    head = portrait()
    counts = []
    for seed in range(40):
        drawn = adorned(head, seed)
        is_necklace = drawn.labels == NECKLACE
        counts.append(int(is_necklace.sum()))
        assert set(np.unique(head.labels[is_necklace])) <= {NECK, CLOTHES}
        # everything else keeps its label
        assert np.array_equal(drawn.labels[~is_necklace], head.labels[~is_necklace])
        # and hair, face and background their colours
        others = ~np.isin(head.labels, (NECK, CLOTHES))
        assert np.array_equal(drawn.image[others], head.image[others])
        assert np.array_equal(drawn.composed == NECKLACE, is_necklace)
    assert min(counts) > 15
    assert max(counts) < 5000
    assert len(set(counts)) > 30  # no two are alike


def test_the_original_stays_as_it_is() -> None:
    head = portrait()
    before = head.image.copy(), head.labels.copy()
    assert adorned(head, 0) is not head
    assert np.array_equal(head.image, before[0])
    assert np.array_equal(head.labels, before[1])


def test_a_necklace_is_seen() -> None:
    """Most of its pixels differ from the skin around it; a cord of the skin's colour may not."""
    changed = []
    for seed in range(20):
        head = portrait()
        drawn = adorned(head, seed)
        on = drawn.labels == NECKLACE
        difference = np.abs(drawn.image[on].astype(int) - head.image[on]).max(-1)
        changed.append(float((difference > 10).mean()))
    assert np.mean(changed) > 0.7


def test_no_neck_no_necklace() -> None:
    head = portrait(neck=False)
    assert all(adorned(head, seed) is head for seed in range(5))


def test_who_wears_one_gets_no_second() -> None:
    labels = portrait().labels.copy()
    labels[190:193, 100:170] = NECKLACE
    head = head_of(
        Sample(name="one", image=np.zeros((256, 256, 3), np.uint8), labels=labels), FACE_PARTS
    )
    assert head is not None
    assert adorned(head, 0) is head


def _views(necklaces: float, *, helen: bool = False) -> FaceViews:
    head = portrait()
    labels = np.where(head.labels > 10, 0, head.labels) if helen else head.labels
    scenery: list[Image] = [np.full((256, 256, 3), 90, np.uint8)]
    return FaceViews(
        [Sample(name="one", image=head.image, labels=labels.astype(np.uint8))],
        scenery,
        label_set=HELEN if helen else FACE_PARTS,
        settings=SceneSettings(composites=0.0, negatives=0.0, as_is=1.0, necklaces=necklaces),
        seed=0,
    )


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0, 0), (0.5, 12, 28), (1.0, 40, 40)])
def test_the_share_of_heads_that_get_one(share: float, low: int, high: int) -> None:
    views = _views(share)
    shown = sum(bool((views[index][1] == NECKLACE).any()) for index in range(40))
    assert low <= shown <= high


def test_a_label_set_without_necklaces_is_refused() -> None:
    with pytest.raises(SettingError, match="no necklaces"):
        _views(1.0, helen=True)[0]
