"""The mean of several runs' weights: nearly as good as their vote, at the price of one network.

Wortsman et al., "Model soups", ICML 2022: runs that start from the same weights end in the same
valley, and the mean lies lower in it than its members. Runs from random weights do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rtseg.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from rtseg.errors import SettingError
from rtseg.models import create_model
from training.recipes.base import Recipe
from training.trainer import MODEL_FILE, accuracy_of, measured


def averaged(checkpoints: Sequence[Checkpoint]) -> dict[str, np.ndarray[Any, Any]]:
    """The mean of each tensor, float32; counters are the first's.

    Raises:
        SettingError: there are none, or they are not the same network.
    """
    if not checkpoints:
        raise SettingError("nothing to average: no checkpoint")
    first = checkpoints[0].tensors
    shapes = {name: value.shape for name, value in first.items()}
    for other in checkpoints[1:]:
        if {name: value.shape for name, value in other.tensors.items()} != shapes:
            raise SettingError("the checkpoints hold different networks: their mean is none")
    return {
        name: np.mean([c.tensors[name].astype(np.float32) for c in checkpoints], axis=0)
        if np.issubdtype(value.dtype, np.floating)
        else value
        for name, value in first.items()
    }


def soup(recipe: Recipe, members: Sequence[Path], *, data: Path, out: Path, command: str) -> Path:
    """Average the models of runs of one recipe, measure the mean, and write it into `out`.

    Returns:
        The checkpoint's path.

    Raises:
        SettingError: the models are not the same network.
        SourceError: one cannot be read, or the data is not there.
    """
    checkpoints = [read_checkpoint(path) for path in members]
    tensors = averaged(checkpoints)
    provenance = {
        **checkpoints[0].provenance,
        "command": command,
        "mean_of": [checkpoint.provenance["command"] for checkpoint in checkpoints],
    }
    mean = recipe.checkpoint(tensors, provenance=provenance, accuracy={})
    validation = recipe.evaluation(data, recipe.splits[0])
    matrix = measured(recipe, create_model(mean), validation)
    accuracy = accuracy_of(recipe, matrix)
    path = out / MODEL_FILE
    write_checkpoint(
        recipe.checkpoint(tensors, provenance=provenance, accuracy=accuracy), path, half=True
    )
    return path
