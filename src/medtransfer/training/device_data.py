"""Training data as a device takes it: views computed there, or batches of this machine sent ahead of time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from medtransfer.data.augmentation import draw_views
from medtransfer.data.batches import CENTRE, split_rows, training_order
from medtransfer.data.device_copies import DeviceCopies
from medtransfer.training.device_memory import usable_bytes
from medtransfer.training.device_pixels import Pixels, place_pixels
from medtransfer.training.device_policy import DevicePolicy
from medtransfer.training.device_views import compute_views
from medtransfer.training.training_data import (
    EVALUATION_BATCH,
    CachedImages,
    IndexArray,
    TensorBatch,
    TrainingData,
)


@dataclass(frozen=True)
class SentBatches:
    """Any training data, each batch sent to the device while the one before it is computed."""

    data: TrainingData
    """Gives batches on this machine."""
    copies: DeviceCopies
    """Takes them to the device."""

    @property
    def train_cases(self) -> int:
        """Number of training cases."""
        return self.data.train_cases

    @property
    def batch_size(self) -> int:
        """Cases per training batch."""
        return self.data.batch_size

    def training(self, epoch: int) -> Iterator[TensorBatch]:
        """Yield the training cases of an epoch, shuffled."""
        return sent(self.data.training(epoch), self.copies)

    def validation(self) -> Iterator[TensorBatch]:
        """Yield the validation cases, in order."""
        return sent(self.data.validation(), self.copies)

    def evaluation(self, rows: IndexArray) -> Iterator[TensorBatch]:
        """Yield any cases, in the order of ``rows``."""
        return sent(self.data.evaluation(rows), self.copies)


@dataclass(frozen=True)
class DeviceImages:
    """Cached images whose random views are computed on the device: same order, same draws, same cases."""

    data: CachedImages
    """What is trained on, and how."""
    pixels: Pixels
    """Training and validation images, and masks where these are the targets."""
    copies: DeviceCopies
    """Takes draws and labels to the device."""

    @property
    def train_cases(self) -> int:
        """Number of training cases."""
        return self.data.train_cases

    @property
    def batch_size(self) -> int:
        """Cases per training batch."""
        return self.data.batch_size

    def training(self, epoch: int) -> Iterator[TensorBatch]:
        """Yield the training cases of an epoch, shuffled and augmented."""
        data = self.data
        order = training_order(
            data.cache, data.labels, data.train, batch_size=data.batch_size, seed=data.seed, epoch=epoch
        )
        for rows in order:
            images, masks = self.pixels.take(rows)
            draws = draw_views(
                rows,
                side=data.cache.side,
                size=data.size,
                augmentation=data.augmentation,
                seed=data.seed,
                epoch=epoch,
            )
            views, moved = compute_views(images, masks, draws, data.augmentation, self.copies)
            yield self._batch(views, moved, rows)
            self.copies.pace()

    def validation(self) -> Iterator[TensorBatch]:
        """Yield the validation cases, in order, as centre crops."""
        high, wide = CENTRE.windows(self.data.cache.side, self.data.size)
        for rows in split_rows(self.data.validate, EVALUATION_BATCH, merge_single=False):
            images, masks = self.pixels.take(rows)
            crops = images[:, high, wide].permute(0, 3, 1, 2)
            yield self._batch(crops, None if masks is None else masks[:, high, wide], rows)
            self.copies.pace()

    def evaluation(self, rows: IndexArray) -> Iterator[TensorBatch]:
        """Yield any cases, in the order of ``rows``, as centre crops; their images are sent from this machine."""
        return sent(self.data.evaluation(rows), self.copies)

    def _batch(self, views: Tensor, masks: Tensor | None, rows: IndexArray) -> TensorBatch:
        labels = self.data.labels
        targets = masks if labels is None else self.copies.put(labels[rows])
        assert targets is not None
        return TensorBatch(views.contiguous(memory_format=self.data.memory_format), targets, rows)


def place_data(data: TrainingData, place: torch.device, policy: DevicePolicy) -> TrainingData:
    """Return training data for a device as its policy says; unchanged for the CPU's plain path.

    Args:
        data: What to train on.
        place: The device.
        policy: Of that device.
    """
    if isinstance(data, CachedImages) and policy.views == "device":
        copies = DeviceCopies(place)
        most = int(policy.resident_share * usable_bytes(place)) if policy.images == "resident" else 0
        rows = np.concatenate([data.train, data.validate])
        masks = data.cache.masks if data.labels is None else None
        return DeviceImages(data, place_pixels(data.cache.images, masks, rows, copies, most), copies)
    return data if place.type == "cpu" else SentBatches(data, DeviceCopies(place))


def resident_bytes(data: TrainingData) -> int:
    """Return the bytes of device memory that resident images take."""
    return data.pixels.resident_bytes if isinstance(data, DeviceImages) else 0


def sent(batches: Iterator[TensorBatch], copies: DeviceCopies) -> Iterator[TensorBatch]:
    """Yield batches on the device, a bounded number of them under way."""
    for batch in batches:
        inputs = (
            copies.put(batch.inputs)
            if isinstance(batch.inputs, Tensor)
            else [copies.put(tensor) for tensor in batch.inputs]
        )
        yield TensorBatch(inputs, copies.put(batch.targets), batch.rows)
        copies.pace()
