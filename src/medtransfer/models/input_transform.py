"""From uint8 images to what a source model expects; part of the network, so that nobody can forget it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medtransfer.core.errors import ShapeError, UsageError
from medtransfer.models.source_model import InputContract

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey (ITU-R BT.601)."""

HOUNSFIELD_LOW = -1024.0
HOUNSFIELD_WIDTH = 2048.0


class InputTransform(nn.Module):
    """Scale, centre and divide uint8 images by an input contract; has no parameters and no state.

    Args:
        contract: What the source model expects.

    Raises:
        UsageError: If mean and std do not have one value per channel, or std is not positive.
    """

    scale: Tensor
    shift: Tensor
    luma: Tensor

    def __init__(self, contract: InputContract) -> None:
        super().__init__()
        if len(contract.mean) != contract.channels or len(contract.std) != contract.channels:
            raise UsageError(
                f"input contract: expected {contract.channels} values of mean and std, "
                f"got {contract.mean!r} and {contract.std!r}."
            )
        if min(contract.std) <= 0:
            raise UsageError(f"input contract: expected std above 0, got {contract.std!r}.")
        self.contract = contract
        low, width = _linear_range(contract)
        mean = torch.tensor(contract.mean, dtype=torch.float64)
        std = torch.tensor(contract.std, dtype=torch.float64)
        self._keep("scale", (width / std).view(1, -1, 1, 1))
        self._keep("shift", ((low - mean) / std).view(1, -1, 1, 1))
        self._keep("luma", torch.tensor(LUMA, dtype=torch.float64).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return what the network sees.

        Args:
            images: uint8 of shape (N, 1 or 3, H, W), 0–255; grey images are repeated for a network of
                three channels, colour ones turned to grey for one. Floating images are taken as already
                transformed and must have the network's channels.

        Returns:
            float32 of shape (N, channels, H, W).

        Raises:
            ShapeError: If the shape is another.
        """
        channels = self.contract.channels
        allowed = (channels,) if images.is_floating_point() else (1, 3)
        if images.ndim != 4 or images.shape[1] not in allowed:
            raise ShapeError(
                f"images: expected shape (N, {' or '.join(map(str, allowed))}, H, W) of {images.dtype}, "
                f"got {tuple(images.shape)}."
            )
        if images.is_floating_point():
            return images
        values = images.to(self.scale.dtype)
        if channels == 1 and values.shape[1] == 3:
            values = (values * self.luma).sum(dim=1, keepdim=True)
        if self.contract.value_range == "minmax":
            values = _stretched(values)
        return values * self.scale + self.shift

    def _keep(self, name: str, values: Tensor) -> None:
        self.register_buffer(name, values.to(torch.float32), persistent=False)


def _linear_range(contract: InputContract) -> tuple[float, float]:
    """Return (low, width per grey level) of the linear map that precedes mean and std."""
    if contract.value_range == "hounsfield-like":
        return HOUNSFIELD_LOW, HOUNSFIELD_WIDTH / 255
    return 0.0, 1.0 if contract.value_range == "minmax" else 1 / 255


def _stretched(values: Tensor) -> Tensor:
    """Return each image stretched to [0, 1]; an image of one value becomes 0."""
    low = values.amin(dim=(1, 2, 3), keepdim=True)
    high = values.amax(dim=(1, 2, 3), keepdim=True)
    return (values - low) / (high - low).clamp_min(1.0)
