"""In-place activations without the copy of their input that a training step would make of them.

An activation computed in place whose gradient needs the input makes torch copy the input first, so that it costs
memory and a pass over it instead of saving either.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

_NEED_THEIR_INPUT = (nn.SiLU, nn.Hardswish, nn.Mish, nn.Hardsigmoid)
"""Whose gradient cannot be had from what they return."""


@contextmanager
def uncopied_activations(network: nn.Module) -> Iterator[None]:
    """Compute in-place activations inside the block without a copy of their input.

    Numbers stay the same, bit for bit. ReLU6 stays in place, because what it returns tells its gradient. SiLU,
    Hardswish, Mish and Hardsigmoid write their output beside their input, which is then what the gradient reads.
    Activations that are not in place, and ReLU, whose gradient torch takes from its output, are left as they are.

    Args:
        network: Its activations are changed inside the block and restored after it.
    """
    in_place = [module for module in network.modules() if getattr(module, "inplace", False) is True]
    clamped = [module for module in in_place if type(module) is nn.ReLU6]
    moved = [module for module in in_place if isinstance(module, _NEED_THEIR_INPUT)]
    for module in clamped:
        module.forward = _InPlaceReLU6.apply  # type: ignore[method-assign]
    for other in moved:
        other.inplace = False
    try:
        yield
    finally:
        for module in clamped:
            del module.forward
        for other in moved:
            other.inplace = True


class _InPlaceReLU6(torch.autograd.Function):
    """ReLU6 that overwrites its input and keeps only what it wrote."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        ctx.mark_dirty(maps)
        maps.clamp_(0.0, 6.0)
        ctx.save_for_backward(maps)
        return maps

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> Tensor:
        (written,) = ctx.saved_tensors
        # Open at both ends: 0 and 6 pass nothing, whether they were reached or cut to.
        gradient: Tensor = torch.ops.aten.hardtanh_backward(above[0], written, 0.0, 6.0)
        return gradient
