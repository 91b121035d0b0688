"""Each corruption does what its name says, and labels follow the pixels."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from rtseg.frames import Image, LabelMap
from rtseg.labels import HELEN, IGNORED
from tests.training.conftest import draw_face
from training.augment.heads import head_of
from training.data.base import Sample
from training.evaluation.robustness.corruptions import (
    CORRUPTIONS,
    Corrupted,
    Corruption,
    hand,
    measure_corruptions,
)


def face() -> Sample:
    image, labels = draw_face()
    return Sample(name="a", image=image, labels=labels)


class Faces:
    """A data set of drawn faces."""

    label_set = HELEN
    names = ("a", "b")

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Sample:
        image, labels = draw_face(dx=6 * index)
        return Sample(name=self.names[index], image=image, labels=labels)


def of(name: str, strength: str = "") -> Corruption:
    (corruption,) = [c for c in CORRUPTIONS if c.name == name and strength in c.strength]
    return corruption


def changed(name: str, strength: str = "", *, seed: int = 0) -> Sample:
    return of(name, strength).change(face(), np.random.default_rng(seed), HELEN)


def by_colour(images: Sequence[Image]) -> list[LabelMap]:
    """Recognises the drawn faces' colours: correct for clean pictures."""
    palette = np.array([(30, 60, 90), *HELEN.colours[1:]], np.int32)
    return [
        ((image[:, :, None].astype(np.int32) - palette) ** 2).sum(3).argmin(2).astype(np.uint8)
        for image in images
    ]


MOVES = ("roll", "hand before the face")


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda c: f"{c.name} {c.strength}")
def test_every_corruption_changes_the_picture_and_only_some_the_labels(
    corruption: Corruption,
) -> None:
    before = face()
    after = corruption.change(before, np.random.default_rng(1), HELEN)
    assert after.image.shape == before.image.shape
    assert after.image.dtype == np.uint8
    assert (after.image != before.image).mean() > 0.01
    assert np.array_equal(after.labels, before.labels) == (corruption.name not in MOVES)
    np.testing.assert_array_equal(before.image, face().image)  # the sample itself is unchanged
    np.testing.assert_array_equal(before.labels, face().labels)
    again = corruption.change(before, np.random.default_rng(1), HELEN)
    np.testing.assert_array_equal(after.image, again.image)


@pytest.mark.parametrize(("degrees", "turn"), [("+30", 30.0), ("-30", -30.0)])
def test_a_roll_turns_labels_with_the_picture(degrees: str, turn: float) -> None:
    rolled = changed("roll", degrees)
    inside = rolled.labels != IGNORED
    assert 0.6 < inside.mean() < 0.95
    # the picture's colours still match the labels, except for softened borders
    agree = by_colour([rolled.image])[0] == rolled.labels
    assert agree[inside].mean() > 0.97
    rows, columns = np.nonzero(rolled.labels == 7)
    straight_rows, straight_columns = np.nonzero(face().labels == 7)
    x, y = straight_columns.mean() - 127.5, straight_rows.mean() - 127.5
    radians = np.deg2rad(turn)  # anticlockwise as displayed: what is below moves right
    assert columns.mean() - 127.5 == pytest.approx(x * np.cos(radians) + y * np.sin(radians), abs=2)
    assert rows.mean() - 127.5 == pytest.approx(y * np.cos(radians) - x * np.sin(radians), abs=2)


def test_a_hand_becomes_background_and_changes_nothing_else() -> None:
    before = face()
    after = changed("hand before the face", seed=3)
    relabelled = after.labels != before.labels
    assert relabelled.any()
    assert (after.labels[relabelled] == HELEN.background).all()
    repainted = (after.image != before.image).any(2)
    assert (relabelled & ~repainted).sum() < 0.02 * relabelled.sum()
    kept = repainted & ~relabelled & (before.labels != HELEN.background)
    assert kept.sum() < 0.25 * relabelled.sum()  # the hand's soft edge
    head = head_of(before, HELEN)
    assert head is not None
    covered = [
        hand(before, np.random.default_rng(seed), HELEN, palm=0.2).labels != before.labels
        for seed in range(12)
    ]
    areas = [mask.sum() / head.height**2 for mask in covered]
    assert 0.04 < np.median(areas) < 0.4  # a hand, not a finger or a blanket


def test_a_picture_without_a_head_gets_no_hand_and_stays_sharp() -> None:
    empty = Sample(name="e", image=face().image, labels=np.zeros((256, 256), np.uint8))
    for name in ("hand before the face", "small face enlarged"):
        same = of(name).change(empty, np.random.default_rng(0), HELEN)
        np.testing.assert_array_equal(same.image, empty.image)


def sharpness(image: Image) -> float:
    return float(np.abs(cv2.Laplacian(image.astype(np.float32), cv2.CV_32F)).mean())


@pytest.mark.parametrize("name", ["motion blur", "defocus", "small face enlarged"])
def test_blurs_lose_detail_and_keep_the_brightness(name: str) -> None:
    after = changed(name).image
    assert sharpness(after) < 0.75 * sharpness(face().image)
    assert after.mean() == pytest.approx(face().image.mean(), abs=2)


def test_strengths_match_the_table() -> None:
    grey = np.full((256, 256, 3), 128, np.uint8)
    flat = Sample(name="g", image=grey, labels=np.ones((256, 256), np.uint8))
    rng = np.random.default_rng(0)
    noisy = of("sensor noise").change(flat, rng, HELEN).image.astype(np.float64)
    assert noisy.std() == pytest.approx(15, rel=0.05)
    assert of("gamma", "0.4").change(flat, rng, HELEN).image[0, 0, 0] == round(
        255 * (128 / 255) ** 0.4
    )
    assert of("gamma", "2.2").change(flat, rng, HELEN).image[0, 0, 0] == round(
        255 * (128 / 255) ** 2.2
    )
    assert np.ptp(changed("greyscale").image, axis=2).max() == 0
    dot = grey * 0
    dot[128, 128] = 255
    spot = Sample(name="d", image=dot, labels=flat.labels)
    lit = of("defocus").change(spot, rng, HELEN).image[:, :, 0] > 0
    assert lit.any(0).sum() == lit.any(1).sum() == 7
    assert lit.sum() == pytest.approx(np.pi * 3.3**2, rel=0.2)
    shaken = of("motion blur").change(spot, rng, HELEN).image[:, :, 0] > 0
    assert 8 <= max(shaken.any(0).sum(), shaken.any(1).sum()) <= 11
    colours = changed("JPEG").image.astype(int) - face().image
    assert 1 < np.abs(colours).mean() < 12  # channels in the right order, and visibly degraded
    head = head_of(face(), HELEN)
    assert head is not None
    assert head.height > 64


def test_every_picture_has_its_own_seed() -> None:
    noisy = Corrupted(dataset=Faces(), corruption=of("sensor noise"))
    assert noisy.names == ("a", "b")
    first = noisy[0].image.astype(int) - Faces()[0].image
    second = noisy[1].image.astype(int) - Faces()[1].image
    assert (first != second).mean() > 0.5
    np.testing.assert_array_equal(noisy[0].image, noisy[0].image)


def test_pictures_are_resized_first() -> None:
    class Large(Faces):
        def __getitem__(self, index: int) -> Sample:
            image, labels = draw_face(size=512)
            return Sample(name="l", image=image, labels=labels)

    assert Corrupted(dataset=Large())[0].labels.shape == (256, 256)


def test_scores_are_relative_to_the_clean_pictures() -> None:
    scores = list(measure_corruptions(by_colour, Faces()))
    clean, others = scores[0], {(s.corruption, s.strength): s for s in scores[1:]}
    assert clean.corruption == "none"
    assert clean.f1 == 1
    assert clean.below == 0
    assert len(others) == len(CORRUPTIONS)
    assert all(s.below == pytest.approx(1 - s.f1) for s in others.values())
    # by colour, grey and dark faces are lost, rotated ones are not
    assert others["roll", "+30 degrees"].below < 0.1
    assert others["greyscale", "no colour"].below > 0.2
    assert others["gamma", "2.2"].below > 0.1

    def through_the_hand(images: Sequence[Image]) -> list[LabelMap]:
        return [Faces()[0].labels, Faces()[1].labels][: len(images)]

    blind = {s.corruption: s for s in measure_corruptions(through_the_hand, Faces())}
    assert blind["sensor noise"].below == 0
    assert blind["hand before the face"].below > 0.02
