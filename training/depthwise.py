"""Depthwise convolutions whose gradients are computed in fp32 where a CPU trains in bf16.

oneDNN has no fast bf16 kernel for a depthwise convolution's backward pass: measured on one core
with AVX-512 BF16, EfficientNet-Lite0 under the pyramid decoder learned from 24 pictures a second
at 128x128 in bf16, 33 in fp32, and 50 in bf16 with these gradients alone in fp32 (8, 9 and 12 at
256x256).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class _Depthwise(torch.autograd.Function):
    """A convolution that runs forward in bf16 and computes its gradients in fp32."""

    @staticmethod
    def forward(
        ctx: Any, features: torch.Tensor, kernel: torch.Tensor, layer: nn.Conv2d
    ) -> torch.Tensor:
        ctx.save_for_backward(features, kernel)
        ctx.layer = layer
        out: torch.Tensor = torch.ops.aten.convolution(
            *(features, kernel, None, layer.stride, layer.padding, layer.dilation),
            *(False, [0, 0], layer.groups),
        )
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        features, kernel = ctx.saved_tensors
        layer = ctx.layer
        to_features, to_kernel, _ = torch.ops.aten.convolution_backward(
            *(gradients[0].float(), features.float(), kernel.float(), None),
            *(layer.stride, layer.padding, layer.dilation, False, [0, 0], layer.groups),
            [ctx.needs_input_grad[0], ctx.needs_input_grad[1], False],
        )
        if to_features is not None:
            to_features = to_features.to(features.dtype)
        if to_kernel is not None:
            to_kernel = to_kernel.to(kernel.dtype)
        return to_features, to_kernel, None


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution without a bias; like `nn.Conv2d` outside of bf16 autocast."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(batch, channels, h, w) -> (batch, channels, h / stride, w / stride)."""
        if not torch.is_autocast_enabled("cpu"):
            return super().forward(features)
        features, kernel = features.bfloat16(), self.weight.bfloat16()
        with torch.autocast("cpu", enabled=False):
            out: torch.Tensor = _Depthwise.apply(features, kernel, self)
        return out


def compute_depthwise_gradients_in_fp32(model: nn.Module) -> int:
    """Make every depthwise convolution of a network a `DepthwiseConv2d`; return their number.

    The parameters and their names in the state do not change.
    """
    count = 0
    for module in model.modules():
        depthwise = type(module) is nn.Conv2d and 1 < module.groups == module.in_channels
        if depthwise and module.bias is None and module.padding_mode == "zeros":
            module.__class__ = DepthwiseConv2d  # adds no attributes, only another backward pass
            count += 1
    return count
