"""Colours and sharpness as tensors: each change against the CPU path, pixel by pixel."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from medtransfer.data.device_copies import DeviceCopies
from medtransfer.data.looks import LOOK_DRAWS, Looks, change_looks
from medtransfer.data.uniform_draws import uniform_draws
from medtransfer.training.device_looks import changed_looks

COPIES = DeviceCopies(torch.device("cpu"))
COLOURS = np.random.default_rng(0).integers(0, 256, (60, 20, 24, 3), dtype=np.uint8)[:, :, :20]
DRAWN = uniform_draws(4, 0, np.arange(60), LOOK_DRAWS)
ALL = {
    "blur": (Looks(blur_probability=1.0), 2),
    "sharpness": (Looks(sharpness_probability=1.0), 1),
    "less sharpness": (Looks(sharpness_probability=1.0, sharpness=0.3), 1),
    "grey": (Looks(grey_probability=1.0), 1),
    "saturation": (Looks(saturation=1.0), 8),
    "hue": (Looks(hue=0.5), 8),
}


def both(views: np.ndarray, looks: Looks) -> tuple[np.ndarray, np.ndarray]:
    """Return the views as changed by the device's path and by the CPU's."""
    expected = views.copy()
    change_looks(expected, DRAWN[: len(views)], looks)
    tensor = torch.from_numpy(views).permute(0, 3, 1, 2)
    found = changed_looks(tensor, DRAWN[: len(views)], looks, COPIES)
    return found.permute(0, 2, 3, 1).numpy(), expected


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_change_is_that_of_the_cpu_path(name: str, channels: int) -> None:
    looks, most = ALL[name]
    found, expected = both(COLOURS[..., :channels], looks)
    difference = np.abs(found.astype(int) - expected)
    # OpenCV rounds hue and saturation in whole numbers: one step more or less is six grey levels where colours
    # are strong, which few of these random ones show.
    assert difference.max() <= most
    assert (difference <= 1).mean() >= 0.985
    if channels == 3 or name not in {"grey", "saturation", "hue"}:
        assert (expected != COLOURS[..., :channels]).mean() > 0.2


@pytest.mark.parametrize("looks", [Looks(saturation=1.0), Looks(hue=0.5)])
def test_colours_of_photographs_are_within_one_level_nearly_everywhere(looks: Looks) -> None:
    smooth = np.stack([cv2.GaussianBlur(view, (0, 0), 1.5) for view in COLOURS])
    found, expected = both(smooth, looks)
    assert np.abs(found.astype(int) - expected).mean() < 0.1


def test_each_change_is_made_on_the_same_cases() -> None:
    looks = Looks(0.5, None, 0.0, 0.9, 0.4, 0.3, (1.0, 2.0), 0.3, 2.0, 0.3)
    found, expected = both(COLOURS, looks)
    untouched = (expected == COLOURS).all(axis=(1, 2, 3))
    assert 0.05 < untouched.mean() < 0.6
    np.testing.assert_array_equal((found == COLOURS).all(axis=(1, 2, 3)), untouched)
    assert np.abs(found.astype(int) - expected).mean() < 0.3
