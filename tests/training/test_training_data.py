"""Cached images as training data: every case once, the same validation every time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from medtransfer.data.augmentation import DEFAULT
from medtransfer.data.decoded_cache import DecodedCache
from medtransfer.training.training_data import CachedImages, steps_per_epoch

SIDE, SIZE = 16, 14


def images(train: int, batch_size: int = 4, *, masks: bool = False) -> CachedImages:
    pixels = np.random.default_rng(0).integers(0, 256, (50, SIDE, SIDE, 3), dtype=np.uint8)
    cache = DecodedCache(pixels, pixels[..., 0] // 128 if masks else None, "key")
    return CachedImages(
        cache=cache,
        labels=None if masks else np.arange(50),
        train=np.arange(5, 5 + train),
        validate=np.arange(40, 50),
        size=SIZE,
        augmentation=DEFAULT,
        batch_size=batch_size,
        seed=3,
    )


@pytest.mark.parametrize("train", [2, 4, 5, 8, 9, 11])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_steps_per_epoch_is_the_number_of_batches(train: int, batch_size: int) -> None:
    data = images(train, batch_size)
    assert steps_per_epoch(data) == len(list(data.training(0)))


def test_an_epoch_has_every_training_case_once_with_its_own_target() -> None:
    data = images(11)
    for epoch in (0, 1):
        batches = list(data.training(epoch))
        rows = np.concatenate([batch.rows for batch in batches])
        assert sorted(rows.tolist()) == data.train.tolist()
        assert torch.cat([batch.targets for batch in batches]).tolist() == rows.tolist()
    assert data.train_cases == 11


def test_validation_is_identical_every_time_and_not_augmented() -> None:
    data = images(11)
    first, second = list(data.validation()), list(data.validation())
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one.inputs, other.inputs)
    start = (SIDE - SIZE) // 2
    expected = data.cache.images[40:, start:-start, start:-start].transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(torch.cat([batch.inputs for batch in first]).numpy(), expected)


def test_evaluation_batches_do_not_depend_on_the_recipe() -> None:
    sizes = [[len(b.rows) for b in images(11, size).evaluation(np.arange(40))] for size in (1, 4)]
    assert sizes[0] == sizes[1]


def test_masks_move_with_their_images() -> None:
    data = images(8, masks=True)
    (batch,) = list(replace(data, batch_size=8).training(0))
    assert batch.targets.shape == (8, SIZE, SIZE)
    assert batch.targets.dtype == torch.uint8


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_images_have_the_memory_format_asked_for(layout: torch.memory_format) -> None:
    data = replace(images(8), memory_format=layout)
    for batch in (next(data.training(0)), next(data.validation())):
        assert batch.inputs.is_contiguous(memory_format=layout)
        assert batch.inputs.dtype == torch.uint8
