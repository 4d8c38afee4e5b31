"""A block of a U-Net's decoder that can convolve before it doubles the map."""

from __future__ import annotations

from typing import cast

from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder, UnetDecoderBlock
from torch import Tensor, nn

from medtransfer.models.convolution_order import MANY_CHANNELS
from medtransfer.models.doubled_convolution import DoublingBlock, convolve_doubled


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
        if not self._convolves_first(feature_map, target_height, target_width):
            found: Tensor = super().forward(feature_map, target_height, target_width, skip_connection)
            return found
        maps = convolve_doubled(feature_map, skip_connection, self._first.weight)
        for layer in (*list(self.conv1)[1:], self.conv2, self.attention2):
            maps = layer(maps)
        return maps

    @property
    def _first(self) -> nn.Conv2d:
        return cast("nn.Conv2d", self.conv1[0])

    def _convolves_first(self, maps: Tensor, height: int, width: int) -> bool:
        least = self.convolves_first_from
        doubles = (2 * maps.shape[2], 2 * maps.shape[3]) == (height, width)
        large = least is not None and maps.shape[2] * maps.shape[3] >= least
        return doubles and large and self._first.in_channels <= MANY_CHANNELS


def with_our_blocks(decoder: UnetDecoder) -> UnetDecoder:
    """Return a decoder with its blocks made ours, in place; parameters and their names stay."""
    for block in decoder.blocks:
        block.__class__ = UNetBlock
    return decoder
