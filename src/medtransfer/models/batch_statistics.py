"""Batch normalisation of a frozen encoder whose statistics adapt to new images, as some studies left it."""

from __future__ import annotations

from torch.nn.modules.batchnorm import _BatchNorm as BatchNormalisation

from medtransfer.core.errors import UsageError
from medtransfer.models.network import Encoder


def adapt_statistics(encoder: Encoder) -> int:
    """Let frozen batch normalisation follow training mode, in place; return the number of such layers.

    In training mode these layers then normalise by the batch and move their running means and variances
    towards it; in evaluation mode they use what those have become. No weight of theirs changes.

    Args:
        encoder: With layers that are frozen, as :func:`~medtransfer.models.layer_groups.train_last` leaves them.

    Raises:
        UsageError: If no frozen layer keeps statistics that could adapt.
    """
    layers = [
        module
        for module in encoder.modules()
        if isinstance(module, BatchNormalisation)
        and module.running_mean is not None
        and not any(parameter.requires_grad for parameter in module.parameters(recurse=False))
    ]
    if not layers:
        raise UsageError(
            f"model {encoder.name!r}: expected frozen batch normalisation whose statistics can adapt, got none. "
            "Leave out 'batch_normalization: adapt', or train fewer layer groups."
        )
    encoder.adapts_statistics = True
    encoder.train(encoder.training)
    return len(layers)
