"""Which order of a tensor's axes in memory a network runs fastest with: measured, per device."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from medtransfer.training.depthwise_precision import is_depthwise
from medtransfer.training.device_policy import NetworkKind, policy_for
from medtransfer.training.recipe import Precision
from medtransfer.training.suited_layers import suit_layers

CHANNELS_LAST_FROM: Mapping[tuple[str, NetworkKind], int] = {
    ("cpu", "depthwise"): 32,
    ("cpu", "dense"): 32,
    ("cuda", "depthwise"): 1,
    ("cuda", "dense"): 1,
}
"""Device type and kind of network to the smallest image side, in pixels, that gains from channels-last.

Measured as training images per second with one thread of an AVX-512 CPU, laid out as :func:`lay_out` does it
over the usual order: MobileNet-V1 1.27 at 64 pixels; ResNet-18 1.07 at 32, 1.11 at 64, 1.13 at 96, 1.15 at 128;
ResNet-50 1.09 at 64, 1.16 at 128; SqueezeNet 1.47, DenseNet-121 1.27, RegNetX 1.23 and VGG-11 1.04 at 64. The
entries for ``cuda`` are not measured here: its convolutions of half precision want this order. Devices and kinds
that are not listed keep the usual one.
"""


def lay_out(
    network: nn.Module, image_size: int, device: torch.device, precision: Precision = "fp32"
) -> torch.memory_format:
    """Put a network in the order of axes it runs fastest in, and return the order its images should have.

    On a CPU, single layers may compute in a way of their own: see :mod:`~medtransfer.training.suited_layers`.

    Args:
        network: Takes uint8 images (N, 1, S, S); still on the CPU. It is changed in place.
        image_size: Side S of the images in pixels.
        device: Where it will run.
        precision: Number format of its training.

    Raises:
        UsageError: If the environment variable of the policy cannot be understood.
    """
    layout = memory_format_for(network, image_size, device)
    network.to(memory_format=layout)
    image = torch.zeros((1, 1, image_size, image_size), dtype=torch.uint8)
    suit_layers(
        network, lambda: network(image.contiguous(memory_format=layout)), layout, device, precision=precision
    )
    return layout


def memory_format_for(network: nn.Module, image_size: int, device: torch.device) -> torch.memory_format:
    """Return the memory format to train and to predict with, from the table or the device's policy.

    Args:
        network: What runs.
        image_size: Side of the images in pixels.
        device: Where the network runs.

    Raises:
        UsageError: If the environment variable of the policy cannot be understood.
    """
    asked = policy_for(device.type).layout
    if asked != "table":
        return torch.channels_last if asked == "channels-last" else torch.contiguous_format
    smallest = CHANNELS_LAST_FROM.get((device.type, network_kind(network)))
    gains = smallest is not None and image_size >= smallest
    return torch.channels_last if gains else torch.contiguous_format


def network_kind(network: nn.Module) -> NetworkKind:
    """Return the kind of a network; a transformer has one convolution at most, for patches."""
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    if len(convolutions) <= 1:
        return "transformer"
    depthwise = any(is_depthwise(module) for module in convolutions)
    return "depthwise" if depthwise else "dense"
