"""Batches from a decoded cache: random views for training, the centre view for evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import ShapeError
from medtransfer.core.seeds import generator
from medtransfer.data.augmentation import Augmentation, augment_batch
from medtransfer.data.decoded_cache import DecodedCache

UInt8Array = npt.NDArray[np.uint8]
IndexArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """Some cases as a network and a loss take them."""

    images: UInt8Array
    """(B, size, size, C)."""
    targets: npt.NDArray[Any] | None
    """Labels (B,) or (B, C), or masks (B, size, size); None when there is nothing to predict."""
    indices: IndexArray
    """(B,) row numbers in the case table."""


@dataclass(frozen=True)
class Crop:
    """Where a view of fixed size is cut from an image."""

    row: float = 0.5
    """0 at the top, 1 at the bottom, 0.5 in the middle."""
    column: float = 0.5
    """0 at the left, 1 at the right, 0.5 in the middle."""
    mirrored: bool = False
    """Whether left and right are exchanged afterwards."""

    def windows(self, side: int, size: int) -> tuple[slice, slice]:
        """Return the rows and columns of a view of ``size`` pixels in an image of ``side``.

        Example:
            >>> Crop(0.5, 1).windows(9, 4)
            (slice(2, 6, None), slice(5, 9, None))
        """
        top, left = (int((side - size) * share) for share in (self.row, self.column))
        return slice(top, top + size), slice(left, left + size)


CENTRE = Crop()
"""The view of every evaluation."""
TEN_CROPS = tuple(
    Crop(row, column, mirrored)
    for mirrored in (False, True)
    for row, column in ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.5))
)
"""Four corners and the centre, and their mirror images."""


def training_batches(
    cache: DecodedCache,
    targets: npt.NDArray[Any] | None,
    indices: IndexArray,
    *,
    batch_size: int,
    size: int,
    augmentation: Augmentation,
    seed: int,
    epoch: int,
) -> Iterator[Batch]:
    """Yield every case once, in an order and in views that depend on seed and epoch only.

    No case is dropped. A last batch of one case joins the one before it, because batch normalisation
    cannot be trained on a single case.

    Args:
        cache: Decoded images of all cases.
        targets: Labels of **all** N cases, (N,) or (N, C); None takes the cache's masks, if it has any.
        indices: (n,) rows to train on.
        batch_size: Cases in a batch, at least 1.
        size: Side of the views, at most the cache's.
        augmentation: Ranges of the views.
        seed: The trial's seed.
        epoch: Number of the epoch, from 0.

    Raises:
        ShapeError: If the targets or the indices do not fit the cache.
    """
    for part in training_order(cache, targets, indices, batch_size=batch_size, seed=seed, epoch=epoch):
        masks = None if cache.masks is None else cache.masks[part]
        images, moved = augment_batch(
            cache.images[part], masks, part, size=size, augmentation=augmentation, seed=seed, epoch=epoch
        )
        yield Batch(images, moved if targets is None else targets[part], part)


def training_order(
    cache: DecodedCache,
    targets: npt.NDArray[Any] | None,
    indices: IndexArray,
    *,
    batch_size: int,
    seed: int,
    epoch: int,
) -> list[IndexArray]:
    """Return the rows of an epoch's batches; Args and Raises as for :func:`training_batches`."""
    rows = _checked_rows(cache, targets, indices, batch_size)
    shuffled = generator("order", seed, epoch).permutation(rows)
    return split_rows(shuffled, batch_size, merge_single=True)


def evaluation_batches(
    cache: DecodedCache,
    targets: npt.NDArray[Any] | None,
    indices: IndexArray,
    *,
    batch_size: int,
    size: int,
    crop: Crop = CENTRE,
) -> Iterator[Batch]:
    """Yield the cases in the order of ``indices``, each as one crop of ``size`` pixels, at the centre if unsaid.

    Args and Raises as for :func:`training_batches`; where the cache is ``size`` pixels wide, the crop is
    the whole image.
    """
    rows = _checked_rows(cache, targets, indices, batch_size)
    if not 1 <= size <= cache.side:
        raise ShapeError(f"size: expected 1 to {cache.side}, the side of the images, got {size}.")
    high, wide = crop.windows(cache.side, size)
    for part in split_rows(rows, batch_size, merge_single=False):
        images = cache.images[part, high, wide]
        masks = None if cache.masks is None else cache.masks[part, high, wide]
        if crop.mirrored:
            images, masks = images[:, :, ::-1], None if masks is None else masks[:, :, ::-1]
        yield Batch(images, masks if targets is None else targets[part], part)


def split_rows(rows: IndexArray, batch_size: int, *, merge_single: bool) -> list[IndexArray]:
    """Return consecutive parts of ``batch_size`` rows; the last may be smaller.

    Example:
        >>> [len(part) for part in split_rows(np.arange(9), 4, merge_single=True)]
        [4, 5]
    """
    parts = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    if merge_single and batch_size > 1 and len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [np.concatenate(parts[-2:])]
    return parts


def _checked_rows(
    cache: DecodedCache, targets: npt.NDArray[Any] | None, indices: IndexArray, batch_size: int
) -> IndexArray:
    rows = np.asarray(indices, dtype=np.int64)
    if batch_size < 1:
        raise ShapeError(f"batch size: expected at least 1, got {batch_size}.")
    if targets is not None and len(targets) != len(cache):
        raise ShapeError(f"targets: expected one row for each of {len(cache)} cases, got {len(targets)}.")
    if len(rows) and (rows.min() < 0 or rows.max() >= len(cache)):
        raise ShapeError(f"indices: expected rows in [0, {len(cache)}), got {rows.min()} to {rows.max()}.")
    return rows
