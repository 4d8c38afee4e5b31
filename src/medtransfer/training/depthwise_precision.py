"""Depthwise convolutions in fp32 inside mixed-precision training steps, for devices that lose with them in bf16."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def fp32_depthwise(network: nn.Module) -> Iterator[None]:
    """Compute depthwise convolutions in fp32 inside the block, whatever autocast says about the others.

    They are a few per cent of a network's arithmetic and do not use the matrix units that bf16 is for. What
    follows them gets the number format that autocast would have given it.

    Args:
        network: Its depthwise 2-d convolutions are changed inside the block and restored after it.
    """
    changed = [
        module for module in network.modules() if isinstance(module, nn.Conv2d) and is_depthwise(module)
    ]
    for module in changed:
        module.forward = _in_fp32(module.forward)  # type: ignore[assignment,method-assign]
    try:
        yield
    finally:
        for module in changed:
            del module.forward


def is_depthwise(module: nn.Conv2d) -> bool:
    """Return whether every input channel has kernels of its own.

    Example:
        >>> is_depthwise(nn.Conv2d(8, 8, 3, groups=8)), is_depthwise(nn.Conv2d(8, 8, 3))
        (True, False)
    """
    return module.groups == module.in_channels > 1


def _in_fp32(forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def computed(maps: Tensor) -> Tensor:
        kind = maps.device.type
        if not torch.is_autocast_enabled(kind):
            return forward(maps)
        with torch.autocast(kind, enabled=False):
            found = forward(maps.float())
        return found.to(torch.get_autocast_dtype(kind))

    return computed
