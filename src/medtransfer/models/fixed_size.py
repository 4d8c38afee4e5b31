"""Networks that are made for images of one size, and how they are adapted to another."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from medtransfer.core.errors import UsageError
from medtransfer.models.source_model import Architecture
from medtransfer.models.torchvision_tokens import fit_torchvision, is_torchvision_transformer


def has_fixed_size(network: nn.Module) -> bool:
    """Return whether a network takes images of one size only, as most transformers do."""
    config = getattr(network, "pretrained_cfg", None)
    if isinstance(config, dict):
        return bool(config.get("fixed_input_size"))
    return isinstance(getattr(network, "image_size", None), int)


def fit_to_size(
    network: nn.Module, architecture: Architecture, built_size: int, image_size: int | None
) -> None:
    """Adapt a network of fixed size to images of another one, in place.

    Tables of absolute positions are interpolated; attention windows keep their size.

    Args:
        network: Network with its weights.
        architecture: Its architecture, for messages.
        built_size: Side in pixels it was built for.
        image_size: Side in pixels of the images that will come; None for ``built_size``.

    Raises:
        UsageError: If it cannot be adapted.
    """
    if image_size is None or image_size == built_size or not has_fixed_size(network):
        return
    patch = patch_side(network)
    if image_size % patch:
        raise UsageError(
            f"architecture {architecture.name!r}: expected images whose side is a multiple of its patches of "
            f"{patch} pixels, got {image_size}. Set image_size to {image_size // patch * patch or patch}."
        )
    if is_torchvision_transformer(network):
        fit_torchvision(network, image_size)
        return
    adapt = getattr(network, "set_input_size", None)
    if adapt is None:
        raise UsageError(
            f"architecture {architecture.name!r}: expected images of {built_size} pixels, got {image_size}. "
            f"Set image_size to {built_size}, or use the timm network of that name."
        )
    try:
        adapt(img_size=(image_size, image_size), **_window_options(network, adapt))
    except (AssertionError, AttributeError, RuntimeError, TypeError, ValueError) as error:
        raise UsageError(
            f"architecture {architecture.name!r}: cannot be adapted from {built_size} to {image_size} "
            f"pixels: {error}. Set image_size to {built_size} or to a multiple of its patch."
        ) from error


def _window_options(network: nn.Module, adapt: Callable[..., None]) -> dict[str, Any]:
    """Return options that keep the attention windows of a Swin transformer as they were trained."""
    stages: Any = getattr(network, "layers", None)
    if stages is None or not {"window_size", "always_partition"} <= set(inspect.signature(adapt).parameters):
        return {}
    return {"window_size": [stage.blocks[0].window_size for stage in stages], "always_partition": True}


def patch_side(network: nn.Module) -> int:
    """Return the side of the patches a network cuts images into; what they do not tile is cut off.

    Args:
        network: Any network; one that does not say its patches shows them by a first convolution whose
            steps are as long as its kernel.
    """
    patches = getattr(getattr(network, "patch_embed", network), "patch_size", None)
    if patches is None:
        first = next((module for module in network.modules() if isinstance(module, nn.Conv2d)), None)
        patches = first.kernel_size if first is not None and first.kernel_size == first.stride else 1
    return int(patches if isinstance(patches, int) else patches[0])
