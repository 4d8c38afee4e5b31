"""Weight gradients of large depthwise kernels on the CPU, at the speed of their forward pass.

The library that torch computes with has fast code for depthwise kernels of 3 x 3; the weight gradients of larger ones
take ten times as long as everything else about them. The gradient of a kernel is itself a convolution: the map it
read, with what came from above as the kernel. With one group per case and channel, the same library does that fast.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from medtransfer.training.depthwise_precision import is_depthwise

LEAST_KERNEL = 5
"""Smallest side of the kernels that gain.

Measured in fp32 with one thread of an AVX-512 CPU, the library's way over this one: 5 x 5 1.7 to 3.3, 7 x 7 2.4 to
4.8, 3 x 3 0.2 to 0.3. An epoch of training: ConvNeXt-T 1.07, MobileNet-V3 1.05, EfficientNet-B0 1.03; with
``bf16-mixed`` ConvNeXt-T 1.23, MobileNet-V3 1.06."""

_PART_BYTES = 1 << 20
"""Size of the maps that are turned and convolved at once: they stay in a core's own cache."""


@contextmanager
def fast_depthwise_gradients(network: nn.Module) -> Iterator[None]:
    """Compute the weight gradients of large depthwise kernels as convolutions inside the block.

    They differ from torch's in the last digits; what the network returns does not. It applies to fp32 maps that are
    channels-last. Gradients of gradients are not defined.

    Args:
        network: On the CPU. Its convolutions are changed inside the block and restored after it.
    """
    changed = [module for module in network.modules() if type(module) is nn.Conv2d and _gains(module)]
    for module in changed:
        module.__class__ = _LargeDepthwiseConv2d
    try:
        yield
    finally:
        for module in changed:
            module.__class__ = nn.Conv2d


def _gains(module: nn.Conv2d) -> bool:
    return (
        is_depthwise(module)
        and module.out_channels == module.in_channels
        and min(module.kernel_size) >= LEAST_KERNEL
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
        and module.weight.requires_grad
    )


class _LargeDepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution with a weight gradient of its own."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # noqa: A002 - its name in torch
        ours = (
            torch.is_grad_enabled()
            and not torch.is_autocast_enabled(input.device.type)
            and input.dtype == torch.float32
            and input.is_contiguous(memory_format=torch.channels_last)
        )
        found: Tensor = (
            _Depthwise.apply(input, weight, bias, self.stride, self.padding, self.dilation)
            if ours
            else super()._conv_forward(input, weight, bias)
        )
        return found


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        maps: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: tuple[int, int],
        padding: tuple[int, int],
        dilation: tuple[int, int],
    ) -> Tensor:
        ctx.save_for_backward(maps, weight)
        ctx.geometry = stride, padding, dilation
        return functional.conv2d(maps, weight, bias, stride, padding, dilation, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor | None, ...]:
        maps, weight = ctx.saved_tensors
        stride, padding, dilation = ctx.geometry
        wants_maps, wants_weight, wants_bias = ctx.needs_input_grad[:3]
        of_maps, _, _ = torch.ops.aten.convolution_backward(
            above[0],
            maps,
            weight,
            None,
            list(stride),
            list(padding),
            list(dilation),
            False,  # noqa: FBT003 - not transposed
            [0, 0],
            len(weight),
            # Without the bias, because torch computes its gradient together with the one of the kernels.
            [wants_maps, False, False],
        )
        of_bias = above[0].sum((0, 2, 3)) if wants_bias else None
        of_weight = _weight_gradient(maps, above[0], weight, ctx.geometry) if wants_weight else None
        return of_maps, of_weight, of_bias, None, None, None


def _weight_gradient(
    maps: Tensor, above: Tensor, weight: Tensor, geometry: tuple[tuple[int, int], ...]
) -> Tensor:
    """Return the gradient of depthwise kernels.

    Args:
        maps: (N, C, H, W), channels-last.
        above: Gradient of the output, (N, C, h, w).
        weight: Kernels (C, 1, k, l).
        geometry: Stride, padding and dilation of the forward pass.
    """
    stride, padding, dilation = geometry
    channels, _, height, width = weight.shape
    cases = max(1, _PART_BYTES // (maps[0].numel() * maps.element_size()))
    total = torch.zeros_like(weight)
    for start in range(0, len(maps), cases):
        part, kernels = maps[start : start + cases], above[start : start + cases]
        groups = len(part) * channels
        # One case of (N C) channels, in memory (H, W, N, C).
        turned = part.permute(2, 3, 0, 1).reshape(1, *part.shape[2:], groups).permute(0, 3, 1, 2)
        found = functional.conv2d(
            turned,
            kernels.reshape(groups, 1, *above.shape[2:]),
            # Steps between outputs become steps between kernel values, and the other way round.
            stride=dilation,
            padding=padding,
            dilation=stride,
            groups=groups,
        )
        # A stride leaves rows and columns over that no kernel value has met.
        total += found[..., :height, :width].reshape(len(part), channels, 1, height, width).sum(0)
    return total
