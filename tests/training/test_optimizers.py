"""Optimizers by name, frozen encoders, and ImageNet weights that cannot be downloaded."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from rtseg.errors import SettingError
from rtseg.models import build_model
from training import encoder_weights
from training.encoder_weights import load_imagenet
from training.optimizers import encoder_of, freeze, make_optimizer


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("adamw", torch.optim.AdamW),
        ("adam", torch.optim.Adam),
        ("sgd", torch.optim.SGD),
        ("adagrad", torch.optim.Adagrad),
    ],
)
def test_each_optimizer_is_pytorchs_and_learns(
    name: str, kind: type[torch.optim.Optimizer]
) -> None:
    model = small()
    optimizer = make_optimizer(
        name,  # type: ignore[arg-type]
        model,
        learning_rate=0.05,
        momentum=0.8,
        beta2=0.98,
        weight_decay=0.1,
    )
    assert type(optimizer) is kind
    first = optimizer.param_groups[0]
    if "betas" in first:
        assert first["betas"] == (0.8, 0.98)
    if name == "sgd":
        assert first["momentum"] == 0.8
    inputs = torch.randn(16, 3, generator=torch.Generator().manual_seed(1))
    wanted = (inputs[:, 0] > 0).long()
    losses = []
    for _ in range(60):
        loss = nn.functional.cross_entropy(model(inputs), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def test_only_matrices_decay() -> None:
    optimizer = make_optimizer(
        "adamw", small(), learning_rate=1.0, momentum=0.9, beta2=0.99, weight_decay=0.5
    )
    decays = {
        parameter.ndim: group["weight_decay"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert decays == {2: 0.5, 1: 0.0}


def test_a_frozen_encoder_does_not_move() -> None:
    pytest.importorskip("torchvision")
    model = build_model("deeplab-cut", classes=3, options={}).train()
    freeze(encoder_of(model))
    before = {k: v.clone() for k, v in encoder_of(model).state_dict().items()}
    optimizer = make_optimizer(
        "sgd", model, learning_rate=0.1, momentum=0.9, beta2=0.99, weight_decay=0.1
    )
    model(torch.randn(2, 3, 32, 32)).square().mean().backward()
    optimizer.step()
    after = encoder_of(model).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)  # statistics too
    assert not encoder_of(model).training
    moved = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert moved == {id(p) for n, p in model.named_parameters() if not n.startswith("encoder.")}


def test_a_network_without_an_encoder_is_refused() -> None:
    with pytest.raises(SettingError, match="UNet has no encoder"):
        encoder_of(build_model("unet", classes=2, options={"width": 4}))


def test_offline_imagenet_weights_are_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    models = pytest.importorskip("torchvision").models

    def offline(**options: object) -> nn.Module:
        raise OSError("<urlopen error [Errno -3] Temporary failure in name resolution>")

    monkeypatch.setattr(models, "resnet50", offline)
    model = nn.Module()
    model.encoder = nn.Conv2d(3, 4, 1)
    with pytest.raises(SettingError, match=r"name resolution.*--encoder-weights none") as caught:
        load_imagenet(model, "fcn32s", {})
    assert "\n" not in str(caught.value)


def test_a_librarys_weights_are_loaded_into_the_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    models = pytest.importorskip("torchvision").models
    model = build_model("deeplab-cut", classes=3, options={})
    torch.manual_seed(5)
    source = models.resnet50(weights=None)  # stands for the downloaded one
    monkeypatch.setattr(models, "resnet50", lambda weights: source)
    said = load_imagenet(model, "deeplab-cut", {})
    assert "ImageNet" in said
    expected = source.state_dict()
    state = encoder_of(model).state_dict()
    assert all(torch.equal(expected[name], value) for name, value in state.items())


def test_weights_that_do_not_fit_are_refused() -> None:
    with pytest.raises(SettingError, match="'weight' is missing"):
        encoder_weights._copy(nn.ReLU(), nn.Conv2d(3, 4, 1, bias=False))
