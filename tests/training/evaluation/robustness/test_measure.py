"""The command, and the tables of all four parts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from rtseg.checkpoint import write_checkpoint
from rtseg.errors import SettingError
from rtseg.frames import Image, LabelMap
from rtseg.labels import FACE_PARTS, FASSEG, HELEN
from training.cli import main
from training.evaluation import robustness
from training.evaluation.robustness import composites, corruptions
from training.recipes import recipe_of
from training.settings import FitSettings
from training.state import fresh_state


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind has its own tests beside this one."""
    monkeypatch.setattr(corruptions, "CORRUPTIONS", corruptions.CORRUPTIONS[-2:])
    monkeypatch.setattr(composites, "HEAD_HEIGHTS", (0.1, 0.8))


def blind(images: Sequence[Image]) -> list[LabelMap]:
    return [np.zeros(image.shape[:2], np.uint8) for image in images]


def painter(images: Sequence[Image]) -> list[LabelMap]:
    return [np.full(image.shape[:2], HELEN.face[0], np.uint8) for image in images]


def test_a_blind_network_and_one_that_labels_everything_differ(toy_data: Path) -> None:
    nothing = robustness.measure(blind, HELEN, toy_data, crops=2)
    assert nothing.no_face[0].largest == 0
    assert all(score.f1 == 0 for score in nothing.corruptions)
    assert nothing.profiles[-1].mean == 0
    everything = robustness.measure(painter, HELEN, toy_data, crops=2)
    assert everything.no_face[0].median == 1
    assert "**100.00%**" in everything.markdown()
    assert "**" not in nothing.markdown()
    assert everything.face_view[-1].found == 1
    json.dumps(everything.plain(), allow_nan=False)


def test_a_model_of_nineteen_classes_is_measured_on_celebamask_too(toy_data: Path) -> None:
    def painter_of_parts(images: Sequence[Image], *, offset: float = 0) -> list[LabelMap]:
        return painter(images)

    measured = robustness.measure(painter_of_parts, FACE_PARTS, toy_data, crops=2)
    assert len(measured.corruptions) == len(measured.corruptions_on_celebamask) == 3
    assert "of CelebAMask-HQ at 256x256" in measured.markdown()
    assert measured.face_view[-1].found == 1
    assert measured.profiles[-1].f1["skin"] > 0.2


def test_other_classes_are_refused(toy_data: Path) -> None:
    with pytest.raises(SettingError, match="has fasseg's"):
        robustness.measure(blind, FASSEG, toy_data)


def test_the_command_prints_four_tables_and_writes_json(toy_data: Path, tmp_path: Path) -> None:
    recipe = recipe_of("helen-unet").with_options(["width=4"]).with_input(64, 64)
    state = fresh_state(recipe, FitSettings(), device="cpu")
    tensors = {name: value.numpy() for name, value in state.model.state_dict().items()}
    model = tmp_path / "model.safetensors"
    write_checkpoint(recipe.checkpoint(tensors, provenance={}, accuracy={}), model)
    figures = tmp_path / "figures.json"
    words = ["robustness", model, "--data", toy_data, "--split", "report", "--crops", 2]
    words += ["--json", figures]
    done = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    written = json.loads(figures.read_text())
    assert written["split"] == "report"
    assert [len(written[part]) for part in ("corruptions", "face_view", "no_face")] == [3, 3, 6]
    assert written["face_view"][0]["found"] is None
    assert {row["yaw"] for row in written["profiles"]} == {"0", "all"}
    assert done.output.count("\n| --- ") == 4
    clean = written["corruptions"][0]["f1"]
    assert f"| none |  | 7 | {clean:.4f} | +0.0000 |" in done.output
