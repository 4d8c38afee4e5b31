"""Where the device gets the bytes of images from: its own memory where they fit, else this machine's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from medtransfer.data.device_copies import DeviceCopies

IndexArray = npt.NDArray[np.int64]
UInt8Array = npt.NDArray[np.uint8]

UPLOAD_BYTES = 32 << 20
"""About how many bytes go to the device at a time when images are made resident."""


class Pixels(Protocol):
    """Images, and perhaps masks, by row."""

    @property
    def resident_bytes(self) -> int:
        """Bytes of device memory they take for as long as they are used."""

    def take(self, rows: IndexArray) -> tuple[Tensor, Tensor | None]:
        """Return images (B, S, S, C) and masks (B, S, S) or None, uint8, on the device."""


@dataclass(frozen=True)
class HostPixels:
    """Images that stay on this machine and are sent batch by batch."""

    images: UInt8Array
    """(N, S, S, C)."""
    masks: UInt8Array | None
    """(N, S, S) or None."""
    copies: DeviceCopies
    """Takes them to the device."""
    resident_bytes: int = 0
    """None of the device's memory is theirs."""

    def take(self, rows: IndexArray) -> tuple[Tensor, Tensor | None]:
        """Return images and masks of some rows, on the device."""
        masks = None if self.masks is None else self.copies.take(self.masks, rows)
        return self.copies.take(self.images, rows), masks


@dataclass(frozen=True)
class ResidentPixels:
    """Images of some rows that lie on the device."""

    rows: IndexArray
    """(n,) the rows, in rising order."""
    images: Tensor
    """(n, S, S, C)."""
    masks: Tensor | None
    """(n, S, S) or None."""
    copies: DeviceCopies
    """Takes places to the device."""

    @classmethod
    def upload(cls, source: HostPixels, rows: IndexArray) -> ResidentPixels:
        """Return the images and masks of some rows, copied to the device a few at a time."""
        kept = np.unique(rows)
        images = _uploaded(source.images, kept, source.copies)
        masks = None if source.masks is None else _uploaded(source.masks, kept, source.copies)
        return cls(kept, images, masks, source.copies)

    @property
    def resident_bytes(self) -> int:
        """Bytes of device memory they take."""
        return sum(tensor.nbytes for tensor in (self.images, self.masks) if tensor is not None)

    def take(self, rows: IndexArray) -> tuple[Tensor, Tensor | None]:
        """Return images and masks of some of the rows; nothing but their places is sent."""
        places = self.copies.put(np.searchsorted(self.rows, rows))
        masks = None if self.masks is None else self.masks.index_select(0, places)
        return self.images.index_select(0, places), masks


def place_pixels(
    images: UInt8Array, masks: UInt8Array | None, rows: IndexArray, copies: DeviceCopies, most_bytes: int
) -> Pixels:
    """Return the pixels of some rows, resident on the device where they take at most so many bytes.

    Args:
        images: (N, S, S, C) of all cases.
        masks: (N, S, S) of all cases, or None.
        rows: The rows that will be asked for; others must not be.
        copies: Takes them to the device.
        most_bytes: Bytes of device memory they may take; 0 keeps them here.
    """
    source = HostPixels(images, masks, copies)
    each = images[:1].nbytes + (0 if masks is None else masks[:1].nbytes)
    fits = len(np.unique(rows)) * each <= most_bytes
    return ResidentPixels.upload(source, rows) if fits and most_bytes > 0 else source


def _uploaded(source: UInt8Array, rows: IndexArray, copies: DeviceCopies) -> Tensor:
    found = torch.empty((len(rows), *source.shape[1:]), dtype=torch.uint8, device=copies.place)
    step = max(1, UPLOAD_BYTES // max(source[:1].nbytes, 1))
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        found[start : start + len(part)] = copies.take(source, part)
        copies.pace()
    return found
