"""Convolutions that run faster in the usual order of axes, inside a network that is laid out channels-last.

On CPUs channels-last is the faster order for nearly every layer. The exceptions are few and large: kernels over
maps of few positions, and kernels that read very many channels, as the first block of a U-Net does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

SMALL_MAP = 36
"""Most positions of a map over which kernels are faster in the usual order."""
LEAST_CHANNELS = 128
"""Fewest channels, in and out, from which that pays for changing the order of the map."""
MANY_CHANNELS = 1152
"""Input channels above which kernels are faster in the usual order, whatever the map.

The three were measured in fp32 with one thread of an AVX-512 CPU, forward pass, usual order over channels-last:
kernels of 3 x 3 on 512 channels 3.3 at 2 x 2 positions, 1.6 at 4 x 4, 1.17 at 6 x 6, 1.07 at 7 x 7, 1.0 at 8 x 8;
at 8 x 8 from 1024 channels 0.97, from 1100 0.98, from 1280 1.9, from 3072 2.0.
"""


class UsualOrderConv2d(nn.Conv2d):
    """A convolution that computes in the usual order of axes and returns channels-last maps."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # noqa: A002 - its name in torch
        found: Tensor = super()._conv_forward(input.contiguous(), weight, bias)
        return found.contiguous(memory_format=torch.channels_last)


def order_convolutions(network: nn.Module, forward: Callable[[], object]) -> int:
    """Let the convolutions for which that is faster compute in the usual order of axes.

    It changes the last digits of what they return, not the parameters or their names. Which convolutions these
    are depends on the sizes of their maps, so one case has to pass through the network.

    Args:
        network: On the CPU, channels-last and in fp32; its modules are changed in place.
        forward: Passes one case through the network, as it will be used.

    Returns:
        How many convolutions are in the usual order now.
    """
    for module in network.modules():
        if type(module) is UsualOrderConv2d:
            _become(module, nn.Conv2d, torch.channels_last)
    read = _read_maps(network, forward)
    chosen = [module for module, shape in read.items() if _faster_in_usual_order(module, shape)]
    for module in chosen:
        _become(module, UsualOrderConv2d, torch.contiguous_format)
    return len(chosen)


def _faster_in_usual_order(module: nn.Conv2d, read: torch.Size) -> bool:
    if module.groups > 1 or module.kernel_size == (1, 1):
        return False
    channels = min(module.in_channels, module.out_channels)
    small = read[-2] * read[-1] <= SMALL_MAP and channels >= LEAST_CHANNELS
    return small or module.in_channels > MANY_CHANNELS


def _become(module: nn.Conv2d, kind: type[nn.Conv2d], memory_format: torch.memory_format) -> None:
    # In place, because an optimiser or a copy may hold the module already.
    module.__class__ = kind
    # Kernels in the other order would be turned at every call.
    module.weight.data = module.weight.data.contiguous(memory_format=memory_format)


def _read_maps(network: nn.Module, forward: Callable[[], object]) -> dict[nn.Conv2d, torch.Size]:
    """Return the shapes of the maps that plain convolutions read in a forward pass."""
    read: dict[nn.Conv2d, torch.Size] = {}
    # Subclasses compute something of their own, such as padding as TensorFlow does it.
    plain = [module for module in network.modules() if type(module) is nn.Conv2d]

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if isinstance(module, nn.Conv2d) and inputs:
            read[module] = inputs[0].shape

    handles = [module.register_forward_pre_hook(note) for module in plain]
    try:
        with torch.no_grad(), _evaluation(network):
            forward()
    finally:
        for handle in handles:
            handle.remove()
    return read


@contextmanager
def _evaluation(network: nn.Module) -> Iterator[None]:
    """Keep statistics and dropout still inside the block, and give every module its own mode back."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
