"""Curved distortions of a batch on the device that trains; see :mod:`medtransfer.data.distortions`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from medtransfer.data.device_copies import DeviceCopies
from medtransfer.data.distortions import Bend, ElasticBend, GridBend, OpticalBend


def bent_places(bends: Sequence[Bend | None], size: int, copies: DeviceCopies) -> Tensor:
    """Return for every pixel of the views the column and row of the undistorted view it shows.

    Only what was drawn goes to the device; the noise of an elastic distortion is most of it.

    Args:
        bends: Each case's distortion.
        size: Side of the views in pixels.
        copies: Takes the draws to the device.

    Returns:
        float32 (B, size, size, 2); (1, size, size, 2) where no case is distorted.
    """
    steps = torch.arange(size, dtype=torch.float32, device=copies.place)
    straight = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), dim=-1)[None]
    if all(bend is None for bend in bends):
        return straight
    kinds: tuple[type, ...] = (type(None), ElasticBend, GridBend, OpticalBend)
    members = [
        np.array([number for number, bend in enumerate(bends) if isinstance(bend, kind)], dtype=np.int64)
        for kind in kinds
    ]
    plain, elastic, grids, lenses = ([bends[number] for number in found] for found in members)
    places = torch.cat(
        [
            straight.expand(len(plain), -1, -1, -1),
            _elastic([bend for bend in elastic if isinstance(bend, ElasticBend)], straight, copies),
            _stretched([bend for bend in grids if isinstance(bend, GridBend)], straight, copies),
            _through_lens([bend for bend in lenses if isinstance(bend, OpticalBend)], straight, copies),
        ]
    )
    return places.index_select(0, copies.put(np.argsort(np.concatenate(members))))


def _elastic(bends: Sequence[ElasticBend], straight: Tensor, copies: DeviceCopies) -> Tensor:
    if not bends:
        return straight[:0]
    noise = copies.put(np.stack([bend.noise for bend in bends]))
    blur = copies.put(_blurring_matrix(noise.shape[1], bends[0].sigma))
    smooth = torch.einsum("yi,bijc,xj->byxc", blur, noise, blur)
    matrices = copies.put(np.stack([bend.matrix for bend in bends]))[:, :, :, None, None]
    columns, rows = straight[..., 0], straight[..., 1]
    moved = matrices[:, :, 0] * columns[:, None] + matrices[:, :, 1] * rows[:, None] + matrices[:, :, 2]
    return moved.permute(0, 2, 3, 1) + bends[0].factor * smooth


@cache
def _blurring_matrix(size: int, sigma: float) -> npt.NDArray[np.float32]:
    """Return the matrix (size, size) that blurs a column by a Gaussian, cut where OpenCV cuts that of floats."""
    taps = round(sigma * 8 + 1) | 1
    weights = cv2.getGaussianKernel(taps, sigma, cv2.CV_64F)
    blurred = cv2.sepFilter2D(
        np.eye(size), cv2.CV_64F, np.ones(1), weights, borderType=cv2.BORDER_REFLECT_101
    )
    return np.asarray(blurred, dtype=np.float32)


def _stretched(bends: Sequence[GridBend], straight: Tensor, copies: DeviceCopies) -> Tensor:
    if not bends:
        return straight[:0]
    along = copies.put(np.stack([np.stack([bend.columns, bend.rows]) for bend in bends]).astype(np.float32))
    size = along.shape[-1]
    columns = along[:, 0, None, :].expand(-1, size, -1)
    rows = along[:, 1, :, None].expand(-1, -1, size)
    return torch.stack([columns, rows], dim=-1)


def _through_lens(bends: Sequence[OpticalBend], straight: Tensor, copies: DeviceCopies) -> Tensor:
    if not bends:
        return straight[:0]
    drawn = np.array([[bend.strength, *bend.centre] for bend in bends], dtype=np.float32)
    strength, *centre = copies.put(drawn)[:, :, None, None].unbind(1)
    size = straight.shape[1]
    across, down = ((straight[..., axis] - centre[axis]) / size for axis in (0, 1))
    squared = across**2 + down**2
    factor = size * (1 + strength * squared + strength * squared**2)
    return torch.stack([across * factor + centre[0], down * factor + centre[1]], dim=-1)
