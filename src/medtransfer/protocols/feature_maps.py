"""Feature maps of all cases, computed once by a frozen encoder, as data a decoder can be trained on."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from medtransfer.core.kept_memory import HUGE_PAGES_FROM_PASSES, kept_memory
from medtransfer.core.progress import Progress, no_progress
from medtransfer.core.seeds import generator
from medtransfer.data.batches import Batch, evaluation_batches, split_rows
from medtransfer.data.decoded_cache import DecodedCache
from medtransfer.data.device_copies import DeviceCopies, read_later
from medtransfer.models.network import Encoder
from medtransfer.training.determinism import reproducible
from medtransfer.training.memory_layout import memory_format_for
from medtransfer.training.suited_layers import suit_layers
from medtransfer.training.training_data import EVALUATION_BATCH, IndexArray, TensorBatch, image_tensor

FloatArray = npt.NDArray[np.float32]

MOST_MEMORY_BYTES = 512 << 20
"""Feature maps beyond this size go to a temporary file, which the system pages in as batches need it."""


@dataclass(frozen=True)
class FeatureMaps:
    """Training data whose inputs are feature maps; without augmentation, so epochs differ in order only."""

    maps: tuple[FloatArray, ...]
    """One array (N, h, w, C) per level, finest first; channels last, as convolutions read them fastest."""
    masks: npt.NDArray[np.uint8]
    """(N, S, S) masks in the network's resolution."""
    train: IndexArray
    """Rows to train on."""
    validate: IndexArray
    """Rows to validate on."""
    batch_size: int
    """Cases per training batch."""
    seed: int
    """Seed of the order."""

    @property
    def train_cases(self) -> int:
        """Number of training cases."""
        return len(self.train)

    def training(self, epoch: int) -> Iterator[TensorBatch]:
        """Yield the training cases of an epoch, shuffled; a last single case joins the batch before it."""
        shuffled = generator("order", self.seed, epoch).permutation(self.train)
        return (self._tensors(rows) for rows in split_rows(shuffled, self.batch_size, merge_single=True))

    def validation(self) -> Iterator[TensorBatch]:
        """Yield the validation cases, in order."""
        return self.evaluation(self.validate)

    def evaluation(self, rows: IndexArray) -> Iterator[TensorBatch]:
        """Yield any cases, in the order of ``rows``."""
        return (self._tensors(part) for part in split_rows(rows, EVALUATION_BATCH, merge_single=False))

    def _tensors(self, rows: IndexArray) -> TensorBatch:
        maps = [torch.from_numpy(level[rows]).permute(0, 3, 1, 2) for level in self.maps]
        return TensorBatch(maps, torch.from_numpy(self.masks[rows]), rows)


def extract_feature_maps(
    encoder: Encoder,
    cache: DecodedCache,
    *,
    device: str,
    scratch_folder: Path,
    progress: Progress = no_progress,
) -> tuple[FloatArray, ...]:
    """Return the feature pyramids of all cases, float32, one array (N, h, w, C) per level, finest first.

    The encoder is in evaluation mode and without gradients; nothing in it changes. Half precision would
    halve the size but round features of large networks to infinity, so it is not offered.

    Args:
        encoder: A network with feature maps.
        cache: Decoded images of all N cases, in the size the network sees.
        device: Where to compute.
        scratch_folder: Where maps that do not fit in memory go, in a file that vanishes with the process.
        progress: Told about the cases.
    """
    place = torch.device(device)
    layout = memory_format_for(encoder, cache.side, place)
    encoder.to(place).to(memory_format=layout).eval()
    image = torch.zeros((1, 1, cache.side, cache.side), dtype=torch.uint8)
    suit_layers(encoder, lambda: encoder.pyramid(image.contiguous(memory_format=layout)), layout, place)
    rows = np.arange(len(cache))
    arrays: list[FloatArray] = []
    batches = evaluation_batches(cache, None, rows, batch_size=EVALUATION_BATCH, size=cache.side)
    huge_pages = len(rows) >= HUGE_PAGES_FROM_PASSES * EVALUATION_BATCH
    with kept_memory(huge_pages=huge_pages) if place.type == "cpu" else nullcontext():
        for part, levels in read_later(_pyramids(encoder, batches, place, layout), place):
            arrays = arrays or _allocate([(len(rows), *level.shape[1:]) for level in levels], scratch_folder)
            for array, level in zip(arrays, levels, strict=True):
                array[part] = level.numpy()
            progress("feature maps", int(part[-1]) + 1, len(rows))
    return tuple(arrays)


def _pyramids(
    encoder: Encoder, batches: Iterator[Batch], place: torch.device, layout: torch.memory_format
) -> Iterator[tuple[IndexArray, tuple[torch.Tensor, ...]]]:
    """Yield rows and feature maps (B, h, w, C) of each batch, on the device."""
    copies = DeviceCopies(place)
    for batch in batches:
        images = copies.put(image_tensor(batch.images, layout))
        with reproducible(0, place), torch.inference_mode():
            pyramid = encoder.pyramid(images)
            levels = tuple(level.float().permute(0, 2, 3, 1) for level in pyramid)
        copies.pace()
        yield batch.indices, levels


def _allocate(shapes: list[tuple[int, ...]], scratch_folder: Path) -> list[FloatArray]:
    if 4 * sum(prod(shape) for shape in shapes) <= MOST_MEMORY_BYTES:
        return [np.empty(shape, dtype=np.float32) for shape in shapes]
    scratch_folder.mkdir(parents=True, exist_ok=True)
    return [_scratch_array(shape, scratch_folder) for shape in shapes]


def _scratch_array(shape: tuple[int, ...], folder: Path) -> FloatArray:
    with tempfile.TemporaryFile(dir=folder) as stream:
        return np.memmap(stream, dtype=np.float32, mode="w+", shape=shape)
