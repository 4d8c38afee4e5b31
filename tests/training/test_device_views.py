"""Views computed as tensors are those of the CPU path, and where double precision says they should be."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from medtransfer.data.augmentation import (
    DEFAULT,
    NONE,
    STUDY_A_CLASSIFICATION,
    STUDY_A_SEGMENTATION,
    Augmentation,
    augment_batch,
    draw_views,
)
from medtransfer.data.device_copies import DeviceCopies
from medtransfer.data.distortions import Distortion
from medtransfer.data.looks import Looks
from medtransfer.training.device_views import (
    MASK_TOLERANCE,
    MEAN_TOLERANCE,
    USUAL_TOLERANCE,
    compute_views,
)

COPIES = DeviceCopies(torch.device("cpu"))
SIDE, SIZE, CASES = 72, 64, 48
LOOKS = Looks(0.7, (0.5, 2.0), 0.4, 0.4, 0.2, 0.4, (0.1, 2.0), 0.4, 2.0, 0.2)
RANGES = {
    "default": DEFAULT,
    "whole image": NONE,
    "labels of study A": STUDY_A_CLASSIFICATION,
    "masks of study A": STUDY_A_SEGMENTATION,
    "far turns": Augmentation((0.3, 1.0), rotation_degrees=180.0),
    "bends": replace(DEFAULT, distortion=Distortion(probability=1.0)),
    "looks": replace(NONE, looks=LOOKS, brightness=0.3, contrast=0.3),
    "everything": replace(DEFAULT, looks=LOOKS, distortion=Distortion(probability=0.7)),
}


def pictures(channels: int) -> np.ndarray:
    """Coloured patches with edges and shades, as strong as those of photographs."""
    noise = np.random.default_rng(2).integers(0, 256, (CASES, SIDE, SIDE, channels), dtype=np.uint8)
    smooth = np.stack([cv2.GaussianBlur(image, (0, 0), 2.5).reshape(image.shape) for image in noise])
    return ((smooth.astype(float) - 128) * 6 + 128).clip(0, 255).astype(np.uint8)


def views(
    images: np.ndarray, augmentation: Augmentation, size: int = SIZE, rows: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the views and masks of the device's path, axes as in the CPU path's."""
    numbers = np.arange(len(images)) if rows is None else rows
    draws = draw_views(numbers, side=images.shape[1], size=size, augmentation=augmentation, seed=5, epoch=1)
    tensors = torch.from_numpy(images), torch.from_numpy(images[..., 0] // 128)
    found, moved = compute_views(*tensors, draws, augmentation, COPIES)
    assert moved is not None
    assert found.dtype == moved.dtype == torch.uint8
    return found.permute(0, 2, 3, 1).numpy(), moved.numpy()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", RANGES)
def test_views_are_those_of_the_cpu_path(name: str, channels: int) -> None:
    images = pictures(channels)
    expected, moved = augment_batch(
        images, images[..., 0] // 128, np.arange(CASES), size=SIZE, augmentation=RANGES[name], seed=5, epoch=1
    )
    found, masks = views(images, RANGES[name])
    difference = np.abs(found.astype(int) - expected)
    assert difference.mean() <= MEAN_TOLERANCE
    assert (difference <= USUAL_TOLERANCE).mean() >= 0.999
    assert moved is not None
    assert (masks != moved).mean() <= MASK_TOLERANCE
    assert masks.any()


def test_samples_lie_where_double_precision_puts_them() -> None:
    ranges = replace(STUDY_A_CLASSIFICATION, rotation_degrees=100.0, flip=0.5)
    images = pictures(1)
    found, _ = views(images, ranges)
    draws = draw_views(np.arange(CASES), side=SIDE, size=SIZE, augmentation=ranges, seed=5, epoch=1)
    columns, rows = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    places = np.stack([columns, rows, np.ones_like(rows)])
    for view, image, matrix in zip(found, images, draws.maps, strict=True):
        across, down = np.einsum("ij,jyx->iyx", matrix, places)
        # scipy's 'mirror' is the reflection about the middle of the outermost pixels.
        expected = map_coordinates(image[..., 0].astype(float), [down, across], order=1, mode="mirror")
        assert np.abs(view[..., 0] - expected).max() <= 0.51


def test_the_whole_image_and_its_mirror_are_exact() -> None:
    images = pictures(3)
    start = (SIDE - SIZE) // 2
    window = slice(start, start + SIZE)
    np.testing.assert_array_equal(views(images, NONE)[0], images[:, window, window])
    mirrored, masks = views(images, replace(NONE, flip=1.0))
    np.testing.assert_array_equal(mirrored, images[:, window, window][:, :, ::-1])
    np.testing.assert_array_equal(masks, (images[..., 0] // 128)[:, window, window][:, :, ::-1])


@pytest.mark.parametrize("levels", [0, 255])
def test_tones_are_exactly_those_of_the_cpu_path(levels: int) -> None:
    ramp = np.abs(levels - np.arange(256)).astype(np.uint8).reshape(1, 16, 16, 1)
    images = np.repeat(ramp, 60, axis=0)
    for ranges in (
        replace(NONE, brightness=0.4, contrast=0.5),
        replace(NONE, brightness=0.4, contrast=0.5, looks=Looks(0.6, (0.4, 2.5), 0.5)),
    ):
        expected, _ = augment_batch(
            images, None, np.arange(60), size=16, augmentation=ranges, seed=5, epoch=1
        )
        np.testing.assert_array_equal(views(images, ranges, size=16)[0], expected)
        assert (expected != images).any()


def test_a_view_does_not_depend_on_the_batch_it_is_in() -> None:
    images, some = pictures(3), np.array([40, 3, 17])
    together, masks = views(images, RANGES["everything"])
    alone, moved = views(images[some], RANGES["everything"], rows=some)
    np.testing.assert_array_equal(alone, together[some])
    np.testing.assert_array_equal(moved, masks[some])
