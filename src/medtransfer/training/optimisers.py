"""Optimisers over two groups of parameters: those that decay and those that must not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import torch
from timm.optim.lars import Lars
from torch import nn
from torch.nn.modules.conv import _ConvNd

from medtransfer.training.recipe import TrainingRecipe

RateFactors = Mapping[str, float]
"""Name of a parameter to what its learning rate is multiplied by; 1 for those that are not named."""
NO_FACTORS: RateFactors = MappingProxyType({})
_POSITIONS = frozenset({"class_token", "pos_embedding", "relative_position_bias_table"})
"""What torchvision calls the parameters that its transformers learn of places in the image."""
_KERNELS = (nn.Linear, _ConvNd)
"""Layers whose weights decay even where they have one input and one output, or one of them."""


def build_optimiser(
    network: nn.Module, recipe: TrainingRecipe, factors: RateFactors = NO_FACTORS
) -> torch.optim.Optimizer:
    """Return the recipe's optimiser over the trainable parameters of a network, fused where it can be.

    Args:
        network: What is trained.
        recipe: Which optimiser, rate and decay.
        factors: Of the learning rate, by parameter name.

    Reference:
        LARS: You et al., "Large Batch Training of Convolutional Networks", 2017; parameters without decay
        take the plain step, as the authors do for biases and normalisation.
    """
    groups = parameter_groups(network, recipe.weight_decay, factors)
    rate = recipe.learning_rate
    if recipe.optimiser == "lars":
        return Lars(groups, lr=rate, momentum=recipe.momentum)
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=recipe.momentum, fused=True)
    if recipe.optimiser == "adam":
        return torch.optim.Adam(groups, lr=rate, fused=True)
    return torch.optim.AdamW(groups, lr=rate, fused=True)


def parameter_groups(
    network: nn.Module, weight_decay: float, factors: RateFactors = NO_FACTORS
) -> list[dict[str, Any]]:
    """Return the trainable parameters as optimiser groups, each with its ``rate_factor``.

    Biases, the parameters of normalisation layers and scales (all are vectors, whatever their axes), and
    position embeddings and class tokens, which networks of timm name in ``no_weight_decay()`` and those of
    torchvision do not, form a group without decay.
    """
    exempt = {*_named_by_the_network(network), *_named_like_positions(network), *_vectors(network)}
    members: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            decays = name not in exempt
            members.setdefault((factors.get(name, 1.0), decays), []).append(parameter)
    return [
        {
            "params": members[factor, decays],
            "weight_decay": weight_decay if decays else 0.0,
            "rate_factor": factor,
        }
        for factor, decays in sorted(members, reverse=True)
    ]


def _vectors(network: nn.Module) -> Iterator[str]:
    """Yield the names of parameters with at most one axis longer than 1; kernels have two axes or more."""
    for path, module in network.named_modules():
        axes = 2 if isinstance(module, _KERNELS) else math.inf
        for name, parameter in module.named_parameters(path, recurse=False):
            if parameter.ndim < axes and parameter.numel() <= max(parameter.shape, default=1):
                yield name


def _named_like_positions(network: nn.Module) -> Iterator[str]:
    for name, _ in network.named_parameters():
        if name.rpartition(".")[2] in _POSITIONS:
            yield name


def _named_by_the_network(network: nn.Module) -> Iterator[str]:
    for path, module in network.named_modules():
        names = getattr(module, "no_weight_decay", None)
        if callable(names):
            yield from (f"{path}.{name}" if path else str(name) for name in names())
