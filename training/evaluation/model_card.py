"""The documented figures of a `face-parts` model: its tables, each measured on one split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtseg.checkpoint import Checkpoint
from rtseg.errors import SettingError
from rtseg.labels import FACE_PARTS, HELEN, LabelSet
from training.data.base import resize_labels
from training.data.helen import Helen
from training.data.masked_faces import MASK, VISIBLE, MaskedFaces
from training.evaluation.markdown import share, table
from training.evaluation.metrics import Matrix, f1_of, iou_of, mean_of
from training.evaluation.predictor import Predictor, evaluated
from training.recipes.base import Recipe

DATA_SETS = {"celebamask": "CelebAMask-HQ", "helen": "Helen\\*", "figaro": "Figaro-1k"}
"""The data sets whose classes have an F1, by the names of the recipe's splits."""

_HELEN_ONLY = frozenset(HELEN.names)


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """The measurements of one model.

    Attributes:
        matrices: confusion matrices by the name of the split, such as `celebamask-val`.
        masked: the result of `measure_masked` for `val` or `report`.
        helen_glasses: the result of `measure_helen_glasses` for `val` or `report`.
    """

    matrices: Mapping[str, Matrix]
    masked: Mapping[str, tuple[float, float]]
    helen_glasses: Mapping[str, float]

    def accuracy_markdown(self, label_set: LabelSet) -> str:
        """Format F1 by class, one column per split; Figaro-1k labels only hair."""
        foreground = list(label_set.foreground)
        rows: dict[str, Sequence[int]] = {
            label_set.names[index]: [index] for index in label_set.foreground
        }
        rows |= label_set.groups
        lines = []
        for name, ids in rows.items():
            cells = [
                share(f1_of(matrix, ids)) if _tells(split, label_set, ids) else ""
                for split, matrix in self.matrices.items()
            ]
            lines.append([name, *cells])
        means = [
            share(mean_of([f1_of(matrix, [index]) for index in foreground]))
            if split.startswith("celebamask")
            else ""
            for split, matrix in self.matrices.items()
        ]
        lines.append([f"**mean of {len(foreground)} classes**", *means])
        hair = label_set.hair
        lines.append(
            ["hair, IoU", *(share(iou_of(matrix, hair)) for matrix in self.matrices.values())]
        )
        return table(["class", *map(_heading, self.matrices)], lines)

    def masked_markdown(self) -> str:
        """Format the figures for masked faces, and for glasses on Helen*'s faces."""
        rows = [
            [f"masked faces {part}", "of the mask's pixels, taken for face", share(mislabelled)]
            for part, (mislabelled, _) in self.masked.items()
        ]
        rows += [
            [f"masked faces {part}", "of the visible face's pixels, labelled", share(labelled)]
            for part, (_, labelled) in self.masked.items()
        ]
        rows += [
            [f"Helen\\* {part}", "of skin, brows and eyes, called glasses (counts as right)", s]
            for part, s in ((part, share(value)) for part, value in self.helen_glasses.items())
        ]
        return table(["pictures", "share", "measured"], rows)


def measure_card(
    model: Checkpoint,
    recipe: Recipe,
    data: Path,
    *,
    parts: Sequence[str],
    say: Callable[[str], None] = lambda what: None,
) -> ModelCard:
    """Measure a model of the nineteen classes on `val`, and on `report` if requested.

    Args:
        model: the model to measure.
        recipe: the recipe whose splits are used.
        data: the data folder.
        parts: `val`, `report`, or both.
        say: called with a description of the current measurement.

    Raises:
        SettingError: the model has other classes.
        SourceError: data is missing.
    """
    if model.spec.label_set.names != FACE_PARTS.names:
        raise SettingError(
            f"this model has the classes of {model.spec.label_set.name}; the tables are of those "
            "of face-parts"
        )
    predictor = Predictor.of_checkpoint(model)
    matrices = {}
    for name in DATA_SETS:
        for part in parts:
            split = f"{name}-{part}"
            say(split)
            matrices[split] = evaluated(model, recipe.evaluation(data, split))
    say("masked faces")
    masked = {part: measure_masked(predictor, data, part) for part in parts}
    say("glasses on Helen*")
    glasses = {part: measure_helen_glasses(predictor, data, part) for part in parts}
    return ModelCard(matrices=matrices, masked=masked, helen_glasses=glasses)


def measure_masked(predictor: Predictor, data: Path, part: str) -> tuple[float, float]:
    """The share of masks' pixels labelled as face, and the share of visible faces' pixels that are.

    Face means skin, brows, eyes, nose, mouth and glasses; a visible face may also be labelled as
    ear, which the data set counts as face.
    """
    label_set = FACE_PARTS
    face = np.isin(np.arange(256), label_set.face)
    visible = np.isin(np.arange(256), [*label_set.face, *label_set.ears])
    counts = np.zeros((2, 2), np.int64)
    photos = MaskedFaces(root=data, split=part)
    for index in range(len(photos)):
        sample = photos[index]
        (labels,) = predictor([sample.image])
        truth = resize_labels(sample.labels, height=labels.shape[0], width=labels.shape[1])
        for row, (value, right) in enumerate(zip((VISIBLE, MASK), (visible, face), strict=True)):
            of_it = truth == value
            counts[row] += (int(right[labels[of_it]].sum()), int(of_it.sum()))
    (labelled, visible_pixels), (mislabelled, mask_pixels) = counts
    return float(mislabelled / max(1, mask_pixels)), float(labelled / max(1, visible_pixels))


def measure_helen_glasses(predictor: Predictor, data: Path, part: str) -> float:
    """The share of Helen*'s skin, brows and eyes that a model labels as glasses."""
    of_face = np.isin(np.arange(256), [*HELEN.skin, *HELEN.brows, *HELEN.eyes])
    called = total = 0
    photos = Helen(root=data, split=part)
    for index in range(len(photos)):
        sample = photos[index]
        (labels,) = predictor([sample.image])
        is_face = of_face[sample.labels]
        called += int(np.isin(labels[is_face], FACE_PARTS.glasses).sum())
        total += int(is_face.sum())
    return called / max(1, total)


def _heading(split: str) -> str:
    name, _, part = split.rpartition("-")
    return f"{DATA_SETS[name]} {part}"


def _tells(split: str, label_set: LabelSet, ids: Sequence[int]) -> bool:
    """Whether a data set labels a class or group separately."""
    if split.startswith("celebamask"):
        return True
    if split.startswith("figaro"):
        return tuple(ids) == label_set.hair
    # glasses may be anything that Helen* paints over them
    known = {label_set.names[index] for index in {*ids} - {*label_set.glasses}}
    return known <= _HELEN_ONLY and tuple(ids) != label_set.glasses
