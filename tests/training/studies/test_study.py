"""Studies: each trial runs once with its settings, and a table has all results."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from rtseg.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from rtseg.errors import BackendError, SettingError
from rtseg.labels import FASSEG, HELEN
from training import trainer
from training.cli import main
from training.recipes import recipe_of
from training.state import fresh_state
from training.studies import STUDIES, architectures, augmentation, losses, study_of
from training.studies import study as studying
from training.studies.study import Outcome, Study, Trial, run_study

SMALL = (
    *("epochs=1", "batch=2", "workers=0", "input_height=32", "input_width=32", "precision=fp32"),
    "evaluate_every=100",
)


def trial(name: str, *changes: str) -> Trial:
    recipe = recipe_of("helen-unet").with_options(["width=4"])
    return Trial(name=name, recipe=recipe, settings=recipe.settings.changed([*SMALL, *changes]))


def names_and_pixels(outcomes: Sequence[Outcome], out: Path, threads: int) -> str:
    return "".join(f"{o.trial.name} {o.matrices['val'].sum()} {threads}\n" for o in outcomes)


TWO = Study(
    name="two",
    question="Which?",
    budget="one step",
    trials=(trial("first"), trial("second", "loss=dice")),
    splits=("val",),
    report=names_and_pixels,
)


def test_finished_trials_are_kept_and_others_run(toy_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    said: list[str] = []
    path = run_study(TWO, data=toy_data, out=out, say=said.append)
    assert path == out / "two.md"
    text = path.read_text()
    assert text.startswith("# Which?\n\none step\n\n")
    assert text.endswith("first 1024 1\nsecond 1024 1\n")
    assert [line for line in said if "training" in line] == [
        "two 1/2 first: training",
        "two 2/2 second: training",
    ]
    before = (out / "first" / "model.safetensors").stat().st_mtime_ns
    for file in (out / "second").glob("*.*"):
        file.unlink()
    said.clear()
    run_study(TWO, data=toy_data, out=out, say=said.append)
    assert [line for line in said if "training" in line] == ["two 2/2 second: training"]
    assert (out / "first" / "model.safetensors").stat().st_mtime_ns == before


def test_an_interrupted_trial_is_resumed(
    toy_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = dataclasses.replace(TWO, trials=(trial("first"),))
    asked: list[bool] = []
    fit = trainer.fit

    def noted(*words: object, **options: object) -> Path:
        asked.append(bool(options["resume"]))
        return fit(*words, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(studying, "fit", noted)
    run_study(one, data=toy_data, out=tmp_path, say=lambda line: None)
    (tmp_path / "first" / studying.RESULT_FILE).unlink()  # it stopped before it was measured
    run_study(one, data=toy_data, out=tmp_path, say=lambda line: None)
    assert asked == [True, True]


def test_a_folder_with_another_run_is_refused(toy_data: Path, tmp_path: Path) -> None:
    one = dataclasses.replace(TWO, trials=(trial("first"),))
    run_study(one, data=toy_data, out=tmp_path)
    other = dataclasses.replace(TWO, trials=(trial("first", "learning_rate=0.5"),))
    with pytest.raises(SettingError, match="holds a run with settings"):
        run_study(other, data=toy_data, out=tmp_path)
    threads = dataclasses.replace(TWO, trials=(trial("first", "workers=1"),))
    run_study(threads, data=toy_data, out=tmp_path)  # trains the same again


def test_trials_differ_only_in_what_the_study_compares() -> None:
    for study in STUDIES.values():
        assert study_of(study.name) is study
        names = [t.name for t in study.trials]
        assert len(set(names)) == len(names) >= 4
        plain = [t.settings.plain() for t in study.trials]
        differing = {key for key in plain[0] if len({json.dumps(p[key]) for p in plain}) > 1}
        allowed = {
            "losses": {"loss"},
            "augmentation": {"augmentation", "epochs"},
            "architectures": set(),
        }
        assert differing == allowed[study.name]
    views = {
        int(t.settings.epochs) * (augmentation.PICTURES[t.cells["learns from"]] // 8)
        for t in STUDIES["augmentation"].trials
    }
    assert max(views) - min(views) <= 0.02 * max(views)  # the same number of steps
    with pytest.raises(SettingError, match="unknown study 'x'; allowed: losses"):
        study_of("x")


def test_list_shows_the_runs_without_running_them(tmp_path: Path) -> None:
    words = ["study", "losses", "--data", str(tmp_path), "--list"]
    shown = CliRunner().invoke(main, words, catch_exceptions=False)
    assert all(f"  {loss}\n" in shown.output for loss in losses.LOSSES)
    assert not list(tmp_path.iterdir())
    with pytest.raises(SettingError, match="--out"):
        CliRunner().invoke(main, words[:-1], catch_exceptions=False)


def outcome(tmp_path: Path, done: Trial, matrices: dict[str, np.ndarray]) -> Outcome:
    state = fresh_state(done.recipe, done.settings, device="cpu")
    tensors = {name: value.numpy() for name, value in state.model.state_dict().items()}
    path = tmp_path / f"{done.name}.safetensors"
    write_checkpoint(done.recipe.checkpoint(tensors, provenance={}, accuracy={}), path)
    return Outcome(
        trial=done,
        checkpoint=read_checkpoint(path),
        path=path,
        matrices=matrices,
        seconds=1.0,
        loss=(0.25, 0.125),
    )


def test_the_loss_table_equals_one_made_by_hand(tmp_path: Path) -> None:
    matrix = np.zeros((11, 11), np.int64)
    matrix[0, 0], matrix[1, 1], matrix[6, 6], matrix[6, 0], matrix[8, 0] = 700, 200, 30, 50, 20
    text = losses.report([outcome(tmp_path, trial("dice"), {"val": matrix})], tmp_path, 1)
    headings, _, row, shares = text.splitlines()
    cells = dict(
        zip(
            (cell.strip() for cell in headings.split("|")),
            (cell.strip() for cell in row.split("|")),
            strict=True,
        )
    )
    assert cells["loss"] == "`dice`"
    assert cells["nose"] == f"{60 / 110:.3f}"
    assert cells["inner-mouth"] == "0.000"
    assert cells["left-eye"] == "absent"
    assert cells["overall"] == f"{60 / 130:.3f}"
    assert cells["file"].endswith(" MB")
    assert "| 70% |" in shares
    assert "| 2% |" in shares


def test_the_augmentation_tables_equal_ones_made_by_hand(tmp_path: Path) -> None:
    matrix = np.diag([10, 10, 10, 10, 0, 0]).astype(np.int64)
    matrix[3, 1] = 10
    done = dataclasses.replace(trial("a"), cells={"learns from": "V2", "augmentation": "full"})
    matrices = {"v2-val": matrix, "v3-val": np.eye(6, dtype=np.int64)}
    first, second = augmentation.report([outcome(tmp_path, done, matrices)], tmp_path, 1).split(
        "On the held-out training names of V3"
    )
    assert len(FASSEG) == 6
    f1 = [1, 20 / 30, 1, 20 / 30]
    assert f"| absent | absent | {np.mean(f1):.3f} | {(1 + 0.5 + 1 + 0.5) / 4:.3f} |" in first
    assert "| 1.000 | 1.000 | 0.250, 0.125 |" in second
    assert "| V2 | full |" in first


def test_the_architecture_table_and_plot_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    times = [(1.5, 0.75), (3.0, 2.0)]
    monkeypatch.setattr(architectures, "latencies", lambda checkpoints, threads: times)
    matrix = {"val": np.eye(11, dtype=np.int64)}
    done = [
        outcome(tmp_path, dataclasses.replace(trial(name), cells={"network": name}), matrix)
        for name in ("small", "large")
    ]
    text = architectures.report(done, tmp_path, 2)
    small = text.splitlines()[2]
    assert small.startswith("| small | 0.12 | ")
    assert small.endswith(" | 1.5 | 0.8 | 1.0000 | 1.0000 | 0.125 |")
    assert "2 threads" in text
    assert (tmp_path / "architectures.png").read_bytes()[1:4] == b"PNG"
    assert len(HELEN) == 11


def test_every_network_is_timed_and_a_missing_backend_is_nan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from rtseg import backends
    from rtseg.backends.base import Backend, Crops, ProbabilityBatch

    calls: list[tuple[str, str]] = []

    class Fake(Backend):
        def __init__(self, model: Path) -> None:
            self.stem = model.stem
            assert model.with_suffix(".onnx").exists()

        def infer(self, crops: Crops) -> ProbabilityBatch:
            calls.append((self.stem, str(crops.shape)))
            return np.zeros((1, 1, 1, 1), np.float32)

        def close(self) -> None:
            calls.append((self.stem, "closed"))

    def opened(name: str, *, model: Path, **options: object) -> Backend:
        if name == "openvino":
            raise BackendError("not installed")
        return Fake(model)

    def exported(checkpoint: Checkpoint, path: Path) -> None:
        weights = read_checkpoint(path.with_suffix(".safetensors"))
        assert checkpoint.digest == weights.digest  # backends refuse a file of other weights
        path.touch()

    monkeypatch.setattr(backends, "open_backend", opened)
    monkeypatch.setattr("rtseg.export.onnx.write_onnx", exported)
    recipe = recipe_of("helen-unet").with_options(["width=4"]).with_input(32, 32)
    state = fresh_state(recipe, recipe.settings, device="cpu")
    tensors = {name: value.numpy() for name, value in state.model.state_dict().items()}
    checkpoint = recipe.checkpoint(tensors, provenance={}, accuracy={})
    times = architectures.latencies([checkpoint, checkpoint], threads=1, rounds=1)
    assert all(0 <= torch_ms < 1000 and np.isnan(openvino) for torch_ms, openvino in times)
    assert calls[:3] == [("0", "(1, 32, 32, 3)"), ("1", "(1, 32, 32, 3)"), ("0", "(1, 32, 32, 3)")]
    assert {("0", "closed"), ("1", "closed")} <= set(calls)


def test_macs_equal_a_value_computed_by_hand() -> None:
    recipe = recipe_of("face-parts")
    checkpoint = recipe.checkpoint({}, provenance={}, accuracy={})
    assert architectures.multiplications(checkpoint) / 1e9 == pytest.approx(0.92, abs=0.005)
