"""What `face-parts` learns from: which data sets' open questions are answered, and by whom."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from rtseg.checkpoint import Checkpoint, write_checkpoint
from rtseg.errors import SettingError
from rtseg.models import build_model
from training.augment.scenes import FaceViews
from training.data.base import Sample
from training.losses.functions import FIRST_SET
from training.recipes import face_parts_data
from training.recipes.face_parts import PARTLY_ANSWERED, RECIPE, RUNS
from training.recipes.face_parts_data import ANSWERED, training
from training.trainer import fit


@pytest.fixture
def network(tmp_path: Path) -> Path:
    spec = dataclasses.replace(RECIPE.spec, input_height=64, input_width=64)
    model = build_model(spec.architecture, classes=len(spec.label_set), options={})
    tensors = {name: value.numpy() for name, value in model.state_dict().items()}
    write_checkpoint(Checkpoint(spec=spec, tensors=tensors), tmp_path / "network.safetensors")
    return tmp_path / "network.safetensors"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the samples that were answered; the network says background everywhere."""
    names: list[str] = []

    def answer(samples: Iterable[Sample], network: Checkpoint) -> Iterable[Sample]:
        for sample in samples:
            names.append(sample.name)
            labels = np.where(sample.labels >= FIRST_SET, 0, sample.labels).astype(np.uint8)
            yield dataclasses.replace(sample, labels=labels)

    monkeypatch.setattr(face_parts_data, "resolved", answer)
    return names


def open_questions(data: Path, network: Path | None, answered: tuple[str, ...]) -> set[str]:
    """The names of the pictures that are shown with an open question."""
    settings = dataclasses.replace(RECIPE.settings, epochs=2, batch=2, answers_from=network)
    with patch.object(face_parts_data, "FaceViews", wraps=FaceViews) as made:
        training(data, settings, size=64, answered=answered)
    samples = [*made.call_args.args[0], *made.call_args.kwargs["partial"]]
    return {
        sample.name
        for sample in samples
        if ((sample.labels >= FIRST_SET) & (sample.labels < 255)).any()
    }


@pytest.mark.parametrize(
    ("answered", "names"),
    [
        ((), set()),
        (("helen",), {"0001", "0002"}),
        (("fasseg",), {"1", "+30/a"}),
        (("figaro",), {"F1"}),
        (("masked-faces",), {"m1"}),
        (ANSWERED, {"0001", "0002", "1", "+30/a", "F1", "m1"}),
    ],
)
def test_only_the_named_data_sets_are_answered(
    toy_data: Path, network: Path, asked: list[str], answered: tuple[str, ...], names: set[str]
) -> None:
    before = open_questions(toy_data, network, ())
    assert before == {"0001", "0002", "1", "+30/a", "F1", "m1"}
    assert open_questions(toy_data, network, answered) == before - names
    assert set(asked) == names


def test_without_a_network_that_answers_questions_stay_open(
    toy_data: Path, asked: list[str]
) -> None:
    assert open_questions(toy_data, None, ANSWERED) == open_questions(toy_data, None, ())
    assert not asked


def test_a_run_needs_a_network_that_answers(toy_data: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="`answers_from`: face-parts needs a trained network"):
        fit(RECIPE, data=toy_data, out=tmp_path, settings=RECIPE.settings, command="")
    assert not list(tmp_path.glob("*.safetensors"))


def test_every_run_that_asks_has_a_recipe_that_answers() -> None:
    for run in RUNS:
        asks = bool(run.training.keywords.get("answered"))  # type: ignore[attr-defined]
        assert asks == (run.answers is not None)
    assert RECIPE.training.keywords["answered"] == ANSWERED  # type: ignore[attr-defined]
    assert PARTLY_ANSWERED.answers is PARTLY_ANSWERED.first
