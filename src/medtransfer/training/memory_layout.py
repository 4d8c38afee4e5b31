"""Which order of a tensor's axes in memory a network runs fastest with: measured, per device."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from medtransfer.training.depthwise_precision import is_depthwise
from medtransfer.training.device_policy import NetworkKind, policy_for

CHANNELS_LAST_FROM: Mapping[tuple[str, NetworkKind], int] = {
    ("cpu", "depthwise"): 32,
    ("cpu", "dense"): 128,
    ("cuda", "depthwise"): 1,
    ("cuda", "dense"): 1,
}
"""Device type and kind of network to the smallest image side, in pixels, that gains from channels-last.

Measured as training images per second with one thread of an AVX-512 CPU, channels-last over the usual
order: MobileNet-V1 1.28 at 64 pixels, 1.22 at 96, 1.28 at 128; ResNet-18 0.82 at 64, 0.99 at 96, 1.06 at
128. The entries for ``cuda`` are not measured here: its convolutions of half precision want this order.
Devices and kinds that are not listed keep the usual one.
"""


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
