"""List Helen*'s people with glasses, over which skin, brows and eyes are labelled.

`splits/helen-glasses.txt` lists the train names, so that training needs nothing but the data. It
was written by

    python -m training.data.glasses CHECKPOINT --data DIR > training/splits/helen-glasses.txt

and checked by eye.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rtseg.checkpoint import read_checkpoint
from rtseg.errors import SettingError
from training.data.base import samples_of
from training.data.helen import Helen
from training.evaluation.predictor import Predictor

LEAST_SHARE = 0.03
"""The least share of a face's pixels predicted as glasses for a person who wears them."""


def glasses_share(predicted: np.ndarray, face: np.ndarray, glasses: Sequence[int]) -> float:
    """The share of a labelled face, bool (height, width), predicted as glasses."""
    return float(np.isin(predicted[face], glasses).mean()) if face.any() else 0.0


def main() -> None:
    """Print the train names on whose faces a checkpoint predicts glasses."""
    parser = argparse.ArgumentParser(prog="python -m training.data.glasses")
    parser.add_argument("checkpoint")
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    checkpoint = read_checkpoint(arguments.checkpoint)
    glasses = checkpoint.spec.label_set.glasses
    if not glasses:
        raise SettingError(f"{arguments.checkpoint}: this model has no class for glasses")
    predictor = Predictor.of_checkpoint(checkpoint)
    helen = Helen(root=arguments.data, split="train")
    for sample in samples_of(helen):
        (predicted,) = predictor([sample.image])
        face = np.isin(sample.labels, helen.label_set.face)
        if glasses_share(predicted, face, glasses) >= LEAST_SHARE:
            sys.stdout.write(f"{sample.name}\n")


if __name__ == "__main__":
    main()
