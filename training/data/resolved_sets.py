"""Decide which class of a set a pixel shows, where a trained network can tell.

A loss over a set of classes is as content with one of them as with another, and pushes the one that
is likeliest already. So a network that learns to tell data sets apart learns that those without
necks and ears have none, and forgets them on all pictures that look alike. Once it has learnt the
classes elsewhere, its own choice within each set is a better target (Lee, Pseudo-Label, ICML
workshop 2013), if the classes that it has come to neglect are preferred.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from rtseg.checkpoint import Checkpoint
from rtseg.frames import LabelMap
from rtseg.labels import LabelSet
from training.data.base import Sample
from training.evaluation.predictor import Predictor
from training.losses.functions import FIRST_SET

PREFERENCE = 3.5
"""Added to the log-probability of ears and necks; half as much to that of clothes, which would
spread over the background otherwise. Chosen by looking at forty pictures of Helen*'s val names."""

LEAST_SHARE = 0.8
"""A class's least share of its set's probability, preference included, for the pixel to be its."""


def resolved(samples: Iterable[Sample], network: Checkpoint) -> Iterator[Sample]:
    """The samples with fewer sets in their labels; where no class stands out, the set stays.

    Args:
        samples: with `sets` of the network's classes.
        network: a trained network with the classes of the labels.
    """
    predictor = Predictor.of_checkpoint(network)
    preference = _preference(network.spec.label_set)
    for sample in samples:
        offset = sample.label_offset * network.spec.input_height / max(sample.labels.shape)
        (probabilities,) = predictor.probabilities([sample.image], offset=offset)
        yield dataclasses.replace(sample, labels=_labels(sample, probabilities * preference))


def _preference(label_set: LabelSet) -> npt.NDArray[np.float32]:
    factors = np.ones((len(label_set), 1, 1), np.float32)
    factors[[*label_set.ears, *label_set.neck]] = np.exp(PREFERENCE)
    factors[list(label_set.clothes)] = np.exp(PREFERENCE / 2)
    return factors


def _labels(sample: Sample, likelihoods: npt.NDArray[np.float32]) -> LabelMap:
    labels = sample.labels.copy()
    for place, ids in enumerate(sample.sets):
        open_question = sample.labels == FIRST_SET + place
        if not open_question.any():
            continue
        among = likelihoods[list(ids)][:, open_question]  # (classes of the set, pixels)
        is_certain = among.max(0) >= LEAST_SHARE * among.sum(0)
        chosen = np.array(ids, np.uint8)[among.argmax(0)]
        labels[open_question] = np.where(is_certain, chosen, FIRST_SET + place)
    return labels
