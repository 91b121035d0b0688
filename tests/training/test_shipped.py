"""The model in the package: small enough, complete, and as good as it says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from rtseg.checkpoint import read_checkpoint
from rtseg.labels import FACE_PARTS
from rtseg.models import create_model
from rtseg.weights import default_checkpoint_path
from training.evaluation.metrics import f1_table
from training.evaluation.predictor import evaluated
from training.recipes import recipe_of


def test_it_is_small_and_says_what_it_is():
    path = default_checkpoint_path()
    assert path.stat().st_size <= 8_000_000
    checkpoint = read_checkpoint(path)
    assert checkpoint.parameter_count <= 3_500_000
    assert checkpoint.spec.label_set.names == FACE_PARTS.names
    assert (checkpoint.spec.input_height, checkpoint.spec.input_width) == (256, 256)
    assert checkpoint.spec.view == "face"
    assert checkpoint.spec.accuracy["f1"]["parts"] >= 0.80
    for field in ("data", "date", "command", "epochs", "recipe"):
        assert checkpoint.spec.provenance[field]
    assert "Non-commercial research" in checkpoint.spec.terms
    assert "/" + "work" not in json.dumps(checkpoint.spec.header())
    create_model(checkpoint)


@pytest.mark.slow
@pytest.mark.skipif("RTSEG_DATA" not in os.environ, reason="needs the data folder in RTSEG_DATA")
def test_its_figures_are_measured_again():
    checkpoint = read_checkpoint(default_checkpoint_path())
    recipe = recipe_of("face-parts")
    dataset = recipe.evaluation(Path(os.environ["RTSEG_DATA"]), recipe.splits[0])
    matrix = evaluated(checkpoint, dataset)
    again = f1_table(matrix, checkpoint.spec.label_set)
    assert again == pytest.approx(dict(checkpoint.spec.accuracy["f1"]), abs=2e-3)
