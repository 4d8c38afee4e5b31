"""Kernels of 3 x 3 over a map of doubled size, computed on the map itself.

The blocks of a U-Net double a map by repeating every position, put the map of an encoder beside it and convolve both.
A kernel of 3 x 3 on repeated positions reads at most 2 x 2 different ones, which ones depends only on whether the row
and the column are even, so that four kernels of 2 x 2 on the map itself give the same values with 16 products
instead of 36. Neither the doubled map nor the joined one is made, and where the encoder's map is frozen no gradient
is computed for it. Where a map does not exactly double, as 31 positions become 63, the two are convolved apart so
that this still holds.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

FROM_POSITIONS_TRAINED = 196
"""Fewest positions of the map that is doubled from which this gains where the encoder is trained too."""
FROM_POSITIONS_FROZEN = 64
"""The same where the encoder is frozen.

Measured in fp32 with one thread of an AVX-512 CPU, batches of 8 and 16, forward and backward pass of the first
convolution of blocks of a U-Net, the library's way over this one: with a frozen encoder 0.6 to 1.1 at 4 x 4
positions, 1.15 to 1.7 at 8 x 8, 1.3 to 1.5 at 16 x 16, 1.4 to 1.5 at 56 x 56; with a trained one 0.9 to 1.4 at 8 x 8,
1.0 to 1.2 at 14 x 14 and 16 x 16, 1.1 to 1.2 at 32 x 32 and 56 x 56; without a map beside it 1.5 to 1.8.
"""

_PADDING = _STRIDE = [1, 1]
_EDGES = (0, 1)
_ROWS = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]], [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]])
"""Which of three rows of a kernel fall on which of two rows of the map, for even and for odd rows."""
_SUMS = torch.einsum("ayp,bxq->abyxpq", _ROWS, _ROWS).reshape(16, 9)
"""Adds up the nine positions of a kernel, for each of four kernels of 2 x 2."""


class DoublingBlock(nn.Module):
    """What a block of a decoder has that can convolve before it doubles."""

    convolves_first_from: int | None = None
    """Fewest positions of a map that is convolved first; None for never. Parameters and names stay the same."""


def convolve_before_doubling(network: nn.Module, from_positions: int) -> int:
    """Let the blocks of a network that double a map convolve before they do.

    It changes the last digits of what they return.

    Args:
        network: Channels-last, on the CPU and in fp32; its blocks are changed in place.
        from_positions: Fewest positions of a map, height times width, for which to do so.

    Returns:
        How many such blocks it has.
    """
    blocks = [module for module in network.modules() if isinstance(module, DoublingBlock)]
    for block in blocks:
        block.convolves_first_from = from_positions
    return len(blocks)


def convolve_doubled(maps: Tensor, beside: Tensor | None, kernels: Tensor) -> Tensor:
    """Return the convolution of a map, doubled by repetition, and another one beside it.

    Args:
        maps: Shape (N, C, H, W), channels-last for speed.
        beside: Shape (N, B, 2H, 2W), whose channels come after the others; None for B = 0.
        kernels: Shape (F, C + B, 3, 3).

    Returns:
        Shape (N, F, 2H, 2W), channels-last: the convolution with zeros around the maps and no bias. It can be
        differentiated once.

    Example:
        >>> maps, kernels = torch.rand(1, 2, 4, 4), torch.rand(3, 2, 3, 3)
        >>> doubled = functional.interpolate(maps, scale_factor=2)
        >>> torch.allclose(
        ...     convolve_doubled(maps, None, kernels), functional.conv2d(doubled, kernels, padding=1), atol=1e-5
        ... )
        True
    """
    found: Tensor = _ConvolveDoubled.apply(maps, beside, kernels)
    return found


def convolve_apart(maps: Tensor, beside: Tensor, kernels: Tensor) -> Tensor:
    """Return the convolution of two maps beside each other, without a gradient for the one that wants none.

    It gains where the encoder is frozen: with 31 x 31 positions 1.2 to 1.5, measured like
    :data:`FROM_POSITIONS_FROZEN`.

    Args:
        maps: Shape (N, C, H, W).
        beside: Shape (N, B, H, W), whose channels come after the others.
        kernels: Shape (F, C + B, 3, 3).

    Returns:
        Shape (N, F, H, W): the convolution with zeros around the maps and no bias.
    """
    channels = maps.shape[1]
    found = functional.conv2d(maps, _channels_last(kernels[:, :channels]), padding=1)
    return found.add_(functional.conv2d(beside, _channels_last(kernels[:, channels:]), padding=1))


class _ConvolveDoubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, beside: Tensor | None, kernels: Tensor) -> Tensor:
        channels = maps.shape[1]
        merged = _merged(kernels[:, :channels])
        quarters = functional.conv2d(maps, merged, padding=1)
        if beside is None:
            found = _empty(maps, kernels.shape[0], 2 * maps.shape[2], 2 * maps.shape[3])
            for positions, quarter in zip(_parities(found), _quarters(quarters), strict=True):
                positions.copy_(quarter)
        else:
            found = functional.conv2d(beside, _channels_last(kernels[:, channels:]), padding=1)
            for positions, quarter in zip(_parities(found), _quarters(quarters), strict=True):
                positions.add_(quarter)
        ctx.save_for_backward(maps, beside, kernels, merged)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        maps, beside, kernels, merged = ctx.saved_tensors
        for_maps, for_beside, for_kernels = ctx.needs_input_grad
        above = _channels_last(above)
        of_maps, of_merged = _gradients(_apart(above), maps, merged, for_maps, for_kernels)
        of_beside = of_rest = None
        if beside is not None:
            rest = _channels_last(kernels[:, maps.shape[1] :])
            of_beside, of_rest = _gradients(above, beside, rest, for_beside, for_kernels)
        if of_merged is None:
            return of_maps, of_beside, None
        of_kernels = _unmerged(of_merged)
        joined = of_kernels if of_rest is None else torch.cat([of_kernels, of_rest], dim=1)
        return of_maps, of_beside, joined.contiguous(memory_format=torch.channels_last)


def _gradients(
    above: Tensor, maps: Tensor, kernels: Tensor, for_maps: bool, for_kernels: bool
) -> tuple[Tensor | None, Tensor | None]:
    of_maps, of_kernels, _ = torch.ops.aten.convolution_backward(
        *(above, maps, kernels, None, _STRIDE, _PADDING, [1, 1], False, [0, 0], 1),
        [for_maps, for_kernels, False],
    )
    return of_maps, of_kernels


def _merged(kernels: Tensor) -> Tensor:
    """Return kernels (4F, C, 2, 2) of kernels (F, C, 3, 3): for even and odd rows, and in them for columns."""
    count, channels = kernels.shape[:2]
    flat = kernels.permute(2, 3, 0, 1).reshape(9, -1)
    merged = (_SUMS.to(kernels) @ flat).view(4, 4, count, channels)
    return merged.transpose(1, 2).reshape(4 * count, 2, 2, channels).permute(0, 3, 1, 2)


def _unmerged(gradients: Tensor) -> Tensor:
    """Return gradients (F, C, 3, 3) of kernels from those of their sums (4F, C, 2, 2)."""
    count, channels = gradients.shape[0] // 4, gradients.shape[1]
    apart = gradients.permute(0, 2, 3, 1).reshape(4, count, 4, channels)
    flat = apart.transpose(1, 2).reshape(16, -1)
    found = _SUMS.to(gradients).T @ flat
    return found.view(3, 3, count, channels).permute(2, 3, 0, 1)


def _parities(maps: Tensor) -> list[Tensor]:
    """Return maps (N, F, 2H, 2W) in even and odd rows, and in them columns, as views (N, F, H, W)."""
    return [maps[:, :, row::2, column::2] for row in _EDGES for column in _EDGES]


def _quarters(maps: Tensor) -> list[Tensor]:
    """Return the windows of maps (N, 4F, H + 1, W + 1) that belong to these positions, as views (N, F, H, W)."""
    height, width = maps.shape[2] - 1, maps.shape[3] - 1
    apart = iter(maps.chunk(4, dim=1))
    return [
        next(apart)[:, :, row : row + height, column : column + width] for row in _EDGES for column in _EDGES
    ]


def _apart(above: Tensor) -> Tensor:
    """Return maps (N, 4F, H + 1, W + 1) whose windows hold maps (N, F, 2H, 2W), with zeros beside them."""
    found = _empty(above, 4 * above.shape[1], above.shape[2] // 2 + 1, above.shape[3] // 2 + 1)
    for window, positions in zip(_quarters(found), _parities(above), strict=True):
        window.copy_(positions)
    apart = iter(found.chunk(4, dim=1))
    for row in _EDGES:
        for column in _EDGES:
            part = next(apart)
            part[:, :, 0 if row else -1] = 0
            part[:, :, :, 0 if column else -1] = 0
    return found


def _empty(like: Tensor, channels: int, height: int, width: int) -> Tensor:
    shape = (like.shape[0], channels, height, width)
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)


def _channels_last(maps: Tensor) -> Tensor:
    return maps.contiguous(memory_format=torch.channels_last)
