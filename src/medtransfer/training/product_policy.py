"""Which CPUs compute products of channels as convolutions: measured, per processor."""

from __future__ import annotations

import torch

from medtransfer.core.processor import processor_vendor
from medtransfer.models.channel_products import Products
from medtransfer.training.device_policy import policy_for
from medtransfer.training.recipe import Precision

BY_CONVOLUTIONS = frozenset({("AuthenticAMD", "AVX512")})
"""Vendors and instruction sets, as the processor and torch name them, that gain.

Measured in fp32 with one thread: on an AMD EPYC with AVX-512 a large product runs at 95 billion operations per
second, as a convolution at 208. On an Intel Xeon with AVX-512 kernels of 1 x 1 were 1.01 to 1.05 times as fast as
products, so processors that are not listed keep torch's choice.
"""


def products_for(device: torch.device, precision: Precision = "fp32") -> Products:
    """Return who computes products of channels, from the table or the device's policy.

    Args:
        device: Where the network runs.
        precision: Number format of its training; others than fp32 keep torch's choice.

    Raises:
        UsageError: If the environment variable of the policy cannot be understood.
    """
    asked = policy_for(device.type).products
    if device.type != "cpu" or precision != "fp32":
        return "library"
    if asked != "table":
        return asked
    here = (processor_vendor(), torch.backends.cpu.get_cpu_capability())
    return "convolutions" if here in BY_CONVOLUTIONS else "library"
