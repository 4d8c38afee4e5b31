"""Networks without their task heads, built by timm, torchvision or this package."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from torch import nn

from medtransfer.core.errors import UsageError
from medtransfer.models.seeded_initialisation import seeded_initialisation
from medtransfer.models.source_model import Architecture, InputContract

_IDENTITY: Callable[[], nn.Module] = nn.Identity


def _pooling() -> nn.Module:
    return nn.AdaptiveAvgPool2d(1)


TORCHVISION_HEADS: dict[str, dict[str, Callable[[], nn.Module]]] = {
    "alexnet": {"classifier": _IDENTITY, "avgpool": _pooling},
    "convnext": {"classifier.2": _IDENTITY},
    "densenet": {"classifier": _IDENTITY},
    "efficientnet": {"classifier": _IDENTITY},
    "mnasnet": {"classifier": _IDENTITY},
    "mobilenet": {"classifier": _IDENTITY},
    "regnet": {"fc": _IDENTITY},
    "resnet": {"fc": _IDENTITY},
    "resnext": {"fc": _IDENTITY},
    "shufflenet": {"fc": _IDENTITY},
    "squeezenet": {"classifier": _pooling},
    "swin": {"head": _IDENTITY},
    "vgg": {"classifier": _IDENTITY, "avgpool": _pooling},
    "vit": {"heads": _IDENTITY},
    "wide_resnet": {"fc": _IDENTITY},
}
"""First part of a torchvision name to the modules that make way for the embedding, and by what.

AlexNet, SqueezeNet and VGG keep their convolutions only; global average pooling gives the embedding.
"""


def build_backbone(architecture: Architecture, contract: InputContract, seed: int) -> nn.Module:
    """Return a network with seeded random weights whose output is an embedding of shape (N, F).

    Neither the weights nor the random numbers of anybody else depend on each other: the global random
    state is the same before and after.

    Args:
        architecture: What to build; its trunk rule is applied later, by :func:`end_network_at`.
        contract: Input size of networks that are made for one, and number of channels.
        seed: Seed of the initial weights, in [0, 2**63).

    Raises:
        UsageError: If the library has no such network or it takes no such input.
    """
    build = {"timm": _build_timm, "torchvision": _build_torchvision, "medtransfer": _build_own}[
        architecture.library
    ]
    with seeded_initialisation(seed):
        network = build(architecture, contract)
    return network.float()


def end_network_at(network: nn.Module, trunk: str) -> None:
    """Replace by identity every module with weights that comes after the trunk, in place.

    Args:
        network: Network whose modules are defined in the order in which they run.
        trunk: Path of the last module to keep, such as ``blocks.4.0``; pooling has no weights and stays.

    Raises:
        UsageError: If the network has no such module.
    """
    parent, parts = network, trunk.split(".")
    for part in parts:
        names = [name for name, _ in parent.named_children()]
        if part not in names:
            raise UsageError(
                f"trunk {trunk!r}: expected one of {names[:5]!r} at {part!r}, got no such module."
            )
        for later in names[names.index(part) + 1 :]:
            if _has_state(parent.get_submodule(later)):
                setattr(parent, later, nn.Identity())
        parent = parent.get_submodule(part)


def _has_state(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None or next(module.buffers(), None) is not None


def _build_timm(architecture: Architecture, contract: InputContract) -> nn.Module:
    import timm

    options: dict[str, Any] = dict(architecture.options)
    if contract.channels != 3:
        options.setdefault("in_chans", contract.channels)
    config = timm.get_pretrained_cfg(architecture.builder, allow_unregistered=True)
    if config is not None and config.fixed_input_size:
        options.setdefault("img_size", contract.size)
    try:
        network: nn.Module = timm.create_model(
            architecture.builder, pretrained=False, num_classes=0, **options
        )
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        raise UsageError(
            f"architecture {architecture.name!r}: expected timm to build {architecture.builder!r} with "
            f"{options!r}, got: {error}."
        ) from error
    return network


def _build_torchvision(architecture: Architecture, contract: InputContract) -> nn.Module:
    from torchvision import models

    heads = _heads_of(architecture.builder)
    try:
        network: nn.Module = models.get_model(
            architecture.builder, weights=None, **dict(architecture.options)
        )
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"architecture {architecture.name!r}: torchvision cannot build it: {error}."
        ) from error
    for path, replacement in heads.items():
        network.set_submodule(path, replacement())
    if contract.channels != 3:
        _change_input_channels(network, contract.channels)
    return network


def _heads_of(builder: str) -> dict[str, Callable[[], nn.Module]]:
    fitting = [family for family in TORCHVISION_HEADS if builder.startswith(family)]
    if not fitting:
        raise UsageError(
            f"architecture 'torchvision/{builder}': expected a family whose head is known "
            f"({', '.join(TORCHVISION_HEADS)}), got another. Use the timm network of that name instead."
        )
    return TORCHVISION_HEADS[max(fitting, key=len)]


def _change_input_channels(network: nn.Module, channels: int) -> None:
    path, first = next((p, m) for p, m in network.named_modules() if isinstance(m, nn.Conv2d))
    changed = nn.Conv2d(
        channels,
        first.out_channels,
        first.kernel_size,  # type: ignore[arg-type]
        stride=first.stride,  # type: ignore[arg-type]
        padding=first.padding,  # type: ignore[arg-type]
        bias=first.bias is not None,
    )
    network.set_submodule(path, changed)


def _build_own(architecture: Architecture, contract: InputContract) -> nn.Module:
    module, _, function = architecture.builder.partition(":")
    build = getattr(importlib.import_module(module), function)
    options = {"channels": contract.channels, **dict(architecture.options)}
    network: nn.Module = build(**options)
    return network
