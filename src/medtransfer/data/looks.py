"""Changes of what a view looks like: grey values, colours and sharpness, each case drawn for itself."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import UsageError

UInt8Array = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float64]

LOOK_DRAWS = 12
"""Uniform numbers a case needs."""


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


def change_looks(
    views: UInt8Array, numbers: FloatArray, looks: Looks, *, brightness: float, contrast: float
) -> None:
    """Change views in place, in the order tones, colours, grey, blur, sharpness.

    Args:
        views: (B, size, size, C), C 1 or 3.
        numbers: (B, ``LOOK_DRAWS``) uniform draws.
        looks: The ranges.
        brightness: Largest shift of the grey values, as a share of 255.
        contrast: Largest change of the slope about mid-grey.
    """
    for view, drawn in zip(views, numbers, strict=True):
        changed = _toned(view, drawn, looks, brightness, contrast)
        if view.shape[2] == 3:
            changed = _coloured(changed, drawn, looks)
        if drawn[8] < looks.blur_probability:
            sigma = looks.blur_sigma[0] + (looks.blur_sigma[1] - looks.blur_sigma[0]) * drawn[9]
            blurred = cv2.GaussianBlur(changed, (3, 3), sigma, borderType=cv2.BORDER_REFLECT_101)
            changed = np.asarray(blurred, dtype=np.uint8)
        if drawn[10] < looks.sharpness_probability:
            changed = _sharpened(changed, looks.sharpness)
        view[...] = changed.reshape(view.shape)


def _toned(
    view: UInt8Array, drawn: FloatArray, looks: Looks, brightness: float, contrast: float
) -> UInt8Array:
    if drawn[0] >= looks.tone_probability:
        return view
    levels = np.arange(256)
    if looks.gamma is not None and drawn[1] < looks.gamma_share:
        exponent = looks.gamma[0] + (looks.gamma[1] - looks.gamma[0]) * drawn[2]
        table = 255 * (levels / 255) ** exponent
    else:
        slope = 1 + contrast * (2 * drawn[3] - 1)
        table = (levels - 127.5) * slope + 127.5 + 255 * brightness * (2 * drawn[2] - 1)
    return np.asarray(cv2.LUT(view, np.rint(table).clip(0, 255).astype(np.uint8)), dtype=np.uint8)


def _coloured(view: UInt8Array, drawn: FloatArray, looks: Looks) -> UInt8Array:
    if drawn[7] < looks.grey_probability:
        grey = cv2.cvtColor(view, cv2.COLOR_RGB2GRAY)
        return np.repeat(grey[..., None], 3, axis=2)
    if drawn[4] >= looks.tone_probability or not (looks.saturation or looks.hue):
        return view
    turned = cv2.cvtColor(view, cv2.COLOR_RGB2HSV_FULL)
    hue = np.rint(256 * looks.hue * (2 * drawn[5] - 1)).astype(np.int64)
    turned[..., 0] = ((turned[..., 0].astype(np.int64) + hue) % 256).astype(np.uint8)
    factor = 1 + looks.saturation * (2 * drawn[6] - 1)
    turned[..., 1] = np.rint(turned[..., 1] * factor).clip(0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(turned, cv2.COLOR_HSV2RGB_FULL), dtype=np.uint8)


def _sharpened(view: UInt8Array, factor: float) -> UInt8Array:
    """Move a view away from its copy smoothed with the weights 1 and, in the middle, 5."""
    kernel = np.ones((3, 3))
    kernel[1, 1] = 5
    smooth = cv2.filter2D(view, cv2.CV_32F, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT_101)
    values = view.reshape(smooth.shape)
    return np.asarray(np.rint(smooth + factor * (values - smooth)).clip(0, 255), dtype=np.uint8)
