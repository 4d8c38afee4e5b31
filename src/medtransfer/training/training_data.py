"""What the training loop asks of data, and the usual answer: views of decoded images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from medtransfer.data.augmentation import Augmentation
from medtransfer.data.batches import CENTRE, Batch, Crop, evaluation_batches, training_batches
from medtransfer.data.decoded_cache import DecodedCache

IndexArray = npt.NDArray[np.int64]

EVALUATION_BATCH = 32
"""Cases per batch without gradients; a constant, so that the recipe's batch size cannot change a score."""


@dataclass(frozen=True)
class TensorBatch:
    """Some cases as tensors."""

    inputs: Tensor | list[Tensor]
    """What the network takes: uint8 images (B, C, H, W), or precomputed feature maps."""
    targets: Tensor
    """Labels (B,) or (B, C), or masks (B, H, W)."""
    rows: IndexArray
    """(B,) row numbers in the case table."""


class TrainingData(Protocol):
    """Cases to train on and to validate on; every case exactly once per pass."""

    @property
    def train_cases(self) -> int:
        """Number of training cases."""

    @property
    def batch_size(self) -> int:
        """Cases per training batch."""

    def training(self, epoch: int) -> Iterator[TensorBatch]:
        """Yield the training cases of an epoch, shuffled."""

    def validation(self) -> Iterator[TensorBatch]:
        """Yield the validation cases, in order and without augmentation."""

    def evaluation(self, rows: IndexArray) -> Iterator[TensorBatch]:
        """Yield any cases, in the order of ``rows`` and without augmentation."""


@dataclass(frozen=True)
class CachedImages:
    """Random views of decoded images for training, their centres for validation."""

    cache: DecodedCache
    """Images, and masks for segmentation, of all cases."""
    labels: npt.NDArray[Any] | None
    """Labels of all cases; None takes the masks."""
    train: IndexArray
    """Rows to train on."""
    validate: IndexArray
    """Rows to validate on."""
    size: int
    """Side of the views in pixels."""
    augmentation: Augmentation
    """Ranges of the training views."""
    batch_size: int
    """Cases per training batch."""
    seed: int
    """Seed of order and views."""
    memory_format: torch.memory_format = torch.contiguous_format
    """Order of the images' axes in memory."""

    @property
    def train_cases(self) -> int:
        """Number of training cases."""
        return len(self.train)

    def training(self, epoch: int) -> Iterator[TensorBatch]:
        """Yield the training cases of an epoch, shuffled and augmented."""
        batches = training_batches(
            self.cache,
            self.labels,
            self.train,
            batch_size=self.batch_size,
            size=self.size,
            augmentation=self.augmentation,
            seed=self.seed,
            epoch=epoch,
        )
        return (self._tensors(batch) for batch in batches)

    def validation(self) -> Iterator[TensorBatch]:
        """Yield the validation cases, in order, as centre crops."""
        return self.evaluation(self.validate)

    def evaluation(self, rows: IndexArray, crop: Crop = CENTRE) -> Iterator[TensorBatch]:
        """Yield any cases, in the order of ``rows``, as one crop each, at the centre if unsaid."""
        batches = evaluation_batches(
            self.cache, self.labels, rows, batch_size=EVALUATION_BATCH, size=self.size, crop=crop
        )
        return (self._tensors(batch) for batch in batches)

    def _tensors(self, batch: Batch) -> TensorBatch:
        images = image_tensor(batch.images, self.memory_format)
        return TensorBatch(images, torch.from_numpy(np.ascontiguousarray(batch.targets)), batch.indices)


def image_tensor(images: npt.NDArray[np.uint8], memory_format: torch.memory_format) -> Tensor:
    """Return images (B, H, W, C) as a uint8 tensor (B, C, H, W) in the given memory format."""
    tensor = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
    return tensor.contiguous(memory_format=memory_format)


def steps_per_epoch(data: TrainingData) -> int:
    """Return the number of training batches, where a last batch of one case joins the one before it."""
    steps = math.ceil(data.train_cases / data.batch_size)
    joins = data.batch_size > 1 and steps > 1 and data.train_cases % data.batch_size == 1
    return steps - joins
