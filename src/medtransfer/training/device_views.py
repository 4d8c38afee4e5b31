"""Random views computed on the device that trains: the draws of the CPU path, the same arithmetic on tensors.

What is computed here differs from OpenCV's result by rounding only. OpenCV may place a sample on a grid of
1/32 pixel and blends and blurs bytes with whole-number weights, depending on its version. The bounds tests
hold this path to, on images with edges and on every kind of change, are ``MEAN_TOLERANCE`` and, for 99.9 % of
the values, ``USUAL_TOLERANCE``. As there, values are rounded to bytes after each change, for the networks take bytes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from medtransfer.data.augmentation import Augmentation, ViewDraws
from medtransfer.data.device_copies import DeviceCopies
from medtransfer.training.device_bends import bent_places
from medtransfer.training.device_looks import changed_looks

MEAN_TOLERANCE = 0.6
"""Grey levels of 255 by which views may differ from those of the CPU path on average."""
USUAL_TOLERANCE = 3
"""Grey levels by which 99.9 % of the values may differ."""
MASK_TOLERANCE = 0.002
"""Share of mask pixels that may differ: those whose sample lies between two pixels."""


def compute_views(
    images: Tensor, masks: Tensor | None, draws: ViewDraws, augmentation: Augmentation, copies: DeviceCopies
) -> tuple[Tensor, Tensor | None]:
    """Return the drawn views of images that are on the device; pixels are resampled once.

    Args:
        images: uint8 (B, S, S, C) on the device, C 1 or 3.
        masks: uint8 (B, S, S) on the device, moved with the images, nearest neighbour; or None.
        draws: What was drawn for the batch.
        augmentation: The ranges it was drawn from.
        copies: Takes the draws to the device.

    Returns:
        Images (B, C, size, size) and masks (B, size, size) or None, uint8.
    """
    grid = _sampling_grid(draws, images.shape[1], copies)
    views = _sampled(images.permute(0, 3, 1, 2), grid, "bilinear")
    if draws.tables is not None:
        views = _toned(views, copies.put(draws.tables))
    if draws.looks is not None:
        views = changed_looks(views, draws.looks, augmentation.looks, copies)
    if masks is None:
        return views, None
    return views, _sampled(masks[:, None], grid, "nearest")[:, 0]


def _sampling_grid(draws: ViewDraws, side: int, copies: DeviceCopies) -> Tensor:
    """Return where in the images the pixels of the views lie, (B, size, size, 2), from -1 to 1."""
    maps = copies.put(draws.maps.astype("float32"))
    places = bent_places(draws.bends, draws.size, copies)
    # Written out: as a matrix product it could be rounded to the precision of the matrix units.
    columns, rows = places[..., 0], places[..., 1]
    matrix = maps[:, :, :, None, None]
    across = matrix[:, 0, 0] * columns + matrix[:, 0, 1] * rows + matrix[:, 0, 2]
    down = matrix[:, 1, 0] * columns + matrix[:, 1, 1] * rows + matrix[:, 1, 2]
    return torch.stack([across, down], dim=-1) * (2 / max(side - 1, 1)) - 1


def _sampled(images: Tensor, grid: Tensor, mode: str) -> Tensor:
    """Return images (B, C, S, S) sampled at a grid, mirrored at the middle of the outermost pixels."""
    sampled = functional.grid_sample(
        images.float(), grid, mode=mode, padding_mode="reflection", align_corners=True
    )
    return sampled.round_().clamp_(0, 255).to(torch.uint8)


def _toned(views: Tensor, tables: Tensor) -> Tensor:
    """Return views with each case's tone curve (B, 256) applied: exactly what the CPU path gives."""
    return tables.gather(1, views.flatten(1).long()).view_as(views)
