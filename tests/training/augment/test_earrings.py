"""Drawn earrings: where they hang, and what they leave alone."""

from __future__ import annotations

import numpy as np
import pytest

from rtseg.errors import SettingError
from rtseg.frames import Image
from rtseg.labels import FACE_PARTS, HELEN, IGNORED
from training.augment.earrings import with_earrings
from training.augment.heads import Head, head_of
from training.augment.scene_settings import SceneSettings
from training.augment.scenes import FaceViews
from training.data.base import Sample

SKIN, HAIR, NOSE, LEFT, RIGHT, EARRING, CLOTHES = (
    FACE_PARTS.names.index(name)
    for name in ("skin", "hair", "nose", "left-ear", "right-ear", "earring", "clothes")
)
COVERS = (0, SKIN, HAIR)


def portrait(*, ears: tuple[int, ...] = (LEFT, RIGHT), long: int = 40) -> Head:
    """A face of skin with a nose and ears at its sides, under hair."""
    labels = np.zeros((256, 256), np.uint8)
    labels[40:90, 60:196] = HAIR
    labels[80:200, 80:176] = SKIN
    labels[120:150, 120:136] = NOSE
    for ear in ears:
        columns = slice(68, 80) if ear == LEFT else slice(176, 188)
        labels[110 : 110 + long, columns] = ear
    image = np.full((256, 256, 3), 150, np.uint8)
    head = head_of(Sample(name="one", image=image, labels=labels), FACE_PARTS)
    assert head is not None
    return head


def adorned(head: Head, seed: int) -> Head:
    rng = np.random.default_rng(seed)
    return with_earrings(head, rng, ears=(LEFT, RIGHT), covers=COVERS, to=EARRING)


def test_an_earring_hangs_at_each_ear_s_lobe() -> None:
    head = portrait()
    counts = []
    for seed in range(40):
        drawn = adorned(head, seed)
        rows, columns = np.nonzero(drawn.labels == EARRING)
        counts.append(rows.size)
        assert rows.min() > 135  # the ears end in row 150
        left, right = columns < 128, columns >= 128
        assert left.any()
        assert right.any()
        for side, middle in ((left, 73.5), (right, 181.5)):
            assert abs(columns[side].mean() - middle) < 6
            assert rows[side].min() < 156
        # a pair: of one size, but for how it falls on the pixels
        assert left.sum() == pytest.approx(right.sum(), rel=0.5, abs=8)
    assert min(counts) >= 4
    assert len(set(counts)) > 25  # no two are alike


def test_everything_else_stays_as_it_is() -> None:
    head = portrait()
    before = head.image.copy(), head.labels.copy()
    for seed in range(20):
        drawn = adorned(head, seed)
        is_earring = drawn.labels == EARRING
        assert np.array_equal(drawn.labels[~is_earring], head.labels[~is_earring])
        assert np.array_equal(drawn.composed == EARRING, is_earring)
        assert set(np.unique(head.labels[is_earring])) <= {LEFT, RIGHT, *COVERS}
        kept = ~np.isin(head.labels, (LEFT, RIGHT, *COVERS))
        assert np.array_equal(drawn.image[kept], head.image[kept])
    assert np.array_equal(head.image, before[0])
    assert np.array_equal(head.labels, before[1])


def relabelled(head: Head, rows: slice, columns: slice, to: int) -> Head:
    labels = head.labels.copy()
    labels[rows, columns] = to
    again = head_of(Sample(name="one", image=head.image, labels=labels), FACE_PARTS)
    assert again is not None
    return again


def test_what_lies_before_an_ear_covers_the_earring_too() -> None:
    """A hand that is labelled as clothes, say."""
    head = relabelled(portrait(), slice(151, 256), slice(0, 80), CLOTHES)
    for seed in range(20):
        drawn = adorned(head, seed)
        covered = head.labels == CLOTHES
        assert (drawn.labels[covered] == CLOTHES).all()
        assert np.array_equal(drawn.image[covered], head.image[covered])


def test_it_hangs_at_the_lowest_part_of_a_slanted_ear() -> None:
    head = portrait(ears=())
    for row in range(40):  # from column 40 at the top to 79 at the lobe
        head = relabelled(head, slice(110 + row, 111 + row), slice(30 + row, 41 + row), LEFT)
    for seed in range(10):
        columns = np.nonzero(adorned(head, seed).labels == EARRING)[1]
        assert abs(columns.mean() - 73) < 5


def test_the_ignored_heads_of_others_stay_ignored() -> None:
    whole = portrait()
    others = np.zeros(whole.labels.shape, bool)
    others[130:, :128] = True
    sample = Sample(name="one", image=whole.image, labels=whole.labels)
    head = head_of(sample, FACE_PARTS, others=others)
    assert head is not None
    drawn = adorned(head, 0)
    assert (drawn.labels[others] == EARRING).any()
    assert (drawn.composed[others] == IGNORED).all()


def test_one_ear_one_earring() -> None:
    columns = np.nonzero(adorned(portrait(ears=(RIGHT,)), 3).labels == EARRING)[1]
    assert columns.min() > 150


@pytest.mark.parametrize("head", [portrait(ears=()), portrait(long=8)])
def test_no_ear_to_be_seen_no_earring(head: Head) -> None:
    assert all(adorned(head, seed) is head for seed in range(5))


def test_who_wears_one_gets_no_second() -> None:
    labels = portrait().labels.copy()
    labels[150:156, 70:76] = EARRING
    image = np.zeros((256, 256, 3), np.uint8)
    head = head_of(Sample(name="one", image=image, labels=labels), FACE_PARTS)
    assert head is not None
    assert adorned(head, 0) is head


def _views(share: float, *, helen: bool = False) -> FaceViews:
    head = portrait()
    labels = np.where(head.labels > 10, 0, head.labels) if helen else head.labels
    scenery: list[Image] = [np.full((256, 256, 3), 90, np.uint8)]
    return FaceViews(
        [Sample(name="one", image=head.image, labels=labels.astype(np.uint8))],
        scenery,
        label_set=HELEN if helen else FACE_PARTS,
        settings=SceneSettings(composites=0.0, negatives=0.0, as_is=1.0, earrings=share),
        seed=0,
    )


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0, 0), (0.5, 12, 28), (1.0, 40, 40)])
def test_the_share_of_heads_that_get_a_pair(share: float, low: int, high: int) -> None:
    views = _views(share)
    shown = sum(bool((views[index][1] == EARRING).any()) for index in range(40))
    assert low <= shown <= high


def test_a_label_set_without_earrings_is_refused() -> None:
    with pytest.raises(SettingError, match="no earrings"):
        _views(1.0, helen=True)[0]
