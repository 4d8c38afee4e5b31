"""What timm's vision transformers do by themselves, done for torchvision's: tokens of blocks, other sizes."""

from __future__ import annotations

from math import isqrt
from typing import Any

from torch import Tensor, nn

from medtransfer.models.adaptations import planned_adaptation
from medtransfer.models.source_model import Adaptation

CLASS_TOKENS = 1
"""Tokens in front of those of the patches."""
_POSITIONS: Adaptation = "positions"


def is_torchvision_transformer(network: nn.Module) -> bool:
    """Return whether a network is torchvision's plain vision transformer."""
    from torchvision.models import VisionTransformer

    return isinstance(network, VisionTransformer)


def torchvision_tokens(network: Any, images: Tensor, blocks: list[int]) -> list[Tensor]:
    """Return the tokens of patches after some blocks, normalised as the last ones are.

    Args:
        network: torchvision's vision transformer.
        images: Normalised images of the size it is fitted to, shape (N, C, S, S).
        blocks: Indices of blocks, ascending.

    Returns:
        One map of shape (N, F, S / patch, S / patch) per block.
    """
    given: dict[int, Tensor] = {}

    def keep(number: int) -> Any:
        return lambda module, inputs, output: given.update({number: output})  # noqa: ARG005 (torch's call)

    layers = list(network.encoder.layers)
    hooks = [layers[number].register_forward_hook(keep(number)) for number in blocks]
    try:
        network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return [_as_map(network.encoder.ln(given[number])) for number in blocks]


def fit_torchvision(network: Any, image_size: int) -> None:
    """Make a vision transformer of torchvision take images of another size, in place.

    The positions are interpolated as those of timm's are, so that both libraries' networks change alike.

    Args:
        network: torchvision's vision transformer.
        image_size: Side in pixels, a multiple of its patch.
    """
    old = network.encoder.pos_embedding
    tokens = (image_size // network.patch_size) ** 2 + CLASS_TOKENS
    expected = (1, tokens, old.shape[2])
    plan = planned_adaptation("pos_embed", tuple(old.shape), expected, (_POSITIONS,))
    if plan is not None:
        network.encoder.pos_embedding = nn.Parameter(
            plan.apply(old.detach()), requires_grad=old.requires_grad
        )
    network.image_size, network.seq_length = image_size, tokens


def _as_map(tokens: Tensor) -> Tensor:
    patches = tokens[:, CLASS_TOKENS:]
    side = isqrt(patches.shape[1])
    return patches.transpose(1, 2).reshape(len(tokens), -1, side, side)
