"""The gradients of depthwise convolutions under bf16 autocast on a CPU."""

import copy

import pytest
import torch
from torch import nn

from training.depthwise import DepthwiseConv2d, compute_depthwise_gradients_in_fp32


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8, bias=False),
        nn.Conv2d(8, 8, 5, padding=2, groups=8, bias=False),
        nn.Conv2d(8, 4, 3, padding=1, groups=2, bias=False),
    )


def gradients(model, images, *, autocast):
    model.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        out = model(images)
    out.float().square().mean().backward()
    return [parameter.grad.clone() for parameter in model.parameters()]


def test_only_depthwise_layers_change_and_names_stay():
    model = network()
    names = list(model.state_dict())
    assert compute_depthwise_gradients_in_fp32(model) == 2
    assert [type(layer) is DepthwiseConv2d for layer in model] == [False, True, True, False]
    assert list(model.state_dict()) == names


@pytest.mark.parametrize("autocast", [False, True])
def test_gradients_equal_those_of_plain_layers(autocast):
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    plain = network()
    changed = copy.deepcopy(plain)
    compute_depthwise_gradients_in_fp32(changed)
    true = gradients(plain, images, autocast=False)
    for expected, got in zip(true, gradients(changed, images, autocast=autocast), strict=True):
        assert got.dtype == torch.float32
        difference = (got - expected).norm() / expected.norm()
        assert difference < (0.02 if autocast else 1e-6)


def test_layers_before_a_frozen_one_need_no_gradient():
    model = network()
    model[0].requires_grad_(requires_grad=False)
    compute_depthwise_gradients_in_fp32(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model(torch.randn(1, 3, 8, 8)).float().sum().backward()
    assert model[0].weight.grad is None
    assert model[1].weight.grad is not None
