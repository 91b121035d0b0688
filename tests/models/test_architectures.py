"""One contract for all architectures, and the published parameter counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from rtseg.checkpoint import Checkpoint, ModelSpec, read_checkpoint, write_checkpoint
from rtseg.errors import ModelError
from rtseg.labels import BDD_DRIVABLE
from rtseg.models import ARCHITECTURES, build_model, create_model
from rtseg.models.library import SMP, TORCHVISION
from rtseg.models.residual_pyramid import ResidualPyramid

CLASSES = len(BDD_DRIVABLE)


@dataclass(frozen=True, kw_only=True)
class Case:
    """An architecture at a size that is small enough for a test."""

    architecture: str
    stride: int
    options: Mapping[str, Any] = field(default_factory=dict)
    height: int = 32
    width: int = 64


CASES = (
    Case(
        architecture="residual-pyramid",
        stride=4,
        options={"stem": 8, "widths": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "pyramid": 16},
    ),
    Case(
        architecture="residual-pyramid",
        stride=2,
        options={
            "stem": 8,
            "widths": [8, 8, 16, 16],
            "depths": [1, 1, 1, 1],
            "pyramid": 16,
            "fine": 8,
        },
    ),
    Case(architecture="lite-pyramid", stride=2, options={"pyramid": 16, "fine": 8}),
    Case(architecture="lite-pyramid", stride=4, options={"pyramid": 16, "fine": 0}),
    Case(
        architecture="face-finder",
        stride=8,
        options={"stem": [4, 8], "widths": [8, 8, 16], "depths": [1, 1, 1], "pyramid": 8},
    ),
    Case(architecture="unet", stride=1, options={"width": 4, "slope": 0.05}),
    Case(architecture="fasseg-fcn", stride=1),
    Case(architecture="deeplab-cut", stride=4),
    Case(architecture="fcn32s", stride=4),
    Case(architecture="pspnet", stride=8),
    Case(architecture="smp-unet", stride=1, options={"encoder_name": "resnet18"}),
    Case(
        architecture="smp-unetplusplus",
        stride=1,
        options={
            "encoder_name": "resnet18",
            "encoder_depth": 3,
            "decoder_channels": [32, 16, 8],
        },
    ),
    Case(architecture="smp-fpn", stride=4, options={"encoder_name": "mobilenet_v2"}),
    Case(
        architecture="smp-deeplabv3plus",
        stride=4,
        options={
            "encoder_name": "resnet18",
            "encoder_output_stride": 8,
            "decoder_atrous_rates": [12, 24, 36],
        },
    ),
    Case(architecture="smp-segformer", stride=4, options={"encoder_name": "mit_b0"}),
    Case(architecture="torchvision-fcn-resnet50", stride=8),
    Case(architecture="torchvision-deeplabv3-resnet50", stride=8),
    Case(architecture="torchvision-deeplabv3-mobilenet-v3", stride=16),
)


def require_library(architecture: str) -> None:
    """Skip if the architecture's library is not installed."""
    if architecture in SMP:
        pytest.importorskip("segmentation_models_pytorch")
    if architecture in TORCHVISION or architecture in ("deeplab-cut", "fcn32s", "pspnet"):
        pytest.importorskip("torchvision")


def built(architecture: str, **options: Any) -> nn.Module:
    require_library(architecture)
    torch.manual_seed(0)
    return build_model(architecture, classes=CLASSES, options=options)


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_every_architecture_has_a_case() -> None:
    assert {case.architecture for case in CASES} == set(ARCHITECTURES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.architecture)
def test_outputs_have_the_promised_shape(case: Case, tmp_path: Path) -> None:
    model = built(case.architecture, **case.options).eval()
    declared = getattr(model, "stride", case.stride)
    assert declared == case.stride
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(2, 3, case.height, case.width, generator=generator)
    with torch.inference_mode():
        logits = model(images)
        alone = model(images[1:])
    assert logits.shape == (2, CLASSES, case.height // case.stride, case.width // case.stride)
    assert logits.isfinite().all()
    assert logits.std() > 0
    # evaluation is deterministic, and a picture's result does not depend on its batch
    torch.testing.assert_close(alone, logits[1:], rtol=1e-3, atol=1e-4)
    with torch.inference_mode():
        assert torch.equal(model(images), logits)
    # through a checkpoint and back: the same network, built without the libraries' own weights
    checkpoint = Checkpoint(
        spec=ModelSpec(
            architecture=case.architecture,
            options=case.options,
            label_set=BDD_DRIVABLE,
            input_height=case.height,
            input_width=case.width,
            stride=case.stride,
            view="frame",
        ),
        tensors={name: value.numpy() for name, value in model.state_dict().items()},
    )
    if parameters(model) < 5e6:
        write_checkpoint(checkpoint, tmp_path / "model.safetensors")
        checkpoint = read_checkpoint(tmp_path / "model.safetensors")
    restored = create_model(checkpoint)
    assert not restored.training
    assert all(not tensor.is_meta for tensor in (*restored.parameters(), *restored.buffers()))
    with torch.inference_mode():
        torch.testing.assert_close(restored(images), logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.architecture in ("unet", "smp-fpn")],
    ids=lambda case: case.architecture,
)
def test_a_missing_tensor_is_reported_by_name(case: Case) -> None:
    model = built(case.architecture, **case.options)
    tensors = {name: value.numpy() for name, value in model.state_dict().items()}
    missing = sorted(tensors)[0]
    del tensors[missing]
    checkpoint = Checkpoint(
        spec=ModelSpec(
            architecture=case.architecture,
            options=case.options,
            label_set=BDD_DRIVABLE,
            input_height=case.height,
            input_width=case.width,
            stride=case.stride,
        ),
        tensors=tensors,
    )
    with pytest.raises(ModelError, match=f"1 tensors differ, first '{missing}'"):
        create_model(checkpoint)


def test_published_parameter_counts() -> None:
    unet = build_model("unet", classes=11, options={"slope": 0.05})
    assert round(parameters(unet) / 1e6, 1) == 31.0
    fcn = build_model("fasseg-fcn", classes=6, options={})
    assert round(parameters(fcn) / 1e6, 1) == 2.1


def test_deeplab_cut_has_the_published_count_as_keras_counts() -> None:
    require_library("deeplab-cut")
    model = build_model("deeplab-cut", classes=20, options={})
    # Keras counts the running statistics, and its ResNet-50 has biases before its batch norms,
    # which have no effect
    running = sum(buffer.numel() for name, buffer in model.named_buffers() if "running" in name)
    encoder = model.get_submodule("encoder")
    biases = sum(m.out_channels for m in encoder.modules() if isinstance(m, nn.Conv2d))
    assert parameters(model) + running + biases == 11_857_236
    assert parameters(model) + biases == 11_824_500


def test_pspnet_gives_its_auxiliary_logits_in_training_only() -> None:
    model = built("pspnet").train()
    main, auxiliary = model(torch.randn(2, 3, 32, 32))
    assert main.shape == auxiliary.shape == (2, CLASSES, 4, 4)
    assert isinstance(model.eval()(torch.randn(1, 3, 32, 32)), torch.Tensor)


def test_deeplab_cuts_late_classifier_commutes_with_upsampling() -> None:
    from torch.nn import functional

    model = built("deeplab-cut").eval()
    head = model.get_submodule("head")
    features = torch.randn(1, 256, 8, 8)
    late = head(functional.interpolate(features, scale_factor=4.0, mode="bilinear"))
    early = functional.interpolate(head(features), scale_factor=4.0, mode="bilinear")
    torch.testing.assert_close(late, early, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("architecture", "options", "message"),
    [
        ("unet", {"width": 0}, "width must be positive"),
        ("unet", {"depth": 4}, "depth"),
        ("smp-unet", {"encoder_name": "tu-hf-hub:somebody/something"}, "encoder_name is 'tu-hf"),
        ("smp-unet", {"encoder_weights": "imagenet"}, "no option 'encoder_weights'"),
        ("smp-unet", {"decoder_channels": [10**9] * 5}, "decoder_channels"),
        ("smp-deeplabv3plus", {"encoder_output_stride": 4}, r"allowed: \(8, 16\)"),
        ("smp-segformer", {"decoder_segmentation_channels": 10**6}, r"allowed: 8\.\.1024"),
        ("torchvision-fcn-resnet50", {"weights": "DEFAULT"}, "weights"),
    ],
)
def test_options_outside_the_allow_list_are_refused(
    architecture: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        build_model(architecture, classes=3, options=options)


@pytest.mark.parametrize(
    ("architecture", "package"),
    [("smp-unet", "segmentation_models_pytorch"), ("fcn32s", "torchvision")],
)
def test_a_missing_library_names_the_extra(
    architecture: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModelError, match=r"pip install 'rtseg\[training\]'"):
        build_model(architecture, classes=3, options={})


def test_leaky_relu_slope_reaches_the_unet() -> None:
    steep = built("unet", width=4, levels=2, slope=0.5).eval()
    flat = built("unet", width=4, levels=2, slope=0.0).eval()
    flat.load_state_dict(steep.state_dict())
    images = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert not np.allclose(steep(images).numpy(), flat(images).numpy(), atol=1e-3)


def test_a_fine_head_starts_with_the_coarse_networks_output() -> None:
    options = {"stem": 8, "widths": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "pyramid": 16}
    coarse = ResidualPyramid(classes=CLASSES, **options).eval()
    fine = ResidualPyramid(classes=CLASSES, fine=8, **options).eval()
    fine.load_state_dict(fine.grown(coarse.state_dict()))
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = functional.interpolate(coarse(images), scale_factor=2.0, mode="nearest")
        logits = fine(images)
    torch.testing.assert_close(logits, expected)
    # a state that has a fine head already is used unchanged
    assert all(
        torch.equal(v, fine.state_dict()[n]) for n, v in fine.grown(fine.state_dict()).items()
    )
