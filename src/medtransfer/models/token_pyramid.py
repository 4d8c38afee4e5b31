"""Feature pyramids of plain vision transformers, made of their tokens after a quarter, a half, ... of the blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from medtransfer.models.pyramid import PyramidLevel
from medtransfer.models.torchvision_tokens import is_torchvision_transformer, torchvision_tokens

SCALES = (4.0, 2.0, 1.0, 0.5)
"""Sides of the maps, finest first, as multiples of the grid of tokens: strides of 4 to 32 for patches of 16."""


@dataclass(frozen=True)
class TokenPyramid:
    """Which blocks of a transformer give the maps of a pyramid.

    The finest map comes from the earliest block and the coarsest from the last. Maps are enlarged by
    bilinear interpolation and halved by averaging, so a pyramid has no weights: what is trained on a
    frozen encoder is the decoder alone, as for a convolutional network.

    Reference:
        Li et al., "Exploring Plain Vision Transformer Backbones for Object Detection", ECCV 2022, for
        pyramids of a plain transformer; Bao et al., "BEiT: BERT Pre-Training of Image Transformers",
        ICLR 2022, appendix, for maps from blocks of several depths.
    """

    blocks: tuple[int, ...]
    """Index of the block of each map, finest map first."""
    levels: tuple[PyramidLevel, ...]
    """The maps, finest first."""

    def maps(self, network: nn.Module, images: Tensor) -> list[Tensor]:
        """Return the feature maps of images.

        Args:
            network: The transformer the pyramid was found in.
            images: Normalised images, shape (N, C, S, S).

        Returns:
            One map of shape (N, F, h, w) per level, finest first.

        Raises:
            ValueError: If the images are so small that a map cannot be halved.
        """
        wanted = sorted(set(self.blocks))
        grids = dict(zip(wanted, _grids(network, images, wanted), strict=True))
        side = min(grids[wanted[-1]].shape[-2:])
        if side < 2:
            raise ValueError(f"{side} token to a side cannot be halved")
        return [_resized(grids[block], scale) for block, scale in zip(self.blocks, SCALES, strict=True)]


def find_token_pyramid(network: nn.Module, images: Tensor) -> TokenPyramid | None:
    """Return the pyramid of a plain transformer.

    Args:
        network: Network in evaluation mode.
        images: One square image, shape (1, C, S, S).

    Returns:
        Four levels; None for a network that does not give the tokens of its blocks as maps of one
        size (timm's ``forward_intermediates`` does, and we do it for torchvision's).
    """
    depth = _depth(network)
    if not depth:
        return None
    blocks = _spread(depth)
    try:
        with torch.no_grad():
            grids = _grids(network, images, sorted(set(blocks)))
    except (AssertionError, RuntimeError, TypeError, ValueError):
        return None
    if len({tuple(grid.shape) for grid in grids}) != 1 or grids[0].ndim != 4:
        return None
    patch = images.shape[-1] / grids[0].shape[-1]
    levels = tuple(
        PyramidLevel(f"blocks.{block}", 0, grids[0].shape[1], patch / scale)
        for block, scale in zip(blocks, SCALES, strict=True)
    )
    return TokenPyramid(blocks, levels)


def _spread(depth: int) -> tuple[int, ...]:
    """Return the blocks that end each quarter of a network, the last one last."""
    return tuple(-(-depth * quarter // len(SCALES)) - 1 for quarter in range(1, len(SCALES) + 1))


def _depth(network: Any) -> int:
    """Return the number of blocks whose tokens a network gives; 0 for one that gives none."""
    if is_torchvision_transformer(network):
        return len(network.encoder.layers)
    return len(getattr(network, "feature_info", ())) if hasattr(network, "forward_intermediates") else 0


def _grids(network: Any, images: Tensor, blocks: list[int]) -> list[Tensor]:
    """Return the tokens after some blocks, normalised as the last ones are, as maps (N, F, h, w)."""
    if is_torchvision_transformer(network):
        return torchvision_tokens(network, images, blocks)
    grids: list[Tensor] = network.forward_intermediates(
        images, indices=blocks, norm=True, output_fmt="NCHW", intermediates_only=True
    )
    return grids


def _resized(grid: Tensor, scale: float) -> Tensor:
    if scale > 1:
        return functional.interpolate(grid, scale_factor=scale, mode="bilinear", align_corners=False)
    return grid if scale == 1 else functional.avg_pool2d(grid, round(1 / scale), ceil_mode=True)
