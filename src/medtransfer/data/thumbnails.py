"""Small pictures of cases for pages: the image, with its mask's outline where there is one."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from medtransfer.core.errors import BadImageError
from medtransfer.data.case_table import CaseTable
from medtransfer.data.image_source import ImageSource, UInt8Array

SIDE: Final = 128
"""Longest side in pixels."""

_OUTLINE: Final = (255, 176, 0)


def case_thumbnail(cases: CaseTable, row: int) -> bytes | None:
    """Return a case's image as a small PNG, its mask drawn as an outline; None when it cannot be read."""
    locator = str(cases.frame["image"].iloc[row])
    try:
        image = cases.source.read_image(locator)
    except BadImageError:
        return None
    small = _shrunk(image)
    if "mask" in cases.frame.columns:
        _outline(small, _union(cases.source, cases.frame["mask"].iloc[row]))
    done, encoded = cv2.imencode(".png", cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
    return encoded.tobytes() if done else None


def _shrunk(image: UInt8Array) -> UInt8Array:
    height, width = image.shape[:2]
    scale = SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    small = np.asarray(cv2.resize(image, size, interpolation=way), dtype=np.uint8)
    return small if small.ndim == 3 else np.repeat(small[..., None], 3, axis=2)


def _union(source: ImageSource, locators: tuple[str, ...]) -> UInt8Array | None:
    parts = []
    for locator in locators:
        try:
            parts.append(source.read_mask(str(locator)))
        except BadImageError:
            continue
    if not parts or len({part.shape for part in parts}) > 1:
        return None
    return np.asarray(np.maximum.reduce(parts))


def _outline(image: UInt8Array, mask: UInt8Array | None) -> None:
    """Draw the borders of a mask onto an image of another size, in place."""
    if mask is None or not mask.any():
        return
    size = (image.shape[1], image.shape[0])
    small = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
    inside = cv2.erode((small > 0).astype(np.uint8), np.ones((3, 3), dtype=np.uint8))
    image[(small > 0) & (inside == 0)] = _OUTLINE
