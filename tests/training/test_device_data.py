"""Training data of a device: the cases, order and targets of the CPU path, and views within the tolerance."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from medtransfer.data.augmentation import DEFAULT
from medtransfer.data.decoded_cache import DecodedCache
from medtransfer.data.device_copies import DeviceCopies
from medtransfer.training.device_data import DeviceImages, SentBatches, place_data, resident_bytes
from medtransfer.training.device_policy import DevicePolicy
from medtransfer.training.device_views import USUAL_TOLERANCE
from medtransfer.training.training_data import CachedImages, TensorBatch, steps_per_epoch

CPU = torch.device("cpu")
SIDE, SIZE = 36, 32
DEVICE = DevicePolicy(views="device", images="resident")


def images(*, masks: bool = False, layout: torch.memory_format = torch.contiguous_format) -> CachedImages:
    noise = np.random.default_rng(0).integers(0, 256, (50, SIDE, SIDE, 3), dtype=np.uint8)
    pixels = np.stack([cv2.GaussianBlur(image, (0, 0), 2) for image in noise])
    return CachedImages(
        cache=DecodedCache(pixels, pixels[..., 0] // 128 if masks else None, "key"),
        labels=None if masks else np.random.default_rng(1).random((50, 2)),
        train=np.arange(40)[::-3].copy(),
        validate=np.arange(40, 50),
        size=SIZE,
        augmentation=DEFAULT,
        batch_size=4,
        seed=3,
        memory_format=layout,
    )


def compare(found: TensorBatch, expected: TensorBatch, most: int) -> None:
    np.testing.assert_array_equal(found.rows, expected.rows)
    assert found.inputs.dtype == torch.uint8
    assert found.targets.dtype == expected.targets.dtype
    difference = (found.inputs.int() - expected.inputs.int()).abs()
    assert (difference <= most).float().mean() >= 0.999
    assert (found.targets != expected.targets).float().mean() <= (0.002 if most else 0)
    assert found.inputs.stride() == expected.inputs.stride()


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("where", ["host", "resident"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_batches_are_those_of_the_cpu_path(masks: bool, where: str, layout: torch.memory_format) -> None:
    data = images(masks=masks, layout=layout)
    placed = place_data(data, CPU, DEVICE.model_copy(update={"images": where}))
    assert isinstance(placed, DeviceImages)
    assert (resident_bytes(placed) > 0) == (where == "resident")
    assert (placed.train_cases, placed.batch_size) == (data.train_cases, data.batch_size)
    for epoch in (0, 1):
        pairs = list(zip(placed.training(epoch), data.training(epoch), strict=True))
        assert len(pairs) == steps_per_epoch(placed)
        for found, expected in pairs:
            compare(found, expected, USUAL_TOLERANCE)
    for ours, theirs in (
        (placed.validation(), data.validation()),
        (placed.evaluation(np.array([49, 0, 3])), data.evaluation(np.array([49, 0, 3]))),
    ):
        for found, expected in zip(ours, theirs, strict=True):
            compare(found, expected, 0)


def test_no_more_than_the_training_and_validation_images_become_resident() -> None:
    data = images()
    each = SIDE * SIDE * 3
    assert resident_bytes(place_data(data, CPU, DEVICE)) == (len(data.train) + len(data.validate)) * each
    with_masks = images(masks=True)
    each += SIDE * SIDE
    assert resident_bytes(place_data(with_masks, CPU, DEVICE)) == (14 + 10) * each


def test_a_share_of_nothing_keeps_images_on_the_host() -> None:
    placed = place_data(images(), CPU, DEVICE.model_copy(update={"resident_share": 0.0}))
    assert isinstance(placed, DeviceImages)
    assert resident_bytes(placed) == 0


def test_the_cpu_path_is_left_alone() -> None:
    data = images()
    assert place_data(data, CPU, DevicePolicy()) is data


def test_other_data_is_sent_as_it_is() -> None:
    data = images(masks=True)
    maps = TensorBatch([torch.zeros(2, 1), torch.ones(2, 3)], torch.zeros(2), np.arange(2))

    class Maps(CachedImages):
        def training(self, epoch: int):
            yield maps

    placed = SentBatches(Maps(**vars(data)), DeviceCopies(CPU))
    (found,) = placed.training(0)
    assert [torch.equal(a, b) for a, b in zip(found.inputs, maps.inputs, strict=True)] == [True, True]
    assert (placed.train_cases, placed.batch_size) == (14, 4)
    for ours, theirs in (
        (placed.validation(), data.validation()),
        (placed.evaluation(np.arange(5)), data.evaluation(np.arange(5))),
    ):
        for one, other in zip(ours, theirs, strict=True):
            compare(one, other, 0)


def test_the_seed_still_decides() -> None:
    data = images()
    first = next(place_data(data, CPU, DEVICE).training(0)).inputs
    again = next(place_data(data, CPU, DEVICE).training(0)).inputs
    other = next(place_data(replace(data, seed=4), CPU, DEVICE).training(0)).inputs
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
