"""What a trained network says of sets of classes: where it is sure, and only there."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from rtseg.checkpoint import Checkpoint, ModelSpec
from rtseg.labels import FACE_PARTS
from rtseg.models import build_model
from training.data.base import Sample
from training.data.face_targets import SETS, from_helen
from training.data.helen import Helen
from training.data.resolved_sets import LEAST_SHARE, PREFERENCE, resolved
from training.evaluation.predictor import Predictor
from training.losses.functions import FIRST_SET

BACKGROUND, SKIN, HAIR, EAR, NECK, CLOTHES = (
    FACE_PARTS.names.index(name)
    for name in ("background", "skin", "hair", "left-ear", "neck", "clothes")
)
OPEN = FIRST_SET  # Helen*'s background


class Says:
    """A predictor of one map of log-probabilities, class by class."""

    def __init__(self, **logits: float) -> None:
        values = np.full((len(FACE_PARTS), 4, 4), -9.0, np.float32)
        for name, value in logits.items():
            values[FACE_PARTS.names.index(name.replace("_", "-"))] = value
        self.map = np.exp(values)
        self.offsets: list[float] = []

    def probabilities(self, images, *, offset):
        self.offsets.append(offset)
        return [self.map for _ in images]


@pytest.fixture
def network() -> Checkpoint:
    spec = ModelSpec(
        architecture="lite-pyramid",
        label_set=FACE_PARTS,
        input_height=64,
        input_width=64,
        stride=2,
    )
    torch.manual_seed(0)
    model = build_model("lite-pyramid", classes=len(FACE_PARTS), options={})
    return Checkpoint(spec=spec, tensors={k: v.numpy() for k, v in model.state_dict().items()})


def resolve(monkeypatch, network, labels, says) -> np.ndarray:
    monkeypatch.setattr(Predictor, "of_checkpoint", lambda _: says)
    image = np.zeros((*labels.shape, 3), np.uint8)
    sample = Sample(name="one", image=image, labels=labels, sets=SETS)
    (after,) = resolved([sample], network)
    assert after.sets == sample.sets
    return after.labels


def test_what_is_known_stays_whatever_the_network_says(monkeypatch, network):
    labels = np.full((4, 4), SKIN, np.uint8)
    labels[0] = 255
    after = resolve(monkeypatch, network, labels, Says(neck=0.0))
    np.testing.assert_array_equal(after, labels)


def test_the_class_must_be_of_the_set(monkeypatch, network):
    labels = np.full((4, 4), OPEN, np.uint8)
    after = resolve(monkeypatch, network, labels, Says(skin=0.0, hair=-0.1, clothes=-2.0))
    assert (after == CLOTHES).all()
    assert (labels == OPEN).all()  # the sample itself stays as it was


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ({"background": 0.0}, BACKGROUND),
        # a neglected class is preferred …
        ({"background": 0.0, "neck": -PREFERENCE + 2}, NECK),
        ({"background": 0.0, "left_ear": -PREFERENCE + 2}, EAR),
        ({"background": 0.0, "clothes": -PREFERENCE / 2 + 2}, CLOTHES),
        # … to a certain degree
        ({"background": 0.0, "clothes": -PREFERENCE + 1}, OPEN),
        ({"background": 0.0, "neck": -PREFERENCE - 2}, BACKGROUND),
        # where no class stands out, the question stays open
        ({"background": 0.0, "neck": -PREFERENCE}, OPEN),
        ({"neck": -1.0, "left_ear": -1.0}, OPEN),
        ({"background": 0.0, "hat": -1.0}, OPEN),
        ({"background": 0.0, "hat": -2.0}, BACKGROUND),
    ],
)
def test_a_class_that_stands_out_is_taken(monkeypatch, network, says, expected):
    labels = np.full((4, 4), OPEN, np.uint8)
    assert (resolve(monkeypatch, network, labels, Says(**says)) == expected).all()
    assert 0.5 < LEAST_SHARE < 1


def test_labels_that_lie_aside_are_compared_where_they_lie(toy_data, monkeypatch, network):
    sample = from_helen(Helen(root=toy_data, split="train")[0], glasses=False)
    wide = Says()
    wide.map = np.full((len(FACE_PARTS), 256, 256), 1 / 19, np.float32)
    monkeypatch.setattr(Predictor, "of_checkpoint", lambda _: wide)
    list(resolved([sample, dataclasses.replace(sample, label_offset=0.0)], network))
    # half a pixel of 256 in an input of 64
    assert wide.offsets == [pytest.approx(sample.label_offset / 4), 0.0]


def test_a_real_network_answers_for_each_pixel(toy_data, network):
    sample = from_helen(Helen(root=toy_data, split="train")[0], glasses=False)
    (after,) = resolved([sample], network)
    known = sample.labels < FIRST_SET
    assert known.any()
    np.testing.assert_array_equal(after.labels[known], sample.labels[known])
    assert set(np.unique(after.labels[~known])) <= {*SETS[0], OPEN}
