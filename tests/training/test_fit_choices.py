"""The settings of a run: every one changes what it should, and nothing else."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from rtseg.checkpoint import ModelSpec, read_checkpoint
from rtseg.errors import SettingError, SourceError
from rtseg.frames import Image, LabelMap
from rtseg.labels import LabelSet
from training.data.base import Sample
from training.recipes.base import Recipe
from training.recipes.pictures import learn_from
from training.settings import FitSettings
from training.trainer import fit

SHADES = LabelSet(name="shades", names=("dark", "light"), colours=((0, 0, 0), (255, 255, 255)))


class Halves:
    """Pictures that are half dark and half light; some of them are broken."""

    label_set = SHADES

    def __init__(self, count: int = 8, broken: tuple[int, ...] = ()) -> None:
        self.names = tuple(map(str, range(count)))
        self.broken = broken

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        if index in self.broken:
            raise SourceError(f"picture-{index}.jpg: is not a picture")
        labels = np.zeros((32, 32), np.uint8)
        labels[:, 8 + 2 * index :] = 1
        image = np.where(labels[:, :, None] == 1, np.uint8(190), np.uint8(50))
        return Sample(name=str(index), image=np.repeat(image, 3, axis=2), labels=labels)


SETTINGS = FitSettings(
    epochs=3,
    batch=4,
    learning_rate=0.01,
    precision="fp32",
    loss="cross-entropy",
    loss_step=1,
    average=0.0,
    workers=0,
    save_minutes=1000.0,
    evaluate_every=100,
)


def recipe(
    dataset: Halves | None = None, *, architecture: str = "unet", **options: object
) -> Recipe:
    shown = dataset or Halves()
    if architecture == "unet":
        options = {"width": 4, "levels": 2, **options}
    return Recipe(
        name="halves",
        summary="a test",
        spec=ModelSpec(
            architecture=architecture,
            options=options,
            label_set=SHADES,
            input_height=32,
            input_width=32,
            fit="stretch",
            stride=1,
            terms="none",
        ),
        settings=SETTINGS,
        training=lambda data, settings: learn_from(
            shown, settings, height=32, width=32, fit="stretch", description="halves"
        ),
        evaluation=lambda data, split: Halves(),
        downloads=lambda data: {},
    )


def weights(
    folder: Path, chosen: Recipe | None = None, *, resume: bool = False, **changes: object
) -> dict[str, torch.Tensor]:
    settings = dataclasses.replace(SETTINGS, **changes)  # type: ignore[arg-type]
    fit(
        chosen or recipe(),
        data=Path(),
        out=folder,
        settings=settings,
        command="test",
        resume=resume,
    )
    saved: dict[str, torch.Tensor] = torch.load(folder / "state.pt", weights_only=True)["model"]
    return saved


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """The result of one epoch without any change."""
    return weights(tmp_path_factory.mktemp("plain"), epochs=1)


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": "sgd"},
        {"optimizer": "adagrad"},
        {"optimizer": "adam"},
        {"schedule": "constant"},
        {"schedule": "poly"},
        {"schedule": "step", "cuts": (0.5,)},
        {"schedule": "cosine-restarts", "restart_epochs": 1.0},
        {"cycle_momentum": True},
        {"loss": "focal"},
        {"loss": "weighted-cross-entropy"},
        {"sampling": "class-balanced"},
        {"augmentation": "flip"},
        {"augmentation": "full"},
        {"precision": "bf16"},
        {"accumulate": 2},
        {"clip": 1e-3},
        {"momentum": 0.5},
    ],
    ids=str,
)
def test_every_choice_takes_effect(
    change: dict[str, object], plain: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    other = weights(tmp_path, epochs=1, **change)
    assert not same(plain, other)
    assert all(value.isfinite().all() for value in other.values())


def test_accumulation_equals_the_whole_batch_except_for_batch_norm(tmp_path: Path) -> None:
    changes = {"optimizer": "sgd", "momentum": 0.0, "schedule": "constant", "clip": 0.0}

    class NoNorm(torch.nn.Module):
        def __init__(self, *, classes: int) -> None:
            super().__init__()
            self.layer = torch.nn.Conv2d(3, classes, 3, padding=1)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.layer(images)

    from rtseg import models

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "ARCHITECTURES", {**models.ARCHITECTURES, "no-norm": NoNorm})
        plain = recipe(architecture="no-norm")
        one = weights(tmp_path / "one", plain, **changes)
        parts = weights(tmp_path / "parts", plain, accumulate=4, **changes)
    for name in one:
        torch.testing.assert_close(one[name], parts[name], rtol=1e-4, atol=1e-5)


def test_dropout_resumes_bit_for_bit(tmp_path: Path) -> None:
    chosen = recipe(architecture="fasseg-fcn", dropout=0.5)

    changes = {"epochs": 3, "augmentation": "flip"}
    whole = weights(tmp_path / "whole", chosen, **changes)
    stopped = dataclasses.replace(
        chosen,
        training=lambda data, settings: dataclasses.replace(
            chosen.training(data, settings), views=_Counted(chosen.training(data, settings).views)
        ),
    )
    with pytest.raises(KeyboardInterrupt):
        weights(tmp_path / "parts", stopped, save_minutes=0.0, **changes)
    assert 0 < torch.load(tmp_path / "parts/state.pt", weights_only=True)["step"] < 6
    assert same(whole, weights(tmp_path / "parts", chosen, resume=True, **changes))


class _Counted:
    """Views that are interrupted."""

    def __init__(self, views: object, stop: int = 14) -> None:
        self.views, self.stop = views, stop

    def __getitem__(self, index: int) -> tuple[Image, LabelMap]:
        if index >= self.stop:
            raise KeyboardInterrupt
        return self.views[index]  # type: ignore[index,no-any-return]


def test_broken_pictures_end_a_run_with_their_name(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"picture-3\.jpg.*--skip-broken") as caught:
        weights(tmp_path / "run", recipe(Halves(broken=(3,))))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("workers", [0, 1])
def test_broken_pictures_are_skipped_and_counted_on_request(tmp_path: Path, workers: int) -> None:
    weights(tmp_path, recipe(Halves(broken=(3, 5))), skip_broken=True, epochs=2, workers=workers)
    provenance = read_checkpoint(tmp_path / "model.safetensors").spec.provenance
    assert [line.partition(":")[0] for line in provenance["skipped"]] == [
        "picture-3.jpg",
        "picture-5.jpg",
    ]
    log = (tmp_path / "log.jsonl").read_text()
    assert log.count('"event": "broken"') == 2


def test_a_skipping_run_with_only_broken_pictures_ends(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="20 views in a row are broken"):
        weights(tmp_path, recipe(Halves(broken=tuple(range(8)))), skip_broken=True)


def test_the_best_checkpoint_is_kept_on_request(tmp_path: Path) -> None:
    changes = {"epochs": 8, "evaluate_every": 1, "learning_rate": 0.05, "optimizer": "sgd"}
    weights(tmp_path, keep="best", **changes)
    import json

    events = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    scores = [event["mean_iou"] for event in events if "mean_iou" in event]
    kept = read_checkpoint(tmp_path / "model.safetensors").spec.provenance["epochs"]
    assert scores[min(int(kept), len(scores)) - 1] == max(scores)


def test_freezing_needs_an_encoder(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="no encoder"):
        weights(tmp_path, freeze_encoder=True)


def test_a_frozen_encoder_does_not_change(tmp_path: Path) -> None:
    pytest.importorskip("segmentation_models_pytorch")
    chosen = recipe(architecture="smp-fpn", encoder_name="mobilenet_v2")
    chosen = dataclasses.replace(chosen, spec=dataclasses.replace(chosen.spec, stride=4))
    first = weights(tmp_path / "first", chosen, epochs=1, freeze_encoder=True)
    second = weights(tmp_path / "second", chosen, epochs=2, freeze_encoder=True)
    moved = {name for name in first if not torch.equal(first[name], second[name])}
    assert moved
    assert not any(name.startswith("encoder.") for name in moved)


def test_the_input_size_reaches_views_and_checkpoint(tmp_path: Path) -> None:
    weights(tmp_path, input_height=16, input_width=48, epochs=1)
    checkpoint = read_checkpoint(tmp_path / "model.safetensors")
    assert (checkpoint.spec.input_height, checkpoint.spec.input_width) == (16, 48)


def test_a_state_of_another_version_is_reported(tmp_path: Path) -> None:
    torch.save({"model": {}, "step": 3}, tmp_path / "state.pt")
    with pytest.raises(SettingError, match="another version"):
        weights(tmp_path, resume=True)
    (tmp_path / "state.pt").write_bytes(b"nothing")
    with pytest.raises(SettingError, match="not a saved state"):
        weights(tmp_path, resume=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optimizer=lion", "allowed: adamw, adam, sgd, adagrad"),
        ("schedule=linear", "allowed: one-cycle"),
        ("loss=hinge", "'hinge' is not a loss"),
        ("freeze_encoder=yes", "takes true or false"),
        ("cuts=0.5,1.5", "`cuts`: .* allowed: between 0 and 1"),
        ("cuts=half", "numbers and commas"),
        ("accumulate=3", "does not divide `batch` 16"),
        ("sampling=rare", "allowed: uniform, class-balanced"),
        ("momentum=1", "allowed: 0 to less than 1"),
        ("power=0", "`power`: 0.0 .* allowed: more than 0"),
        ("clip=-1", "`clip`: -1.0 .* allowed: 0 or more"),
    ],
)
def test_bad_choices_are_one_clear_line(text: str, message: str) -> None:
    with pytest.raises(SettingError, match=message) as caught:
        FitSettings().changed([text])
    assert "\n" not in str(caught.value)
    assert FitSettings().changed(["cuts=0.25, 0.5"]).cuts == (0.25, 0.5)
    assert FitSettings().changed(["freeze-encoder=true"]).freeze_encoder
