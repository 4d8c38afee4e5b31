"""Optimisers over two groups of parameters: those that decay and those that must not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from medtransfer.training.recipe import TrainingRecipe


def build_optimiser(network: nn.Module, recipe: TrainingRecipe) -> torch.optim.Optimizer:
    """Return the recipe's optimiser over the trainable parameters of a network, in its fused form."""
    groups = parameter_groups(network, recipe.weight_decay)
    rate = recipe.learning_rate
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=recipe.momentum, fused=True)
    if recipe.optimiser == "adam":
        return torch.optim.Adam(groups, lr=rate, fused=True)
    return torch.optim.AdamW(groups, lr=rate, fused=True)


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return the trainable parameters as optimiser groups.

    Biases, the parameters of normalisation layers and scales (all have one axis), and what the network
    itself names in ``no_weight_decay()``, such as position embeddings, form a group without decay.
    """
    exempt = set(_named_by_the_network(network))
    decaying: list[nn.Parameter] = []
    constant: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            (constant if parameter.ndim <= 1 or name in exempt else decaying).append(parameter)
    groups = [
        {"params": decaying, "weight_decay": weight_decay},
        {"params": constant, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _named_by_the_network(network: nn.Module) -> Iterator[str]:
    for path, module in network.named_modules():
        names = getattr(module, "no_weight_decay", None)
        if callable(names):
            yield from (f"{path}.{name}" if path else str(name) for name in names())
