"""The command line, end to end on drawn data."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from rtseg.checkpoint import read_checkpoint
from rtseg.errors import RtsegError, SettingError
from rtseg.weights import model_path
from training.cli import main
from training.recipes import face_parts, face_parts_answers

BEFORE = (*face_parts.RUNS[1:], *face_parts_answers.RUNS)
"""The runs that `face-parts` needs."""


def invoke(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)


def test_every_recipe_is_listed_and_shown():
    assert "face-parts" in invoke("list").output
    shown = invoke("show", "face-parts").output
    assert "lite-pyramid" in shown
    assert "learning_rate" in shown
    assert "research" in shown


@pytest.mark.timeout(400)  # twelve short trainings
def test_fit_evaluate_and_predict_work(toy_data: Path, tmp_path: Path):
    out = tmp_path / "run"
    sets = ["epochs=1", "batch=2", "workers=0", "precision=fp32", "encoder_weights=none"]
    words = [word for text in sets for word in ("--set", text)]
    fitted = invoke("fit", "face-parts", "--data", toy_data, "--out", out, *words)
    assert "end at step 2" in fitted.output
    model = out / "model.safetensors"
    checkpoint = read_checkpoint(model)
    assert checkpoint.spec.provenance["command"].startswith("python -m training fit face-parts ")
    assert str(toy_data) not in json.dumps(checkpoint.spec.header())
    assert checkpoint.spec.view == "face"
    # it starts from other recipes' weights, and learns another one's answers, trained just before
    runs = {one.name: read_checkpoint(out / one.name / "model.safetensors") for one in BEFORE}
    runs["face-parts"] = checkpoint
    for one in (*face_parts.RUNS, *face_parts_answers.RUNS):
        provenance = runs[one.name].spec.provenance
        for key, needed in (("started_from", one.first), ("answers_from", one.answers)):
            before = None if needed is None else runs[needed.name].spec.provenance
            assert provenance.get(key) == before
        taught = [runs[needed.name].spec.provenance for needed in one.teachers]
        assert provenance.get("teachers_from", []) == taught
        assert provenance["command"].startswith(f"python -m training fit {one.name} ")
    assert runs["face-parts-128"].spec.input_width == 128

    again = tmp_path / "again"
    start, answers = (
        f"{name}={out / folder / 'model.safetensors'}"
        for name, folder in (
            ("start_from", "face-parts-taught"),
            ("answers_from", "face-parts-answers"),
        )
    )
    taught = ",".join(
        str(out / one.name / "model.safetensors") for one in face_parts.RECIPE.teachers
    )
    given = ("--set", start, "--set", answers, "--set", f"teachers_from={taught}")
    invoke("fit", "face-parts", "--data", toy_data, "--out", again, *words, *given)
    assert not [path for path in again.iterdir() if path.name.startswith("face-parts")]
    header = read_checkpoint(again / "model.safetensors").spec.header()
    assert "start_from=model.safetensors" in header["provenance"]["command"]
    assert "answers_from=model.safetensors" in header["provenance"]["command"]
    typed = "teachers_from=model.safetensors,model.safetensors,model.safetensors"
    assert typed in header["provenance"]["command"]
    assert str(tmp_path) not in json.dumps(header)
    assert (again / "model.safetensors").read_bytes()[-4096:] == model.read_bytes()[-4096:]

    words = ("evaluate", model, "--data", toy_data, "--json", "--write")
    measured = json.loads(invoke(*words).output)
    assert read_checkpoint(model).spec.accuracy["f1"] == measured["f1"]
    before = checkpoint.tensors["head.2.weight"]
    np.testing.assert_array_equal(read_checkpoint(model).tensors["head.2.weight"], before)
    assert measured["split"] == "celebamask-val"
    assert measured["f1"] == pytest.approx(checkpoint.spec.accuracy["f1"], abs=0.02)

    picture = toy_data / "backgrounds" / "000.jpg"
    invoke("predict", model, picture, "-o", tmp_path / "masks")
    labels = cv2.imread(str(tmp_path / "masks" / "000.png"), cv2.IMREAD_UNCHANGED)
    assert labels is not None
    assert labels.shape == (240, 320)
    assert labels.max() <= 18


def test_check_counts_pictures_names_problems_and_shows_terms(toy_data: Path):
    whole = invoke("check", "face-parts", "--data", toy_data)
    assert whole.exit_code == 0
    assert "helen-train: 2 of 2 readable" in whole.output
    assert "research" in whole.output
    labels = toy_data / "helenstar-256" / "train" / "labels"
    bad = np.full((256, 256), 99, np.uint8)
    assert cv2.imwrite(str(labels / "0002.png"), bad)
    (labels.parent / "images" / "0004.jpg").write_bytes(
        (labels.parent / "images" / "0003.jpg").read_bytes()
    )
    broken = invoke("check", "face-parts", "--data", toy_data)
    assert broken.exit_code == 3
    assert "helen-train: 1 of 2 readable" in broken.output
    assert "0002.png: holds the label value 99" in broken.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show", "face-part"), "unknown recipe 'face-part'; allowed: .*face-parts"),
        (("fit", "face-parts", "--data", "x", "--out", "y", "--set", "lr=1"), "'lr=1'"),
    ],
)
def test_wrong_arguments_are_typed_errors(words: tuple[str, ...], message: str):
    with pytest.raises(SettingError, match=message):
        invoke(*words)


@pytest.mark.parametrize(
    ("folder", "message"),
    [(".", "holds no extra/images; get celebamask-labels"), ("none", "none: no such folder")],
)
def test_missing_data_is_a_typed_error(tmp_path: Path, folder: str, message: str):
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    with pytest.raises(RtsegError, match=message):
        invoke("check", "face-parts", "--data", data / folder)
    networks = ("start_from", "answers_from", "teachers_from")  # no other run before it
    network = model_path("face-parts")
    given = [word for name in networks for word in ("--set", f"{name}={network}")]
    with pytest.raises(RtsegError, match=message):
        invoke("fit", "face-parts", "--data", data / folder, "--out", out, *given)
