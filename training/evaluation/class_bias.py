"""What to add to the logits of rare classes so that their F1 is largest.

A network is seldom sure of a class that few pixels of few pictures have, so that it is hardly ever
the likeliest one, although labelling it would often be right: F1 is largest where a class is taken
from half of that F1 on, not from one half on (Lipton et al., ECML PKDD 2014). One that is drawn
more often than it occurs is found too often instead. A bias of the last convolution moves the
threshold either way, and costs nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from rtseg.checkpoint import Checkpoint
from rtseg.errors import ModelError
from training.data.base import Dataset, resize_labels
from training.evaluation.predictor import Predictor

MOST = 4.0
"""The largest bias, in logits, of either sign."""

_STEP = 0.05
_LAST_BIASES = ("refine.2.bias", "head.2.bias")  # of a fine head, and of a network without one
_TINY = 1e-9


def f1_by_bias(
    above_true: npt.NDArray[np.int64], above_any: npt.NDArray[np.int64], true: int
) -> npt.NDArray[np.float64]:
    """F1 = 2TP / (A + B) at each bias.

    Args:
        above_true: pixels of the class that are labelled with it, int64 (biases,).
        above_any: all pixels that are labelled with it, int64 (biases,).
        true: all pixels of the class.
    """
    return 2 * above_true / np.maximum(1, above_any + true)


def measure_biases(
    predictor: Predictor, dataset: Dataset, classes: Sequence[int]
) -> dict[int, tuple[float, float, float]]:
    """The best bias of each class, -`MOST`..`MOST`, with its F1 without and with it.

    Classes are looked at one at a time: what a pixel loses that becomes another's is not counted.

    Raises:
        SourceError: a picture cannot be read.
    """
    count = round(MOST / _STEP)
    steps = np.arange(-count, count + 1) * _STEP
    labelled = {index: np.zeros((2, len(steps)), np.int64) for index in classes}
    true = dict.fromkeys(classes, 0)
    for sample in (dataset[index] for index in range(len(dataset))):
        (maps,) = predictor.probabilities([sample.image])
        truth = resize_labels(sample.labels, height=maps.shape[1], width=maps.shape[2])
        logs = np.log(np.maximum(maps, _TINY))
        for index in classes:
            others = np.delete(logs, index, axis=0).max(0)
            missing = others - logs[index]  # what must be added for this class to lead
            is_true = truth == index
            true[index] += int(is_true.sum())
            for row, chosen in enumerate((is_true, truth < maps.shape[0])):
                # a pixel is labelled from the first step on that is above what it lacks
                first = np.searchsorted(steps, missing[chosen], side="right")
                counts = np.bincount(first, minlength=len(steps) + 1)
                labelled[index][row] += np.cumsum(counts[: len(steps)])
    best = {}
    for index in classes:
        scores = f1_by_bias(labelled[index][0], labelled[index][1], true[index])
        place = int(np.argmax(scores))
        if scores[place] <= scores[count]:
            place = count  # no bias, unless one is better
        best[index] = (round(float(steps[place]), 2), float(scores[count]), float(scores[place]))
    return best


def with_biases(model: Checkpoint, biases: Mapping[int, float]) -> Checkpoint:
    """The model with these added to its logits.

    Raises:
        ModelError: it is not one of the pyramid networks.
    """
    name = next((name for name in _LAST_BIASES if name in model.tensors), None)
    if name is None:
        raise ModelError(
            f"a {model.spec.architecture} has no place for biases of classes; allowed: networks "
            "with a pyramid decoder"
        )
    bias = np.array(model.tensors[name], np.float32)
    for index, more in biases.items():
        bias[index] += more
    names = model.spec.label_set.names
    said = {names[index]: more for index, more in biases.items() if more}
    provenance = {**model.spec.provenance, "class_biases": said}
    return dataclasses.replace(
        model,
        spec=dataclasses.replace(model.spec, provenance=provenance),
        tensors={**model.tensors, name: bias},
    )
