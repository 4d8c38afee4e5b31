"""Feature pyramids of hierarchical networks that pass on tokens, not maps: Hiera, MViT, Twins, PiT and others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from medtransfer.models.pyramid import PyramidLevel


@dataclass(frozen=True)
class StagePyramid:
    """Which of the intermediate maps a network gives make its pyramid: the last one of each resolution.

    The maps are taken as the stages put them out, without a normalisation, as those of a convolutional
    network are. So a pyramid has no weights.

    Reference:
        Ryali et al., "Hiera: A Hierarchical Vision Transformer without the Bells-and-Whistles", ICML 2023,
        for detection from the ends of the stages.
    """

    stages: tuple[int, ...]
    """Index of the intermediate map of each level, finest first."""
    levels: tuple[PyramidLevel, ...]
    """The maps, finest first."""

    def maps(self, network: nn.Module, images: Tensor) -> list[Tensor]:
        """Return the feature maps of images.

        Args:
            network: The network the pyramid was found in.
            images: Normalised images, shape (N, C, S, S).

        Returns:
            One map of shape (N, F, h, w) per level, finest first.
        """
        return _intermediates(network, images, list(self.stages))


def find_stage_pyramid(network: nn.Module, images: Tensor) -> StagePyramid | None:
    """Return the pyramid of a network that gives intermediate maps of several resolutions.

    Args:
        network: Network in evaluation mode.
        images: One square image, shape (1, C, S, S).

    Returns:
        One level per resolution; None for a network that does not give such maps (timm's
        ``forward_intermediates`` does), or of one resolution only.
    """
    if not hasattr(network, "forward_intermediates"):
        return None
    try:
        with torch.no_grad():
            maps = _intermediates(network, images, None)
    except (AssertionError, RuntimeError, TypeError, ValueError):
        return None
    if not all(each.ndim == 4 and each.shape[2] == each.shape[3] for each in maps):
        return None
    last = {each.shape[3]: number for number, each in enumerate(maps)}
    if len(last) < 2:
        return None
    stages = tuple(last[side] for side in sorted(last, reverse=True))
    levels = tuple(
        PyramidLevel(f"intermediates.{number}", 0, maps[number].shape[1], images.shape[3] / side)
        for side, number in zip(sorted(last, reverse=True), stages, strict=True)
    )
    return StagePyramid(stages, levels)


def _intermediates(network: Any, images: Tensor, indices: list[int] | None) -> list[Tensor]:
    """Return intermediate maps (N, F, h, w), all or those of some indices in their order."""
    maps: list[Tensor] = network.forward_intermediates(
        images, indices=indices, norm=False, output_fmt="NCHW", intermediates_only=True
    )
    return maps
