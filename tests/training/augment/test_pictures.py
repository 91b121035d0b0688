"""Views of whole pictures: fitting, augmentation, order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest

from rtseg.errors import SettingError
from rtseg.geometry.fit import PADDING
from rtseg.labels import CELEBAMASK, HELEN, IGNORED, LabelSet
from training.augment.pictures import PictureViews, balanced_weights, class_pixels, fitted
from training.data.base import Sample


@dataclass(frozen=True)
class Drawn:
    """Pictures identified by their grey level."""

    label_maps: tuple[np.ndarray, ...]
    label_set: LabelSet = field(default=HELEN)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(map(str, range(len(self.label_maps))))

    def __len__(self) -> int:
        return len(self.label_maps)

    def __getitem__(self, index: int) -> Sample:
        labels = self.label_maps[index]
        image = np.full((*labels.shape, 3), 10 * index, np.uint8)
        return Sample(name=str(index), image=image, labels=labels)


def halves(left: int, right: int, height: int = 32, width: int = 32) -> np.ndarray:
    labels = np.full((height, width), left, np.uint8)
    labels[:, width // 2 :] = right
    return labels


def shown(views: PictureViews, indices: range) -> list[int]:
    return [int(views[index][0][0, 0, 0]) // 10 for index in indices]


def test_an_epoch_shows_every_picture_once_and_the_next_in_another_order() -> None:
    views = PictureViews(Drawn((halves(0, 1),) * 9), height=32, width=32, fit="stretch", seed=4)
    first, second = shown(views, range(9)), shown(views, range(9, 18))
    assert sorted(first) == sorted(second) == list(range(9))
    assert first != second
    again = PictureViews(Drawn((halves(0, 1),) * 9), height=32, width=32, fit="stretch", seed=4)
    assert shown(again, range(9, 18)) == second  # without drawing the first epoch


@pytest.mark.parametrize("augmentation", ["none", "flip", "full"])
def test_a_view_is_a_function_of_seed_and_index(augmentation: str) -> None:
    data = Drawn(tuple(halves(2, 3) for _ in range(4)))

    def view(index: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        views = PictureViews(
            data, height=32, width=32, fit="stretch", augmentation=augmentation, seed=seed
        )
        return views[index]

    for index in range(8):
        for one, other in zip(view(index), view(index), strict=True):
            assert np.array_equal(one, other)


@pytest.mark.parametrize("label_set", [HELEN, CELEBAMASK])
def test_a_flip_swaps_left_and_right_ids(label_set: LabelSet) -> None:
    first, second = label_set.flip_pairs[0]
    data = Drawn((halves(first, second),), label_set)
    views = PictureViews(data, height=32, width=32, fit="stretch", augmentation="flip")
    for index in range(12):  # mirrored or not, the first id stays in the left half
        assert np.array_equal(views[index][1], halves(first, second))


def test_half_of_the_views_are_mirrored() -> None:
    views = PictureViews(
        Drawn((halves(1, 10),)), height=32, width=32, fit="stretch", augmentation="flip"
    )
    left = Counter(int(views[index][1][0, 0]) for index in range(200))
    assert set(left) == {1, 10}
    assert 70 < left[1] < 130


def test_full_augmentation_ignores_pixels_outside_the_picture() -> None:
    views = PictureViews(
        Drawn((halves(4, 5),)), height=32, width=32, fit="stretch", augmentation="full"
    )
    drawn = [views[index] for index in range(40)]
    assert {tuple(np.unique(labels)) for _, labels in drawn} >= {(4, 5, IGNORED)}
    assert all(set(np.unique(labels)) <= {4, 5, IGNORED} for _, labels in drawn)
    assert len({image.tobytes() for image, _ in drawn}) > 30


def test_letterbox_keeps_the_shape_and_ignores_the_padding() -> None:
    sample = Drawn((halves(1, 2, height=36, width=64),))[0]
    image, labels = fitted(sample, height=192, width=320, fit="letterbox")
    assert (labels == IGNORED).sum() == 12 * 320
    assert np.all(labels[6:186, :160] == 1)
    assert np.all(image[:6] == PADDING)
    assert not np.any(image[6:186])
    stretched = fitted(sample, height=192, width=320, fit="stretch")[1]
    assert set(np.unique(stretched)) == {1, 2}


def test_resizing_labels_creates_no_ids() -> None:
    noise = np.random.default_rng(0).choice([0, 10], (64, 64)).astype(np.uint8)
    _, labels = fitted(Drawn((noise,))[0], height=24, width=40, fit="stretch")
    assert set(np.unique(labels)) == {0, 10}


def test_class_balanced_views_show_rare_classes_more_often() -> None:
    data = Drawn((*(halves(0, 1) for _ in range(19)), halves(0, 7)))
    weights = balanced_weights(data)
    plain = PictureViews(data, height=8, width=8, fit="stretch")
    balanced = PictureViews(data, height=8, width=8, fit="stretch", weights=weights)
    rare = [sum(7 in views[index][1] for index in range(400)) for views in (plain, balanced)]
    assert rare[0] == 20
    assert rare[1] > 120


def test_class_pixels_are_counted_in_a_sample_without_ignored_ones() -> None:
    maps = tuple(halves(0, IGNORED if index % 2 else 3) for index in range(10))
    counts = class_pixels(Drawn(maps))
    assert counts.shape == (10, len(HELEN))
    assert counts[0].tolist()[:4] == [512, 0, 0, 512]
    assert counts[1].sum() == 512
    assert class_pixels(Drawn(maps), at_most=3).shape == (3, len(HELEN))


def test_no_pictures_is_an_error() -> None:
    with pytest.raises(SettingError, match="without pictures"):
        PictureViews(Drawn(()), height=8, width=8, fit="stretch")
