"""Augmentation: masks move with images, draws belong to cases, views are where they should be."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy import stats

from medtransfer.core.errors import ShapeError, UsageError
from medtransfer.data.augmentation import (
    DEFAULT,
    NONE,
    STUDY_A_CLASSIFICATION,
    Augmentation,
    augment_batch,
    view_maps,
)
from medtransfer.data.uniform_draws import uniform_draws


def noise(count: int, side: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, channels), dtype=np.uint8)


def blobs(count: int, side: int) -> np.ndarray:
    fields = np.random.default_rng(1).normal(size=(count, side, side))
    return np.stack([cv2.GaussianBlur(field, (0, 0), side / 12) > 0 for field in fields]).astype(np.uint8)


def augment(images: np.ndarray, augmentation: Augmentation, **changes: object) -> np.ndarray:
    settings = {"size": 32, "seed": 3, "epoch": 0} | changes
    numbers = settings.pop("numbers", np.arange(len(images)))
    return augment_batch(images, None, numbers, augmentation=augmentation, **settings)[0]


@pytest.mark.parametrize("augmentation", [DEFAULT, STUDY_A_CLASSIFICATION])
def test_an_image_that_equals_its_mask_still_does_after_augmentation(augmentation: Augmentation) -> None:
    masks = blobs(40, 64)
    turned = replace(augmentation, rotation_degrees=40.0, brightness=0.0, contrast=0.0)
    images, moved = augment_batch(
        masks[..., None] * 255, masks, np.arange(40), size=64, augmentation=turned, seed=5, epoch=1
    )
    assert moved is not None
    sure = (images[..., 0] < 60) | (images[..., 0] > 195)  # the nearest pixel weighs at least a quarter
    assert sure.mean() > 0.9
    np.testing.assert_array_equal((images[..., 0] > 127)[sure], (moved > 0)[sure])
    assert set(np.unique(moved)) == {0, 1}


def test_a_mirror_image_is_exact_in_image_and_mask() -> None:
    masks = blobs(2, 32)
    mirror = replace(NONE, flip=1.0)
    images, moved = augment_batch(
        masks[..., None] * 200, masks, np.arange(2), size=32, augmentation=mirror, seed=0, epoch=0
    )
    np.testing.assert_array_equal(moved, masks[:, :, ::-1])
    np.testing.assert_array_equal(images[..., 0], masks[:, :, ::-1] * 200)


@pytest.mark.parametrize("side", [32, 37, 40])
def test_none_is_the_centre_crop(side: int) -> None:
    images = noise(3, side, channels=3)
    start = (side - 32) // 2
    np.testing.assert_array_equal(augment(images, NONE), images[:, start : start + 32, start : start + 32])


def test_a_view_does_not_depend_on_the_batch_it_is_in() -> None:
    images = noise(12, 36)
    together = augment(images, DEFAULT)
    order = np.array([7, 2, 11])
    np.testing.assert_array_equal(augment(images[order], DEFAULT, numbers=order), together[order])


def test_seed_epoch_and_case_each_change_the_view() -> None:
    same = np.repeat(noise(1, 36), 2, axis=0)
    views = augment(same, DEFAULT)
    assert (views[0] != views[1]).any()
    assert (views != augment(same, DEFAULT, epoch=1)).any(axis=(1, 2, 3)).all()
    assert (views != augment(same, DEFAULT, seed=4)).any(axis=(1, 2, 3)).all()
    np.testing.assert_array_equal(views, augment(same, DEFAULT))


def test_draws_are_uniform_and_uncorrelated() -> None:
    numbers = uniform_draws(11, 2, np.arange(4000), 8)
    for column in numbers.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3
    assert np.abs(np.corrcoef(numbers.T) - np.eye(8)).max() < 0.06
    following = uniform_draws(11, 3, np.arange(4000), 8)
    assert abs(np.corrcoef(numbers[:, 0], following[:, 0])[0, 1]) < 0.06
    assert abs(np.corrcoef(numbers[:-1, 0], numbers[1:, 0])[0, 1]) < 0.06


def test_draws_accept_every_63_bit_seed_without_overflow() -> None:
    assert uniform_draws(2**63 - 1, 10**6, np.array([2**40]), 1).shape == (1, 1)
    assert uniform_draws(0, 0, np.array([0]), 1) != uniform_draws(1, 0, np.array([0]), 1)


def corners(augmentation: Augmentation, side: int = 100, size: int = 50) -> np.ndarray:
    """Return where the corners of 500 views lie in the image, (500, 4, 2), pixel edges at 0 and side."""
    maps = view_maps(uniform_draws(0, 0, np.arange(500), 8), augmentation, side=side, size=size)
    low, high = -0.5, size - 0.5
    square = np.array([[low, low, 1], [high, low, 1], [high, high, 1], [low, high, 1]])
    return np.einsum("bij,cj->bci", maps, square) + 0.5


def test_crops_lie_inside_and_have_the_declared_area_and_ratio() -> None:
    declared = Augmentation(crop_scale=(0.2, 1.0), crop_ratio=(0.5, 2.0), flip=0.0, rotation_degrees=0.0)
    places = corners(declared)
    assert places.min() > -1e-9
    assert places.max() < 100 + 1e-9
    width, height = (places[:, 2] - places[:, 0]).T
    area = width * height / 100**2
    assert stats.kstest((area - 0.2) / 0.8, "uniform").pvalue > 1e-3
    assert (width / height).min() > 0.5 - 1e-9
    assert (width / height).max() < 2 + 1e-9
    assert np.log(width / height).mean() == pytest.approx(0, abs=0.05)
    assert places.mean(axis=(0, 1)) == pytest.approx([50, 50], abs=1)


def test_rotations_keep_shape_and_stay_in_their_range() -> None:
    declared = Augmentation(crop_scale=(0.5, 0.5), crop_ratio=(1.0, 1.0), flip=0.0, rotation_degrees=20.0)
    places = corners(declared)
    top, left = places[:, 1] - places[:, 0], places[:, 3] - places[:, 0]
    np.testing.assert_allclose(np.einsum("bi,bi->b", top, left), 0, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(top, axis=1), 100 * np.sqrt(0.5))
    angles = np.rad2deg(np.arctan2(top[:, 1], top[:, 0]))
    assert stats.kstest((angles + 20) / 40, "uniform").pvalue > 1e-3


def test_half_of_the_views_are_mirrored() -> None:
    maps = view_maps(uniform_draws(0, 0, np.arange(2000), 8), replace(NONE, flip=0.5), side=8, size=8)
    assert (maps[:, 0, 0] < 0).mean() == pytest.approx(0.5, abs=0.04)


def test_tones_change_along_a_line_and_are_clipped() -> None:
    images = np.broadcast_to(np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1), (300, 16, 16, 1)).copy()
    toned = augment(images, replace(NONE, brightness=0.2, contrast=0.3), size=16).reshape(300, 256)
    slopes, shifts = [], []
    for row in toned.astype(float):
        inner = (row > 0) & (row < 255)
        slope, offset = np.polyfit(np.flatnonzero(inner) - 127.5, row[inner] - 127.5, 1)
        slopes.append(slope)
        shifts.append(offset / 255)
    assert (min(slopes), max(slopes)) == pytest.approx((0.7, 1.3), abs=0.02)
    assert (min(shifts), max(shifts)) == pytest.approx((-0.2, 0.2), abs=0.01)
    assert (np.diff(toned.astype(int), axis=1) >= 0).all()


def test_beyond_the_border_lies_the_reflection() -> None:
    flat = np.full((20, 32, 32, 1), 90, np.uint8)
    turned = replace(NONE, rotation_degrees=45.0)
    assert (augment(flat, turned) == 90).all()


def test_the_study_s_preset_is_what_it_declared() -> None:
    assert Augmentation((0.08, 1.0), (3 / 4, 4 / 3), 0.5, 7.0, 0.0, 0.0) == STUDY_A_CLASSIFICATION
    assert Augmentation() == DEFAULT


@pytest.mark.parametrize(
    "wrong",
    [
        {"crop_scale": (0.0, 1.0)},
        {"crop_scale": (0.9, 0.5)},
        {"crop_ratio": (1.2, 1.5)},
        {"flip": 1.5},
        {"rotation_degrees": float("nan")},
        {"contrast": -0.1},
    ],
)
def test_ranges_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="augmentation: expected"):
        Augmentation(**wrong)


def test_arrays_that_do_not_fit_are_refused() -> None:
    images = noise(2, 32)
    with pytest.raises(ShapeError, match="size: expected 1 to 32"):
        augment(images, NONE, size=33)
    with pytest.raises(ShapeError, match="images: expected"):
        augment(images, NONE, numbers=np.arange(3))
    with pytest.raises(ShapeError, match="masks: expected"):
        augment_batch(
            images, np.zeros((2, 8, 8), np.uint8), np.arange(2), size=8, augmentation=NONE, seed=0, epoch=0
        )
