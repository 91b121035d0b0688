"""Biases of rare classes: found where F1 is largest, and added to what the network says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rtseg.checkpoint import Checkpoint, ModelSpec
from rtseg.errors import ModelError
from rtseg.labels import FACE_PARTS
from rtseg.models import build_model, create_model
from training.data.base import Sample
from training.evaluation.class_bias import measure_biases, with_biases
from training.evaluation.predictor import Predictor

SIZE = 64
NECKLACE = FACE_PARTS.names.index("necklace")
NECK = FACE_PARTS.names.index("neck")


class Fixed:
    """Says the same of every picture: probabilities, float32 (classes, height, width)."""

    def __init__(self, maps):
        self.maps = maps

    def probabilities(self, images, *, offset=0.0):
        return [self.maps for _ in images]


class One:
    """A data set of one picture."""

    def __init__(self, image, labels):
        self.label_set = FACE_PARTS
        self.names = ("one",)
        self.sample = Sample(name="one", image=image, labels=labels)

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.sample


def a_doubtful_necklace():
    """A necklace that is found with .3 where it is, and with .05 on the neck around it."""
    labels = np.full((SIZE, SIZE), NECK, np.uint8)
    labels[20:24] = NECKLACE
    maps = np.zeros((len(FACE_PARTS), SIZE, SIZE), np.float32)
    maps[NECKLACE] = np.where(labels == NECKLACE, 0.3, 0.05)
    maps[NECK] = 1 - maps[NECKLACE]
    return maps, One(np.zeros((SIZE, SIZE, 3), np.uint8), labels)


def test_the_best_bias_makes_a_doubtful_class_the_likeliest_one():
    maps, data = a_doubtful_necklace()
    bias, before, after = measure_biases(Fixed(maps), data, [NECKLACE])[NECKLACE]
    assert (before, after) == (0.0, 1.0)
    # from log(.7 / .3) on it leads where it is, and from log(.95 / .05) on everywhere
    assert np.log(0.7 / 0.3) < bias < np.log(0.95 / 0.05)


def test_a_class_that_is_found_too_often_gets_a_negative_bias():
    maps, data = a_doubtful_necklace()
    maps[NECKLACE] = np.where(data.sample.labels == NECKLACE, 0.9, 0.6)
    maps[NECK] = 1 - maps[NECKLACE]
    bias, before, after = measure_biases(Fixed(maps), data, [NECKLACE])[NECKLACE]
    assert before == pytest.approx(2 * 4 / (4 + SIZE))
    assert after == 1.0
    assert np.log(0.1 / 0.9) < bias < np.log(0.4 / 0.6)


def test_a_class_that_is_right_already_gets_none():
    maps, data = a_doubtful_necklace()
    maps[NECKLACE] = np.where(data.sample.labels == NECKLACE, 0.9, 0.4)
    maps[NECK] = 1 - maps[NECKLACE]
    assert measure_biases(Fixed(maps), data, [NECKLACE])[NECKLACE] == (0.0, 1.0, 1.0)


def test_pixels_that_do_not_count_move_nothing():
    maps, data = a_doubtful_necklace()
    labels = data.sample.labels.copy()
    labels[40:] = 255
    maps[NECKLACE, 40:], maps[NECK, 40:] = 0.45, 0.55  # wrong, and nobody knows
    bias, _, after = measure_biases(Fixed(maps), One(data.sample.image, labels), [NECKLACE])[
        NECKLACE
    ]
    assert (bias > 0, after) == (True, 1.0)


def first_tensors(spec):
    """The weights of a network that has not learned yet."""
    model = build_model(spec.architecture, classes=len(spec.label_set), options=dict(spec.options))
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}


@pytest.fixture(scope="module", params=[0, 8])
def network(request):
    torch.manual_seed(0)
    spec = ModelSpec(
        architecture="lite-pyramid",
        label_set=FACE_PARTS,
        input_height=SIZE,
        input_width=SIZE,
        stride=2 if request.param else 4,
        options={"fine": request.param},
    )
    tensors = first_tensors(spec)
    return Checkpoint(spec=spec, tensors=tensors)


def test_a_bias_is_added_to_the_logits_of_its_class_alone(network):
    changed = with_biases(network, {NECKLACE: 1.5, NECK: 0.0})
    crops = torch.rand(1, 3, SIZE, SIZE)
    with torch.inference_mode():
        more = create_model(changed)(crops) - create_model(network)(crops)
    expected = np.zeros(len(FACE_PARTS))
    expected[NECKLACE] = 1.5
    np.testing.assert_allclose(
        more.numpy(), np.broadcast_to(expected[:, None, None], more.shape[1:])[None], atol=1e-5
    )
    assert changed.spec.provenance["class_biases"] == {"necklace": 1.5}


def test_the_measured_bias_raises_the_f1_that_is_measured(network):
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    (maps,) = Predictor.of_checkpoint(network).probabilities([image])
    likely = maps[NECKLACE] > np.quantile(maps[NECKLACE], 0.9)
    data = One(image, np.where(likely, np.uint8(NECKLACE), np.uint8(0)))
    bias, before, after = measure_biases(Predictor.of_checkpoint(network), data, [NECKLACE])[
        NECKLACE
    ]
    (labels,) = Predictor.of_checkpoint(with_biases(network, {NECKLACE: bias}))([image])
    labelled = labels == NECKLACE
    f1 = 2 * (labelled & likely).sum() / (labelled.sum() + likely.sum())
    assert f1 == pytest.approx(after, abs=0.02)
    assert after >= before


def test_other_networks_are_refused():
    spec = ModelSpec(
        architecture="unet",
        label_set=FACE_PARTS,
        input_height=64,
        input_width=64,
        stride=1,
        options={"width": 4},
    )
    tensors = first_tensors(spec)
    with pytest.raises(ModelError, match="a unet has no place for biases of classes"):
        with_biases(Checkpoint(spec=spec, tensors=tensors), {1: 1.0})
