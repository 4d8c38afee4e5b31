"""Pixels on a device: the same rows wherever they lie, within the bytes that were allowed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medtransfer.data.device_copies import DeviceCopies
from medtransfer.training import device_pixels
from medtransfer.training.device_pixels import HostPixels, Pixels, ResidentPixels, place_pixels

COPIES = DeviceCopies(torch.device("cpu"))
IMAGES = np.random.default_rng(0).integers(0, 256, (30, 6, 6, 3), dtype=np.uint8)
MASKS = np.random.default_rng(1).integers(0, 3, (30, 6, 6), dtype=np.uint8)
ROWS = np.array([28, 3, 7, 11, 3, 19])
EACH = 6 * 6 * 3 + 6 * 6


def placed(most_bytes: int) -> Pixels:
    return place_pixels(IMAGES, MASKS, ROWS, COPIES, most_bytes)


@pytest.mark.parametrize("most_bytes", [0, 10**6])
@pytest.mark.parametrize("upload_bytes", [1, 250, 10**6])
def test_rows_are_found_wherever_they_lie(
    most_bytes: int, upload_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_pixels, "UPLOAD_BYTES", upload_bytes)
    pixels = placed(most_bytes)
    for rows in (ROWS[::-1], ROWS[:1], np.array([19, 19, 28])):
        images, masks = pixels.take(rows)
        np.testing.assert_array_equal(images.numpy(), IMAGES[rows])
        assert masks is not None
        np.testing.assert_array_equal(masks.numpy(), MASKS[rows])


def test_they_are_resident_just_where_they_fit_and_each_row_once() -> None:
    fits = placed(5 * EACH)
    assert isinstance(fits, ResidentPixels)
    assert fits.resident_bytes == 5 * EACH
    too_many = placed(5 * EACH - 1)
    assert isinstance(too_many, HostPixels)
    assert too_many.resident_bytes == 0
    assert isinstance(placed(0), HostPixels)


def test_without_masks_there_are_none() -> None:
    for most_bytes in (0, 10**6):
        assert place_pixels(IMAGES, None, ROWS, COPIES, most_bytes).take(ROWS)[1] is None
