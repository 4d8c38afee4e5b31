"""Smooth fields over a picture's pixels, of which phantoms are composed."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

UInt8Array = npt.NDArray[np.uint8]
Field = npt.NDArray[np.floating[Any]]

SIDE = 80
"""Side of every phantom picture in pixels."""
SUBPIXEL_BITS = 4
"""Fractional bits of the positions given to OpenCV's drawing functions."""


def soft_step(distance: Field, width: float) -> Field:
    """Return 0 well below zero, 1 well above, with an edge of ``width``."""
    step: Field = 0.5 * (1 + np.tanh(distance / width))
    return step


def smooth_noise(rng: np.random.Generator, knots: int) -> Field:
    """Return a smooth random field (80, 80) of zero mean; its waves are about 160 / ``knots`` pixels long."""
    values = rng.standard_normal((knots, knots), dtype=np.float32)
    return np.asarray(cv2.resize(values, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def blurred(field: Field | UInt8Array, sigma: float) -> Field:
    """Return the field after a Gaussian blur, ``sigma`` in pixels."""
    return np.asarray(cv2.GaussianBlur(field.astype(np.float32), (0, 0), sigma), dtype=np.float32)


def to_bytes(grey: Field) -> UInt8Array:
    """Return grey values in [0, 1], clipped, as bytes."""
    return np.asarray(np.rint(255 * grey.clip(0, 1)), dtype=np.uint8)


def to_fixed_point(pixels: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    """Return positions in pixels (…, 2) as OpenCV's drawing functions take them."""
    return np.asarray(np.rint(pixels * 2**SUBPIXEL_BITS), dtype=np.int32)
