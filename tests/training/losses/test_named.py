"""Every loss compared with a value computed by hand, and their common behaviour."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch

from rtseg.errors import SettingError
from rtseg.labels import IGNORED
from training.losses.named import (
    LOSSES,
    LossContext,
    class_weights,
    focal,
    global_dice,
    image_weighted_cross_entropy,
    jaccard_distance,
    make_loss,
    parse_loss,
    weighted_cross_entropy,
)

LIBRARY = ("foreground-dice", "log-dice", "jaccard", "tversky", "focal-tversky")
CONTEXT = LossContext(class_shares=lambda: (0.5, 0.25, 0.25), regions=((1, 2),))

# two pixels, two classes: the first is class 0 with probability 0.8, the second class 1 with 0.4
P = (0.8, 0.4)


def two_pixels() -> tuple[torch.Tensor, torch.Tensor]:
    probabilities = torch.tensor([[P[0], 1 - P[1]], [1 - P[0], P[1]]])  # (classes, pixels)
    return probabilities.log().reshape(1, 2, 1, 2), torch.tensor([[[0, 1]]])


def value_of(name: str, context: LossContext = CONTEXT) -> float:
    if name in LIBRARY:
        pytest.importorskip("segmentation_models_pytorch")
    logits, targets = two_pixels()
    return float(make_loss(name, context)(logits, targets))


# per class: truth 1 pixel each; the sums of the predictions are .8 + .6 and .2 + .4
OVERLAPS = (0.8, 0.4)
PREDICTED = (1.4, 0.6)


def dice(i: int, smooth: float) -> float:
    return (2 * OVERLAPS[i] + smooth) / (1 + PREDICTED[i] + smooth)


def tversky(i: int) -> float:
    false_positives, false_negatives = PREDICTED[i] - OVERLAPS[i], 1 - OVERLAPS[i]
    return OVERLAPS[i] / (OVERLAPS[i] + 0.3 * false_positives + 0.7 * false_negatives)


BY_HAND = {
    "cross-entropy": -(math.log(0.8) + math.log(0.4)) / 2,
    # shares of 1/4 and 3/4 give the weights 2 and 2/3; PyTorch's mean is over the weights
    "weighted-cross-entropy": -(2 * math.log(0.8) + 2 / 3 * math.log(0.4)) / (2 + 2 / 3),
    "image-weighted-cross-entropy": -(math.log(0.8) + math.log(0.4)) / 2,
    "focal": -(0.2**2 * math.log(0.8) + 0.6**2 * math.log(0.4)) / 2,
    "dice": 1 - (dice(0, 1) + dice(1, 1)) / 2,
    "global-dice": 1 - (2 * 1.2 + 1) / (4 + 1),
    # the library adds `smooth` to the overlap, not to twice the overlap
    "log-dice": -(math.log(dice(0, 2)) + math.log(dice(1, 2))) / 2,
    "foreground-dice": 1 - dice(1, 2),
    "jaccard": 1 - (0.8 / (1 + 1.4 - 0.8) + 0.4 / (1 + 0.6 - 0.4)) / 2,
    "jaccard-distance": 100 * ((1 - 100.8 / 101.2) + (1 - 100.4 / 101.6)) / 2,
    "tversky": 1 - (tversky(0) + tversky(1)) / 2,
    "focal-tversky": (1 - (tversky(0) + tversky(1)) / 2) ** 0.75,
    "region": 1 - (2 * 0.4 + 10) / (0.6 + 1 + 10),
}


# the finder's loss is for positions and sizes, not classes: test_face_centres.py
CLASS_LOSSES = tuple(name for name in LOSSES if name != "face-centres")


def test_every_loss_has_a_hand_computed_case() -> None:
    assert set(BY_HAND) == set(CLASS_LOSSES)


@pytest.mark.parametrize("name", CLASS_LOSSES)
def test_losses_equal_values_computed_by_hand(name: str) -> None:
    context = LossContext(class_shares=lambda: (0.25, 0.75), regions=((1,),))
    assert value_of(name, context) == pytest.approx(BY_HAND[name], rel=1e-4)


def random_case(classes: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(2, classes, 6, 5, generator=generator)
    return logits, torch.randint(0, classes, (2, 6, 5), generator=generator)


@pytest.mark.parametrize("name", CLASS_LOSSES)
def test_ignored_pixels_change_nothing(name: str) -> None:
    if name in LIBRARY:
        pytest.importorskip("segmentation_models_pytorch")
    loss = make_loss(name, CONTEXT)
    logits, targets = random_case()
    targets[:, 4:] = IGNORED
    other = logits.clone()
    other[:, :, 4:] = 7 * torch.randn(2, 3, 2, 5)
    torch.testing.assert_close(loss(other, targets), loss(logits, targets))


@pytest.mark.parametrize("name", CLASS_LOSSES)
def test_the_truth_is_the_minimum_and_the_gradient_points_to_it(name: str) -> None:
    if name in LIBRARY:
        pytest.importorskip("segmentation_models_pytorch")
    loss = make_loss(name, CONTEXT)
    logits, targets = random_case()
    perfect = 30.0 * torch.nn.functional.one_hot(targets, 3).permute(0, 3, 1, 2).float()
    assert float(loss(perfect, targets)) == pytest.approx(0, abs=2e-2)
    assert float(loss(-perfect, targets)) > float(loss(logits, targets)) > 1e-2
    logits.requires_grad_()
    loss(logits, targets).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    with torch.no_grad():
        step = logits - 0.05 * logits.grad / logits.grad.norm()
        assert float(loss(step, targets)) < float(loss(logits, targets))


@pytest.mark.parametrize("name", CLASS_LOSSES)
def test_a_batch_without_targets_has_a_finite_loss(name: str) -> None:
    if name in LIBRARY:
        pytest.importorskip("segmentation_models_pytorch")
    logits, targets = random_case()
    logits.requires_grad_()
    value = make_loss(name, CONTEXT)(logits, torch.full_like(targets, IGNORED))
    value.backward()
    assert value.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_image_weights_make_classes_equal_within_each_picture() -> None:
    # a picture with 3 pixels of class 0 and 1 of class 1: they have weights 4/6 and 4/2
    logits = torch.zeros(1, 2, 1, 4)
    logits[0, 0] = torch.tensor([1.0, 1.0, 1.0, 1.0])
    targets = torch.tensor([[[0, 0, 0, 1]]])
    right, wrong = -math.log(math.e / (math.e + 1)), -math.log(1 / (math.e + 1))
    expected = (3 * 4 / 6 * right + 4 / 2 * wrong) / 4
    value = image_weighted_cross_entropy(logits, targets)
    assert float(value) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("shares", "weights"),
    [((0.5, 0.25, 0.25), (2 / 3, 4 / 3, 4 / 3)), ((0.2, 0.8, 0.0), (2.5, 0.625, 0.0))],
)
def test_class_weights_are_inverse_frequencies(
    shares: Sequence[float], weights: Sequence[float]
) -> None:
    computed = class_weights(shares)
    assert computed.tolist() == pytest.approx(weights)
    assert float((computed * torch.tensor(shares)).sum()) == pytest.approx(1)


def test_options_of_our_own_losses_matter() -> None:
    logits, targets = two_pixels()
    plain = float(make_loss("cross-entropy", CONTEXT)(logits, targets))
    assert float(focal(logits, targets, gamma=0)) == pytest.approx(plain)
    assert float(jaccard_distance(logits, targets, smooth=1.0)) == pytest.approx(
        ((1 - 1.8 / 2.2) + (1 - 1.4 / 2.6)) / 2
    )
    assert float(global_dice(logits, targets, smooth=0.0)) == pytest.approx(1 - 2.4 / 4)
    ones = torch.ones(2)
    assert float(weighted_cross_entropy(logits, targets, weights=ones)) == pytest.approx(plain)


def test_sums_are_parsed() -> None:
    assert parse_loss("cross-entropy + 0.5*dice") == ((1.0, "cross-entropy"), (0.5, "dice"))
    logits, targets = random_case()
    both = make_loss("2*cross-entropy+.5 * dice", CONTEXT)(logits, targets)
    one, other = (make_loss(name, CONTEXT)(logits, targets) for name in ("cross-entropy", "dice"))
    torch.testing.assert_close(both, 2 * one + 0.5 * other)


@pytest.mark.parametrize(
    "text", ["", "dice +", "-1*dice", "hinge", "dice*2", "2dice", "dice; focal"]
)
def test_malformed_sums_are_refused(text: str) -> None:
    with pytest.raises(SettingError, match="is not a loss; write NAME or WEIGHT"):
        parse_loss(text)


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    with pytest.raises(SettingError, match=r"pip install 'rtseg\[training\]'"):
        make_loss("tversky", CONTEXT)
