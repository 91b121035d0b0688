"""A tiny network on tiny views: it learns, resumes bit for bit, and its checkpoint loads."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from rtseg.checkpoint import ModelSpec, read_checkpoint
from rtseg.errors import RtsegError, SettingError, SinkError
from rtseg.frames import Image, LabelMap
from rtseg.labels import LabelSet
from rtseg.models import create_model
from training.data.base import Sample
from training.recipes.base import Recipe, TrainingData
from training.settings import FitSettings
from training.trainer import fit

SHADES = LabelSet(name="shades", names=("dark", "light"), colours=((0, 0, 0), (255, 255, 255)))


class Halves:
    """One half dark, the other light, with a random border."""

    label_set = SHADES
    names = ("a", "b")

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __len__(self) -> int:
        return 2

    def view(self, index: int) -> tuple[Image, LabelMap]:
        rng = np.random.default_rng((self.seed, index))
        labels = np.zeros((64, 64), np.uint8)
        labels[:, int(rng.integers(16, 48)) :] = 1
        image = np.where(labels[:, :, None] == 1, np.uint8(200), np.uint8(40))
        return np.repeat(image, 3, axis=2), labels


class HalfViews(Halves):
    def __getitem__(self, index: int) -> tuple[Image, LabelMap]:
        return self.view(index)


class HalfSamples(Halves):
    def __getitem__(self, index: int) -> Sample:
        image, labels = self.view(index)
        return Sample(name=self.names[index], image=image, labels=labels)


SETTINGS = FitSettings(
    epochs=4, batch=4, precision="fp32", workers=0, average=0.5, learning_rate=0.02
)

RECIPE = Recipe(
    name="halves",
    summary="a test",
    spec=ModelSpec(
        architecture="residual-pyramid",
        options={"stem": 8, "widths": [8, 8, 8, 8], "depths": [1, 1, 1, 1], "pyramid": 8},
        label_set=SHADES,
        input_height=64,
        input_width=64,
        terms="none",
        fit="letterbox",
    ),
    settings=SETTINGS,
    training=lambda data, settings: TrainingData(views=HalfViews(settings.seed), pictures=24),
    evaluation=lambda data, split: HalfSamples(99),
    downloads=lambda data: {},
)


def run(out: Path, *, resume: bool = False, recipe: Recipe = RECIPE, **changes: object) -> Path:
    settings = dataclasses.replace(SETTINGS, **changes)  # type: ignore[arg-type]
    return fit(recipe, data=Path(), out=out, settings=settings, command="test", resume=resume)


def tensors(path: Path) -> dict[str, torch.Tensor]:
    saved = torch.load(path / "state.pt", weights_only=True)
    return {**saved["model"], **{f"average.{k}": v for k, v in saved["average"].items()}}


def test_a_run_learns_and_its_checkpoint_loads(tmp_path: Path):
    path = run(tmp_path / "run", epochs=6)
    checkpoint = read_checkpoint(path)
    assert checkpoint.spec.label_set == SHADES
    assert checkpoint.spec.provenance["recipe"] == "halves"
    assert checkpoint.spec.provenance["epochs"] == 6
    assert checkpoint.spec.accuracy["f1"]["light"] > 0.95
    assert checkpoint.tensors["head.2.weight"].dtype == np.float16
    model = create_model(checkpoint)
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 2, 16, 16)
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    assert events[-1]["event"] == "end"
    assert events[-1]["f1"] == checkpoint.spec.accuracy["f1"]


def test_the_same_seed_gives_the_same_weights_with_any_number_of_workers(tmp_path: Path):
    run(tmp_path / "a", epochs=1)
    run(tmp_path / "b", epochs=1, workers=1)
    first, second = tensors(tmp_path / "a"), tensors(tmp_path / "b")
    assert all(torch.equal(first[name], second[name]) for name in first)
    run(tmp_path / "c", epochs=1, seed=1)
    third = tensors(tmp_path / "c")
    assert not all(torch.equal(first[name], third[name]) for name in first)


class StoppingViews(HalfViews):
    """Fails after some views, as in a power cut."""

    def __getitem__(self, index: int) -> tuple[Image, LabelMap]:
        if index >= 4 * 13:
            raise KeyboardInterrupt
        return super().__getitem__(index)


def test_a_resumed_run_ends_with_the_same_weights_bit_for_bit(tmp_path: Path):
    run(tmp_path / "whole")
    stopped = dataclasses.replace(
        RECIPE,
        training=lambda data, settings: TrainingData(
            views=StoppingViews(settings.seed), pictures=24
        ),
    )
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", recipe=stopped, save_minutes=0.0)
    assert torch.load(tmp_path / "parts" / "state.pt", weights_only=True)["step"] == 13
    run(tmp_path / "parts", resume=True)
    whole, parts = tensors(tmp_path / "whole"), tensors(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    models = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "parts")]
    assert models[0] == models[1]


def test_a_run_is_not_overwritten_and_not_resumed_with_other_settings(tmp_path: Path):
    run(tmp_path, epochs=1)
    with pytest.raises(SinkError, match="--resume"):
        run(tmp_path, epochs=1)
    with pytest.raises(SettingError, match="epochs=1, not 2"):
        run(tmp_path, epochs=2, resume=True)


def as_0_1_wrote_it(path: Path, **settings: object) -> None:
    """Make a saved state like those of the previous version."""
    saved = torch.load(path, weights_only=True)
    average = saved["average"]
    assert average.pop("n_averaged") == saved["step"]
    saved["average"] = {name.removeprefix("module."): v for name, v in average.items()}
    saved["settings"] |= {"minutes": 0.0, "seeds": 1, "restart_factor": 2.0, **settings}
    for group in saved["optimizer"]["param_groups"]:
        for name in ("initial_lr", "max_lr", "min_lr"):
            group.pop(name, None)
    torch.save(saved, path)


def test_a_state_of_0_1_resumes_identically(tmp_path: Path):
    run(tmp_path / "whole")
    stopped = dataclasses.replace(
        RECIPE,
        training=lambda data, settings: TrainingData(
            views=StoppingViews(settings.seed), pictures=24
        ),
    )
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", recipe=stopped, save_minutes=0.0)
    as_0_1_wrote_it(tmp_path / "parts" / "state.pt")
    run(tmp_path / "parts", resume=True)
    whole, parts = tensors(tmp_path / "whole"), tensors(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_state_of_0_1_with_the_clock_schedule_is_refused(tmp_path: Path):
    run(tmp_path, epochs=1)
    as_0_1_wrote_it(tmp_path / "state.pt", minutes=30.0)
    with pytest.raises(SettingError, match=r"minutes=30\.0, which this version does not have"):
        run(tmp_path, epochs=1, resume=True)


def test_a_run_can_start_from_a_checkpoint(tmp_path: Path):
    first = run(tmp_path / "first", epochs=1)
    run(tmp_path / "second", epochs=1, start_from=first, learning_rate=1e-9, warm_up=0.0)
    start = read_checkpoint(first).tensors["head.2.weight"].astype(np.float32)
    end = tensors(tmp_path / "second")["head.2.weight"].numpy()
    np.testing.assert_allclose(start, end, atol=1e-6)


def test_a_run_can_end_with_the_mean_of_its_start_and_end(tmp_path: Path):
    first = run(tmp_path / "first", epochs=1)
    second = run(tmp_path / "end", epochs=1, start_from=first)
    third = run(tmp_path / "mean", epochs=1, start_from=first, start_share=0.25)
    start, end, mean = (read_checkpoint(path).tensors for path in (first, second, third))
    moved = 0.0
    for name, value in start.items():
        if value.dtype != np.float16:
            continue  # a counter of batches
        before, after = value.astype(np.float32), end[name].astype(np.float32)
        expected = 0.25 * before + 0.75 * after
        np.testing.assert_allclose(mean[name].astype(np.float32), expected, rtol=2e-3, atol=2e-3)
        moved = max(moved, float(np.abs(before - after).max()))
    assert moved > 0.05


def test_a_resumed_run_ends_with_the_same_mean(tmp_path: Path):
    first = run(tmp_path / "first", epochs=1)
    out = tmp_path / "mean"
    before = read_checkpoint(run(out, epochs=1, start_from=first, start_share=0.25))
    after = read_checkpoint(run(out, epochs=1, start_from=first, start_share=0.25, resume=True))
    for name, value in before.tensors.items():
        np.testing.assert_array_equal(after.tensors[name], value)


def test_a_mean_with_the_start_needs_weights_to_start_from(tmp_path: Path):
    with pytest.raises(SettingError, match="set `start_from` too"):
        run(tmp_path, epochs=1, start_share=0.25)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path):
    first = run(tmp_path / "first", epochs=1)
    wider = RECIPE.with_spec(options={**RECIPE.spec.options, "stem": 16})
    with pytest.raises(SettingError, match="holds another network"):
        run(tmp_path / "second", recipe=wider, start_from=first)
    again = run(tmp_path / "third", epochs=1, start_from=first)
    assert read_checkpoint(again).spec.provenance["started_from"]["recipe"] == "halves"


def test_a_loss_of_nan_ends_the_run(tmp_path: Path):
    with pytest.raises(RtsegError, match="learning rate"):
        run(tmp_path, learning_rate=1e30, clip=1e30, epochs=20)
