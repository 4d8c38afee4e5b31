"""Linear layers and kernels of 1 x 1, given to the faster of two libraries.

On x86 torch multiplies matrices with one library and convolves with another. The first keeps its fastest code for the
processors of one vendor; the second asks what a processor can do. A linear layer is a kernel of 1 x 1 over its rows,
and torch itself gives kernels of 1 x 1 to the library of products when fewer than 16 cases come at once, however
large the maps are, and to that of convolutions otherwise, however small.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

Products = Literal["library", "convolutions"]
"""Who computes products of channels: torch's own choice, or the library of convolutions."""

LEAST_ROWS = 128
"""Fewest positions, or tokens, of a batch for the library of convolutions.

Below that many, kernels over maps of one position are products: a training step of 32 cases gains 1.12 (MobileNet-V3
at 64 pixels; 1.04 at 224) and 1.11 (EfficientNet-B0 at 64).
"""
LEAST_CHANNELS = 16
"""Fewest channels, in and out, for the library of convolutions."""
LEAST_PRODUCTS = 2**23
"""Fewest multiplications, positions times channels in times channels out, for the library of convolutions.

The three were measured in fp32 with one thread of an AMD EPYC with AVX-512, forward and backward pass, the
library of products over that of convolutions. Linear layers of 384 to 1536: 0.3 for 8 rows, 0.5 for 32, 1.3 for
64, 1.6 for 128, 1.9 for 512 and more; of 192 to 576: 0.5 for 64, 1.3 for 128, 1.8 for 1568; of 1024 to 1: 0.2 to
0.7. Kernels of 1 x 1 in batches of 8: 0.2 on one position, 1.25 for 16 channels to 72 on 56 x 56, 1.6 to 1.9 for
512 on 4 x 4 and 8 x 8. Whole networks, batches of 8, embedding and training: ViT-S/16 1.83 and 1.76, Swin-T 1.73
and 1.71, ConvNeXt-T 1.71 and 1.46.
"""

_NO_EFFECT = (2, 2)
"""Distance between the positions of a kernel, which one of a single position does not have; torch gives kernels with
a distance to the library of convolutions, however few cases there are."""


class ConvolvedLinear(nn.Linear):
    """A linear layer that is a kernel of 1 x 1 where that is faster."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - its name in torch
        """Return (..., outputs) of (..., inputs)."""
        rows = input.numel() // self.in_features
        if not _gains(rows, self.in_features, self.out_features):
            return super().forward(input)
        # As one image of one row of positions whose channels lie beside each other: nothing is moved.
        maps = input.reshape(1, 1, rows, self.in_features).permute(0, 3, 1, 2)
        found: Tensor = functional.conv2d(maps, self.weight[:, :, None, None], self.bias, dilation=_NO_EFFECT)
        moved: Tensor = found.permute(0, 2, 3, 1).reshape(*input.shape[:-1], self.out_features)
        return moved


class PointwiseConv2d(nn.Conv2d):
    """A kernel of 1 x 1 that is given to whichever library is faster."""

    by_convolutions: bool = False
    """Whether large products of few cases go to the library of convolutions."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # noqa: A002 - its name in torch
        rows = input.numel() // self.in_channels
        if rows < LEAST_ROWS and input.shape[2:] == (1, 1):
            found = functional.linear(input.flatten(1), weight.flatten(1), bias)
            return found[:, :, None, None]
        if self.by_convolutions and _gains(rows, self.in_channels, self.out_channels):
            return functional.conv2d(input, weight, bias, dilation=_NO_EFFECT)
        plain: Tensor = super()._conv_forward(input, weight, bias)
        return plain


def choose_products(network: nn.Module, products: Products) -> int:
    """Let linear layers and kernels of 1 x 1 compute in the way that is faster.

    Kernels of 1 x 1 over maps of one position, as squeeze-and-excitation blocks have them, are products of few rows
    on any CPU. The rest depends on whose products are faster. It changes the last digits of what they return, not the
    parameters or their names.

    Args:
        network: On the CPU and in fp32; its modules are changed in place.
        products: Who computes large products.

    Returns:
        How many layers of both kinds choose.
    """
    by_convolutions = products == "convolutions"
    count = 0
    for module in network.modules():
        # Subclasses compute something of their own.
        if type(module) is nn.Linear and by_convolutions:
            module.__class__ = ConvolvedLinear
        elif type(module) is nn.Conv2d and _is_product(module):
            module.__class__ = PointwiseConv2d
        if isinstance(module, PointwiseConv2d):
            module.by_convolutions = by_convolutions
        count += isinstance(module, (ConvolvedLinear, PointwiseConv2d))
    return count


def _is_product(module: nn.Conv2d) -> bool:
    alone = module.kernel_size == (1, 1) and module.stride == (1, 1) and module.groups == 1
    return alone and module.padding in ((0, 0), "valid", "same")


def _gains(rows: int, inputs: int, outputs: int) -> bool:
    wide = min(inputs, outputs) >= LEAST_CHANNELS
    return wide and rows >= LEAST_ROWS and rows * inputs * outputs >= LEAST_PRODUCTS
