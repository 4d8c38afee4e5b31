"""Changes of what a view looks like: grey values, colours and sharpness, each case drawn for itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import UsageError

UInt8Array = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float64]

LOOK_DRAWS = 12
"""Uniform numbers a case needs."""
_LEVELS = np.arange(256)


@dataclass(frozen=True)
class Looks:
    """Ranges of the changes and how often each is made; the defaults change nothing."""

    tone_probability: float = 1.0
    """Chance that brightness and contrast change at all."""
    gamma: tuple[float, float] | None = None
    """Range of the exponent of the grey values in [0, 1]; None for no such change."""
    gamma_share: float = 0.0
    """Chance that, where tones change, they do by gamma and not by brightness and contrast."""
    saturation: float = 0.0
    """Largest change of the colours' distance from grey, a factor in 1 ± saturation; grey images have none."""
    hue: float = 0.0
    """Largest turn of the colour circle either way, in turns, at most 0.5."""
    blur_probability: float = 0.0
    """Chance of a Gaussian blur with a kernel of 3 pixels."""
    blur_sigma: tuple[float, float] = (0.1, 2.0)
    """Range of its standard deviation in pixels."""
    sharpness_probability: float = 0.0
    """Chance that the difference from a smoothed copy is enlarged."""
    sharpness: float = 2.0
    """By what factor; 1 changes nothing."""
    grey_probability: float = 0.0
    """Chance that the colours are taken away."""

    def __post_init__(self) -> None:
        chances = (
            *(self.tone_probability, self.gamma_share, self.blur_probability),
            *(self.sharpness_probability, self.grey_probability),
        )
        low, high = self.gamma or (1.0, 1.0)
        valid = (
            all(0 <= chance <= 1 for chance in chances)
            and 0 < low <= high
            and 0 <= self.saturation <= 1
            and 0 <= self.hue <= 0.5
            and 0 < self.blur_sigma[0] <= self.blur_sigma[1]
            and self.sharpness >= 0
            and (self.gamma is not None or self.gamma_share == 0)
        )
        if not valid:
            raise UsageError(
                "augmentation looks: expected chances in [0, 1], gamma and blur ranges above 0, saturation in "
                f"[0, 1] and hue in [0, 0.5], got {self}. Change the values outside."
            )

    @property
    def changes_more_than_tones(self) -> bool:
        """Whether anything but a straight tone curve on every case is asked for."""
        return self != PLAIN_LOOKS


PLAIN_LOOKS = Looks()
"""Nothing but brightness and contrast."""


def tone_tables(numbers: FloatArray, looks: Looks, *, brightness: float, contrast: float) -> UInt8Array:
    """Return each case's tone curve as a table of its 256 values; the identity where tones stay.

    Args:
        numbers: (B, ``LOOK_DRAWS``) uniform draws.
        looks: The ranges.
        brightness: Largest shift of the grey values, as a share of 255.
        contrast: Largest change of the slope about mid-grey.

    Returns:
        (B, 256).
    """
    tables = straight_tables(numbers[:, 2:3], numbers[:, 3:4], brightness=brightness, contrast=contrast)
    if looks.gamma is not None:
        exponents = looks.gamma[0] + (looks.gamma[1] - looks.gamma[0]) * numbers[:, 2:3]
        curved = _as_bytes(255 * (_LEVELS / 255) ** exponents)
        tables = np.where(numbers[:, 1:2] < looks.gamma_share, curved, tables)
    return np.where(numbers[:, :1] >= looks.tone_probability, _LEVELS.astype(np.uint8), tables)


def straight_tables(
    brighter: FloatArray, steeper: FloatArray, *, brightness: float, contrast: float
) -> UInt8Array:
    """Return straight tone curves (B, 256) of draws (B, 1) for the shift and for the slope about mid-grey."""
    slopes = 1 + contrast * (2 * steeper - 1)
    return _as_bytes((_LEVELS - 127.5) * slopes + 127.5 + 255 * brightness * (2 * brighter - 1))


def change_tones(views: UInt8Array, tables: UInt8Array) -> None:
    """Apply each case's tone curve (B, 256) in place."""
    for view, table in zip(views, tables, strict=True):
        view[...] = cv2.LUT(view, table).reshape(view.shape)


def change_looks(views: UInt8Array, numbers: FloatArray, looks: Looks) -> None:
    """Change views whose tones are done in place, in the order colours, grey, blur, sharpness.

    Args:
        views: (B, size, size, C), C 1 or 3.
        numbers: (B, ``LOOK_DRAWS``) uniform draws.
        looks: The ranges.
    """
    for view, drawn in zip(views, numbers, strict=True):
        changed = _coloured(view, drawn, looks) if view.shape[2] == 3 else view
        if drawn[8] < looks.blur_probability:
            blurred = cv2.GaussianBlur(
                changed, (3, 3), blur_sigmas(drawn, looks), borderType=cv2.BORDER_REFLECT_101
            )
            changed = np.asarray(blurred, dtype=np.uint8)
        if drawn[10] < looks.sharpness_probability:
            changed = _sharpened(changed, looks.sharpness)
        view[...] = changed.reshape(view.shape)


def blur_sigmas(numbers: FloatArray, looks: Looks) -> Any:
    """Return the standard deviation of the blur of one case's draws, or of (B, ``LOOK_DRAWS``) draws."""
    return looks.blur_sigma[0] + (looks.blur_sigma[1] - looks.blur_sigma[0]) * numbers[..., 9]


def hue_steps(numbers: FloatArray, looks: Looks) -> Any:
    """Return the turn of the colour circle in 256ths, of one case's draws or of many."""
    return np.rint(256 * looks.hue * (2 * numbers[..., 5] - 1)).astype(np.int64)


def saturation_factors(numbers: FloatArray, looks: Looks) -> Any:
    """Return the factor of the colours' distance from grey, of one case's draws or of many."""
    return 1 + looks.saturation * (2 * numbers[..., 6] - 1)


def _as_bytes(values: FloatArray) -> UInt8Array:
    return np.asarray(np.rint(values).clip(0, 255), dtype=np.uint8)


def _coloured(view: UInt8Array, drawn: FloatArray, looks: Looks) -> UInt8Array:
    if drawn[7] < looks.grey_probability:
        grey = cv2.cvtColor(view, cv2.COLOR_RGB2GRAY)
        return np.repeat(grey[..., None], 3, axis=2)
    if drawn[4] >= looks.tone_probability or not (looks.saturation or looks.hue):
        return view
    turned = cv2.cvtColor(view, cv2.COLOR_RGB2HSV_FULL)
    turned[..., 0] = ((turned[..., 0].astype(np.int64) + hue_steps(drawn, looks)) % 256).astype(np.uint8)
    turned[..., 1] = _as_bytes(turned[..., 1] * saturation_factors(drawn, looks))
    return np.asarray(cv2.cvtColor(turned, cv2.COLOR_HSV2RGB_FULL), dtype=np.uint8)


def _sharpened(view: UInt8Array, factor: float) -> UInt8Array:
    """Move a view away from its copy smoothed with the weights 1 and, in the middle, 5."""
    kernel = np.ones((3, 3))
    kernel[1, 1] = 5
    smooth = cv2.filter2D(view, cv2.CV_32F, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT_101)
    values = view.reshape(smooth.shape)
    return np.asarray(np.rint(smooth + factor * (values - smooth)).clip(0, 255), dtype=np.uint8)
