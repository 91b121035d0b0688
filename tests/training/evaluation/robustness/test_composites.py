"""Heads in frames, and the crops around them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from rtseg.frames import Image, LabelMap
from rtseg.geometry.crop import CROP_FACTOR
from rtseg.labels import HELEN, IGNORED
from tests.training.conftest import draw_face
from training.augment.canvas import ViewPainter
from training.augment.heads import Head, head_of
from training.data.base import Sample
from training.evaluation.robustness import composites
from training.evaluation.robustness.composites import (
    HEAD_HEIGHTS,
    HEIGHT,
    WIDTH,
    composed,
    crop_of,
    frame_view,
    measure_face_view,
    native,
)

GREEN = np.zeros((40, 60, 3), np.uint8) + np.array([20, 120, 20], np.uint8)


def head() -> Head:
    image, labels = draw_face()
    located = head_of(Sample(name="a", image=image, labels=labels), HELEN)
    assert located is not None
    return located


def painter() -> ViewPainter:
    return ViewPainter(size=WIDTH, pictures=[GREEN], background=0, neck=0, clothes=0)


class Faces:
    label_set = HELEN
    names = ("a",)

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Sample:
        image, labels = draw_face()
        return Sample(name="a", image=image, labels=labels)


@pytest.mark.parametrize("share", [0.08, 0.4, 0.9])
def test_a_frame_contains_one_head_of_the_requested_height(share: float) -> None:
    scene = composed(head(), painter(), np.random.default_rng(1), share=share, label_set=HELEN)
    assert scene.image.shape == (HEIGHT, WIDTH, 3)
    assert scene.labels.shape == (HEIGHT, WIDTH)
    assert scene.head.height == pytest.approx(share * HEIGHT, rel=0.06, abs=2)
    rows = np.nonzero((scene.labels > 0).any(1))[0]
    assert (rows[0], rows[-1] + 1) == (scene.head.top, scene.head.bottom)
    # skin where the skin's colour is, and the other background around it
    skin = scene.image[scene.labels == 1].astype(int)
    assert np.abs(np.median(skin, axis=0) - HELEN.colours[1]).max() <= 2
    assert set(np.unique(scene.labels)) == set(range(11))


def test_the_same_head_on_the_same_background_at_every_height() -> None:
    small, large = (
        composed(head(), painter(), np.random.default_rng(5), share=share, label_set=HELEN)
        for share in (0.1, 0.2)
    )
    np.testing.assert_array_equal(small.image[0, 0], large.image[0, 0])
    assert large.head.height / small.head.height == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize("share", HEAD_HEIGHTS)
def test_a_crop_shows_the_head_as_large_as_the_native_one(share: float) -> None:
    scene = composed(head(), painter(), np.random.default_rng(2), share=share, label_set=HELEN)
    _, straight = crop_of(native(head()))
    image, labels = crop_of(scene)
    assert image.shape == (256, 256, 3)

    def height(ids: LabelMap) -> float:
        return float(np.ptp(np.nonzero(((ids > 0) & (ids != IGNORED)).any(1))[0]))

    assert height(labels) == pytest.approx(height(straight), rel=0.1)
    assert height(labels) == pytest.approx(256 / CROP_FACTOR, rel=0.1)
    nose = image[labels == 6].astype(int)
    assert np.abs(np.median(nose, axis=0) - HELEN.colours[6]).max() <= 3


def test_pixels_beyond_the_frame_are_ignored() -> None:
    scene = composed(head(), painter(), np.random.default_rng(2), share=0.9, label_set=HELEN)
    image, labels = crop_of(scene)
    assert (labels[0] == IGNORED).all()
    assert (image[0] == 114).all()
    assert (labels == IGNORED).mean() < 0.5


def test_the_coarse_pass_covers_the_whole_frame() -> None:
    scene = composed(head(), painter(), np.random.default_rng(3), share=0.4, label_set=HELEN)
    _, labels = frame_view(scene)
    assert (labels[:56] == IGNORED).all()
    assert (labels[56:200] != IGNORED).all()
    assert (labels[56:200] > 0).mean() == pytest.approx((scene.labels > 0).mean(), abs=0.01)


def by_colour(images: Sequence[Image]) -> list[LabelMap]:
    colours = np.array([(20, 120, 20), (30, 60, 90), *HELEN.colours[1:]], np.int32)
    label_maps = []
    for image in images:
        small = image[::2, ::2]
        far = ((small[:, :, None].astype(np.int32) - colours) ** 2).sum(3)
        ids = np.maximum(far.argmin(2) - 1, 0).astype(np.uint8)
        label_maps.append(ids.repeat(2, 0).repeat(2, 1))
    return label_maps


def blind(images: Sequence[Image]) -> list[LabelMap]:
    return [np.zeros(image.shape[:2], np.uint8) for image in images]


def test_scores_are_relative_to_the_native_crop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composites, "HEAD_HEIGHTS", (0.08, 0.8))
    whole, *others = measure_face_view(by_colour, Faces(), [GREEN])
    assert whole.share == 0
    assert whole.parts > 0.9
    assert np.isnan(whole.found)
    assert [score.share for score in others] == [0.08, 0.8]
    for score in others:
        assert score.below == pytest.approx(whole.parts - score.parts)
    by_share = {score.share: score for score in others}
    assert by_share[0.8].below < 0.05 < by_share[0.08].below  # a blurred head has other colours
    assert by_share[0.8].found == 1
    nothing = list(measure_face_view(blind, Faces(), [GREEN]))
    assert all(score.face == 0 for score in nothing)
    assert all(score.found == 0 for score in nothing[1:])
