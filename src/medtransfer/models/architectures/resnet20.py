"""The 20-layer residual network for 32 x 32 pictures, whose shortcuts have no weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

STAGE_CHANNELS = (16, 32, 64)
BLOCKS_PER_STAGE = 3


class PaddedShortcutBlock(nn.Module):
    """Two 3 x 3 convolutions around a shortcut that subsamples and pads with zero channels.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output; the shortcut pads the difference equally on both sides.
        stride: 1, or 2 to halve the side.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.stride = stride
        self.added = channels_out - channels_in

    def forward(self, maps: Tensor) -> Tensor:
        """Return the block's output, shape (N, channels_out, h, w)."""
        inner = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(maps)))))
        return functional.relu(inner + self._shortcut(maps))

    def _shortcut(self, maps: Tensor) -> Tensor:
        if self.stride > 1:
            maps = maps[:, :, :: self.stride, :: self.stride]
        before = self.added // 2
        return functional.pad(maps, (0, 0, 0, 0, before, self.added - before)) if self.added else maps


class ResNet20(nn.Module):
    """Residual network with 3 x 3 blocks and "option A" shortcuts; 64 features after global pooling.

    Args:
        channels: Channels of the input, 1 or 3.

    Reference:
        He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2.
    """

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, STAGE_CHANNELS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(STAGE_CHANNELS[0])
        self.layer1 = _stage(STAGE_CHANNELS[0], STAGE_CHANNELS[0], stride=1)
        self.layer2 = _stage(STAGE_CHANNELS[0], STAGE_CHANNELS[1], stride=2)
        self.layer3 = _stage(STAGE_CHANNELS[1], STAGE_CHANNELS[2], stride=2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Return the embedding.

        Args:
            images: Normalised images, shape (N, channels, H, W).

        Returns:
            Features, shape (N, 64).
        """
        maps = functional.relu(self.bn1(self.conv1(images)))
        maps = self.layer3(self.layer2(self.layer1(maps)))
        return torch.flatten(functional.adaptive_avg_pool2d(maps, 1), 1)


def _stage(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    first = PaddedShortcutBlock(channels_in, channels_out, stride)
    rest = (PaddedShortcutBlock(channels_out, channels_out, 1) for _ in range(BLOCKS_PER_STAGE - 1))
    return nn.Sequential(first, *rest)
