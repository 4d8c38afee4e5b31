"""A block of a U-Net's decoder that can convolve before it doubles the map."""

from __future__ import annotations

from typing import cast

from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder, UnetDecoderBlock
from torch import Tensor, nn
from torch.nn import functional

from medtransfer.models.convolution_order import MANY_CHANNELS
from medtransfer.models.doubled_convolution import DoublingBlock, convolve_apart, convolve_doubled


class UNetBlock(UnetDecoderBlock, DoublingBlock):  # type: ignore[misc] # the library is untyped
    """The library's block; where it doubles a large map, its first convolution may come before that."""

    conv1: nn.Sequential
    conv2: nn.Module
    attention2: nn.Module

    def forward(
        self,
        feature_map: Tensor,
        target_height: int,
        target_width: int,
        skip_connection: Tensor | None = None,
    ) -> Tensor:
        """Return the block's maps.

        Args:
            feature_map: Shape (N, C, H, W).
            target_height: Height of what is returned.
            target_width: Its width.
            skip_connection: Maps of the encoder, of the target's size.

        Returns:
            Shape (N, F, target height, target width).
        """
        maps = self._first_convolved(feature_map, (target_height, target_width), skip_connection)
        if maps is None:
            found: Tensor = super().forward(feature_map, target_height, target_width, skip_connection)
            return found
        for layer in (*list(self.conv1)[1:], self.conv2, self.attention2):
            maps = layer(maps)
        return maps

    def _first_convolved(self, maps: Tensor, size: tuple[int, int], beside: Tensor | None) -> Tensor | None:
        """Return what the first convolution makes; None where the library's way is faster."""
        first = cast("nn.Conv2d", self.conv1[0])
        if self.convolves_first_from is None or first.in_channels > MANY_CHANNELS:
            return None
        doubles = (2 * maps.shape[2], 2 * maps.shape[3]) == size
        if doubles and maps.shape[2] * maps.shape[3] >= self.convolves_first_from:
            return convolve_doubled(maps, beside, first.weight)
        if beside is not None and maps.requires_grad and not beside.requires_grad:
            return convolve_apart(functional.interpolate(maps, size=size), beside, first.weight)
        return None


def with_our_blocks(decoder: UnetDecoder) -> UnetDecoder:
    """Return a decoder with its blocks made ours, in place; parameters and their names stay."""
    for block in decoder.blocks:
        block.__class__ = UNetBlock
    return decoder
