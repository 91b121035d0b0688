"""What a run learns from other networks: their mean opinion, of pictures and mirror images."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from rtseg.checkpoint import Checkpoint, ModelSpec, read_checkpoint, write_checkpoint
from rtseg.errors import ModelError, SettingError
from rtseg.labels import LabelSet
from rtseg.models import build_model, create_model
from tests.training.test_trainer import RECIPE, run
from training.distributed import Group
from training.recipes.base import TrainingData
from training.settings import FitSettings
from training.teachers import Teachers

SIDES = LabelSet(
    name="sides",
    names=("rest", "left-eye", "right-eye"),
    colours=((0, 0, 0), (255, 0, 0), (0, 0, 255)),
    flip_pairs=((1, 2),),
)
SPEC = ModelSpec(
    architecture="unet",
    options={"width": 4, "levels": 2},
    label_set=SIDES,
    input_height=32,
    input_width=32,
    fit="stretch",
    stride=1,
    terms="none",
)
INPUTS = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def teacher(folder: Path, seed: int, **changes: object) -> Path:
    spec = dataclasses.replace(SPEC, **changes)  # type: ignore[arg-type]
    torch.manual_seed(seed)
    model = build_model(spec.architecture, classes=len(spec.label_set), options=spec.options)
    tensors = {name: value.numpy() for name, value in model.state_dict().items()}
    path = folder / f"teacher-{seed}.safetensors"
    write_checkpoint(Checkpoint(spec=spec, tensors=tensors), path)
    return path


def opinion(path: Path, inputs: torch.Tensor) -> torch.Tensor:
    model = create_model(read_checkpoint(path)).eval()
    with torch.no_grad():
        return model(inputs).softmax(1)


def test_the_opinion_is_the_mean_of_pictures_and_mirror_images_in_turns(tmp_path: Path) -> None:
    paths = [teacher(tmp_path, seed) for seed in (1, 2)]
    teachers = Teachers(paths, spec=SPEC, device="cpu")
    plain = [opinion(path, INPUTS) for path in paths]
    mirrored = [opinion(path, INPUTS.flip(3)).flip(3)[:, [0, 2, 1]] for path in paths]
    assert (plain[0] - mirrored[0]).abs().max() > 0.01  # these networks are not symmetric
    for step, expected in (
        (0, plain[0] + mirrored[1]),
        (1, mirrored[0] + plain[1]),
        (2, plain[0] + mirrored[1]),
    ):
        torch.testing.assert_close(teachers(INPUTS, step=step), expected / 2)


def test_without_teachers_there_is_no_opinion() -> None:
    assert Teachers((), spec=SPEC, device="cpu")(INPUTS, step=0) is None


def test_a_network_of_another_kind_is_no_teacher(tmp_path: Path) -> None:
    other = dataclasses.replace(SIDES, names=("rest", "eye", "ear"), flip_pairs=())
    for seed, changes in enumerate(
        ({"label_set": other}, {"mean": (0.0, 0.0, 0.0)}, {"stride": 4})
    ):
        path = teacher(tmp_path, seed, **changes)
        with pytest.raises(SettingError, match=f"`teachers_from`: .*{path.name} is a network with"):
            Teachers([path], spec=SPEC, device="cpu")


@pytest.mark.parametrize("setting", ["teachers_from", "answers_from", "start_from"])
def test_a_network_that_is_not_there_is_named_before_the_data_are_loaded(
    tmp_path: Path, setting: str
) -> None:
    missing = tmp_path / "missing.safetensors"

    def training(data: Path, settings: FitSettings) -> TrainingData:
        raise AssertionError("the data were loaded")

    recipe = dataclasses.replace(RECIPE, training=training)
    with pytest.raises(ModelError, match=r"missing\.safetensors"):
        run(
            tmp_path / "run",
            recipe=recipe,
            **{setting: (missing,) if setting == "teachers_from" else missing},
        )
    assert not (tmp_path / "run").exists()


def weights(path: Path) -> np.ndarray:
    return read_checkpoint(path).tensors["head.2.weight"].astype(np.float32)


def test_a_run_learns_from_its_teachers_as_much_as_is_asked(tmp_path: Path) -> None:
    taught = run(tmp_path / "teacher", epochs=3)
    alone = run(tmp_path / "alone", epochs=1)
    ignoring = run(tmp_path / "ignoring", epochs=1, teachers_from=(taught,), teaching=0.0)
    np.testing.assert_array_equal(weights(ignoring), weights(alone))
    listening = run(tmp_path / "listening", epochs=1, teachers_from=(taught,), teaching=5.0)
    assert np.abs(weights(listening) - weights(alone)).max() > 0.01
    provenance = read_checkpoint(listening).spec.provenance
    assert [one["epochs"] for one in provenance["teachers_from"]] == [3.0]
    assert "teachers_from" not in read_checkpoint(alone).spec.provenance


def test_teachers_see_clearly_what_the_network_sees_in_poor_light(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught = run(tmp_path / "teacher", epochs=1)
    shown: list[torch.Tensor] = []
    seen: list[torch.Tensor] = []
    opinion, build = Teachers.__call__, Group.wrapped

    def noting_opinion(self: Teachers, inputs: torch.Tensor, *, step: int) -> torch.Tensor | None:
        shown.append(inputs.clone())
        return opinion(self, inputs, step=step)

    def noting_inputs(self: Group, model: torch.nn.Module) -> torch.nn.Module:
        model.register_forward_pre_hook(lambda _, args: seen.append(args[0].clone()))
        return build(self, model)

    monkeypatch.setattr(Teachers, "__call__", noting_opinion)
    monkeypatch.setattr(Group, "wrapped", noting_inputs)
    run(tmp_path / "run", epochs=1, teachers_from=(taught,), low_light=0.5)
    # the network is also looked at in evaluations, after the steps
    pairs = [
        (clear[index], dim[index])
        for clear, dim in zip(shown, seen, strict=False)
        for index in range(len(clear))
    ]
    alike = [torch.equal(clear, dim) for clear, dim in pairs]
    assert len(pairs) == 24
    assert 4 < sum(alike) < 20


def test_a_run_with_poor_light_is_the_same_again_and_another_without(tmp_path: Path) -> None:
    first = weights(run(tmp_path / "first", epochs=1, low_light=0.5))
    again = weights(run(tmp_path / "again", epochs=1, low_light=0.5))
    without = weights(run(tmp_path / "without", epochs=1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - without).max() > 1e-4


def test_a_run_with_teachers_is_resumed(tmp_path: Path) -> None:
    taught = run(tmp_path / "teacher", epochs=1)
    before = weights(run(tmp_path / "run", epochs=1, teachers_from=(taught,)))
    again = run(tmp_path / "run", epochs=1, teachers_from=(taught,), resume=True)
    np.testing.assert_array_equal(weights(again), before)
    with pytest.raises(SettingError, match="started with teachers_from="):
        run(tmp_path / "run", epochs=1, resume=True)
