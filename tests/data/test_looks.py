"""Looks: each change does what it says, on its own share of the cases."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from medtransfer.core.errors import UsageError
from medtransfer.data.augmentation import NONE, Augmentation, augment_batch
from medtransfer.data.looks import LOOK_DRAWS, Looks, change_looks, change_tones, tone_tables
from medtransfer.data.uniform_draws import uniform_draws

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (40, 24, 24, 1), dtype=np.uint8)
COLOUR = RANDOM.integers(0, 256, (40, 24, 24, 3), dtype=np.uint8)


def changed(views: np.ndarray, looks: Looks, *, draw: float | None = None, tones: float = 0.0) -> np.ndarray:
    numbers = uniform_draws(1, 0, np.arange(len(views)), LOOK_DRAWS)
    if draw is not None:
        numbers = np.full_like(numbers, draw)
    found = views.copy()
    change_tones(found, tone_tables(numbers, looks, brightness=tones, contrast=tones))
    change_looks(found, numbers, looks)
    return found


@pytest.mark.parametrize("views", [GREY, COLOUR])
def test_nothing_asked_nothing_changed(views: np.ndarray) -> None:
    assert np.array_equal(changed(views, Looks()), views)


def test_gamma_is_a_power_of_the_grey_values() -> None:
    looks = Looks(gamma=(0.5, 0.5), gamma_share=1.0)
    assert np.array_equal(changed(GREY, looks), np.rint(255 * np.sqrt(GREY / 255)).astype(np.uint8))


def test_tones_change_in_their_share_of_cases_only() -> None:
    views = np.full((4000, 2, 2, 1), 100, dtype=np.uint8)
    touched = (changed(views, Looks(tone_probability=0.3), tones=0.5) != views).any(axis=(1, 2, 3))
    assert 0.25 < touched.mean() < 0.32


def test_gamma_takes_the_place_of_brightness_in_its_share() -> None:
    views = np.full((4000, 1, 2, 1), 0, dtype=np.uint8)
    black = changed(views, Looks(gamma=(0.8, 1.2), gamma_share=0.5), tones=0.5)
    # A power leaves black black; a brighter tone curve does not.
    assert 0.2 < (black > 0).any(axis=(1, 2, 3)).mean() < 0.3


def test_colours_become_grey_as_the_eye_weighs_them() -> None:
    found = changed(COLOUR, Looks(grey_probability=1.0))
    expected = np.stack([np.asarray(Image.fromarray(view).convert("L")) for view in COLOUR])[..., None]
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_saturation_and_hue_move_in_the_colour_circle() -> None:
    view = np.full((1, 1, 1, 3), (200, 100, 50), dtype=np.uint8)
    less = changed(view, Looks(saturation=1.0), draw=0.25)[0, 0, 0]
    hue, saturation, value = colorsys.rgb_to_hsv(*(np.array([200, 100, 50]) / 255))
    expected = np.array(colorsys.hsv_to_rgb(hue, saturation * 0.5, value)) * 255
    assert np.abs(less - expected).max() <= 3
    turned = changed(view, Looks(hue=0.5), draw=0.75)[0, 0, 0]
    expected = np.array(colorsys.hsv_to_rgb((hue + 0.25) % 1, saturation, value)) * 255
    assert np.abs(turned - expected).max() <= 4


def test_grey_images_have_no_colours_to_change() -> None:
    assert np.array_equal(changed(GREY, Looks(saturation=1.0, hue=0.5, grey_probability=1.0)), GREY)


def test_blur_is_a_gaussian_of_three_pixels() -> None:
    found = changed(GREY, Looks(blur_probability=1.0, blur_sigma=(0.7, 0.7)))
    kernel = cv2.getGaussianKernel(3, 0.7)
    expected = cv2.sepFilter2D(GREY[0], cv2.CV_64F, kernel, kernel, borderType=cv2.BORDER_REFLECT_101)
    # OpenCV blurs bytes with weights in 256ths.
    assert np.abs(found[0, ..., 0] - expected).max() <= 1.5


def test_sharpness_equals_that_of_pillow_inside_the_border() -> None:
    found = changed(GREY, Looks(sharpness_probability=1.0, sharpness=2.0))
    image = Image.fromarray(GREY[0, ..., 0])
    expected = np.asarray(ImageEnhance.Sharpness(image).enhance(2.0)).astype(int)
    assert np.abs(found[0, ..., 0].astype(int) - expected)[1:-1, 1:-1].max() <= 2


def test_a_case_looks_the_same_whatever_its_company() -> None:
    ranges = Augmentation(looks=Looks(blur_probability=0.5, hue=0.1, sharpness_probability=0.5))
    options = {"size": 20, "augmentation": ranges, "seed": 3, "epoch": 2}
    together, _ = augment_batch(COLOUR, None, np.arange(40), **options)
    alone, _ = augment_batch(COLOUR[17:18], None, np.array([17]), **options)
    assert np.array_equal(together[17], alone[0])


def test_plain_looks_leave_the_numbers_of_the_old_path() -> None:
    ranges = {"crop_scale": (0.3, 1.0), "brightness": 0.2, "contrast": 0.2}
    options = {"size": 20, "seed": 3, "epoch": 2}
    plain, _ = augment_batch(GREY, None, np.arange(40), augmentation=Augmentation(**ranges), **options)
    whole = Augmentation(**ranges, crop_probability=1.0)
    same, _ = augment_batch(GREY, None, np.arange(40), augmentation=whole, **options)
    assert np.array_equal(plain, same)


def test_crops_are_drawn_in_their_share_and_the_others_are_the_centre() -> None:
    cases = np.arange(2000)
    images = np.broadcast_to(RANDOM.integers(0, 256, (1, 16, 16, 1), dtype=np.uint8), (2000, 16, 16, 1))
    ranges = Augmentation(
        crop_scale=(0.1, 0.5), flip=0, rotation_degrees=0, brightness=0, contrast=0, crop_probability=0.25
    )
    found, _ = augment_batch(images, None, cases, size=12, augmentation=ranges, seed=1, epoch=0)
    centre, _ = augment_batch(images[:1], None, cases[:1], size=12, augmentation=NONE, seed=1, epoch=0)
    assert 0.21 < (found != centre).any(axis=(1, 2, 3)).mean() < 0.29


@pytest.mark.parametrize(
    "wrong",
    [
        {"tone_probability": 1.5},
        {"gamma_share": 0.5},
        {"gamma": (0.0, 1.0), "gamma_share": 0.5},
        {"hue": 0.6},
        {"saturation": -0.1},
        {"blur_sigma": (0.0, 1.0)},
        {"sharpness": -1.0},
    ],
)
def test_impossible_ranges_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="augmentation looks"):
        Looks(**wrong)
