"""Single layers that compute in the way that is fastest on a CPU; elsewhere they stay as they are."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from medtransfer.models.channel_products import choose_products
from medtransfer.models.convolution_order import order_convolutions
from medtransfer.models.doubled_convolution import FROM_POSITIONS_TRAINED, convolve_before_doubling
from medtransfer.training.product_policy import products_for
from medtransfer.training.recipe import Precision


def suit_layers(
    network: nn.Module,
    forward: Callable[[], object],
    layout: torch.memory_format,
    device: torch.device,
    *,
    precision: Precision = "fp32",
    doubled_from: int = FROM_POSITIONS_TRAINED,
) -> None:
    """Let single layers of a network compute in their fastest way, which changes the last digits of what they return.

    In fp32 on a CPU, some convolutions of a channels-last network compute in the usual order of axes, the blocks of
    a U-Net convolve before they double large maps, and products of channels are given to the faster of two
    libraries: see :mod:`~medtransfer.models.convolution_order`, :mod:`~medtransfer.models.doubled_convolution`,
    :mod:`~medtransfer.models.channel_products` and :mod:`~medtransfer.training.product_policy`.

    Args:
        network: Laid out; its modules are changed in place, its parameters and their names stay.
        forward: Passes one case through the network, as it will be used.
        layout: Memory format of the network.
        device: Where it will run.
        precision: Number format of its training.
        doubled_from: Fewest positions of a map that is convolved before it is doubled.

    Raises:
        UsageError: If the environment variable of the policy cannot be understood.
    """
    if device.type != "cpu" or precision != "fp32":
        return
    if layout is torch.channels_last:
        order_convolutions(network, forward)
        convolve_before_doubling(network, doubled_from)
    choose_products(network, products_for(device, precision))
