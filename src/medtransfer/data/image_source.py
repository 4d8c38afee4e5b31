"""The one way pixels enter: a source turns a locator into an array and a content hash."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

UInt8Array = npt.NDArray[np.uint8]


class ImageSource(Protocol):
    """Reads the images and masks a case table names; picklable, so worker processes can use it."""

    def read_image(self, locator: str) -> UInt8Array:
        """Return an image, shape (H, W) grey or (H, W, 3) RGB, uint8.

        Raises:
            BadImageError: If it is missing, damaged, too large or outside the root.
        """

    def read_mask(self, locator: str) -> UInt8Array:
        """Return a mask, shape (H, W), uint8; 0 is background, k + 1 is class k.

        Raises:
            BadImageError: As for images, or when a value is not declared.
        """

    def content_hash(self, locator: str) -> str:
        """Return a SHA-256 hex digest that changes when the stored bytes change."""

    def describe(self, locator: str) -> str:
        """Return what to call the locator in messages, such as a path below the root."""
