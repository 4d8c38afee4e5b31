"""One case from its files to arrays: read once, then resized to whatever sides are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import BadImageError, DataError
from medtransfer.data.case_table import CaseTable
from medtransfer.data.image_source import ImageSource

UInt8Array = npt.NDArray[np.uint8]

_MOST_NAMED = 100


@dataclass(frozen=True)
class CasePixels:
    """Where the pixels of one case come from."""

    image: str
    """Locator of the image."""
    masks: tuple[str, ...] = ()
    """Locators whose union is the mask; empty where there is none."""
    field_of_view: str | None = None
    """Locator of the mask of what is looked at; None where there is none."""

    @property
    def locators(self) -> tuple[str, ...]:
        """All of them."""
        return (self.image, *self.masks, *((self.field_of_view,) if self.field_of_view else ()))


@dataclass(frozen=True)
class DecodedCase:
    """What came of the locators of one case; an error in place of what cannot be read."""

    image: UInt8Array | BadImageError
    """(H, W) or (H, W, 3)."""
    masks: tuple[UInt8Array | BadImageError, ...] = ()
    """(H, W) each."""
    field_of_view: UInt8Array | BadImageError | None = None
    """(H, W)."""


def case_pixels(cases: CaseTable) -> list[CasePixels]:
    """Return where the pixels of every case come from, in row order."""
    frame, nowhere = cases.frame, [None] * len(cases)
    masks = frame["mask"] if "mask" in frame.columns else nowhere
    views = frame["field_of_view"] if "field_of_view" in frame.columns else nowhere
    return [_case_pixels(*parts) for parts in zip(frame["image"], masks, views, strict=True)]


def decode_case(source: ImageSource, case: CasePixels) -> DecodedCase:
    """Read everything a case points at, each file once; only one case is held in memory at a time."""
    view = case.field_of_view
    return DecodedCase(
        _image(source, case.image),
        tuple(_mask(source, part) for part in case.masks),
        None if view is None else _mask(source, view),
    )


def refuse_bad_images(messages: Sequence[str]) -> None:
    """Raise one error that names every unreadable image (the first 100 of very many).

    Raises:
        DataError: If there is any message.
    """
    if not messages:
        return
    lines = "\n".join(f"  - {message}" for message in messages[:_MOST_NAMED])
    more = f"\n  and {len(messages) - _MOST_NAMED} more" if len(messages) > _MOST_NAMED else ""
    raise DataError(
        f"images: expected files that can all be read, got {len(messages)} that cannot. "
        f"Repair or remove these:\n{lines}{more}"
    )


def resize_image(image: UInt8Array, side: int) -> UInt8Array:
    """Return a square image: axes that shrink are averaged by area, axes that grow interpolated linearly.

    Args:
        image: (H, W) or (H, W, 3); the aspect ratio is not kept.
        side: S in pixels.

    Returns:
        (S, S) when all channels are equal, which loses nothing; else (S, S, 3).
    """
    height, width = image.shape[:2]
    within = (min(width, side), min(height, side))
    if within != (width, height):
        image = _resize(image, within, cv2.INTER_AREA)
    if within != (side, side):
        image = _resize(image, (side, side), cv2.INTER_LINEAR)
    if image.ndim == 3 and (image == image[:, :, :1]).all():
        return np.ascontiguousarray(image[:, :, 0])
    return image


def resize_mask(mask: UInt8Array, side: int) -> UInt8Array:
    """Return an (S, S) mask by nearest neighbour, pixel centres aligned with :func:`resize_image`."""
    if mask.shape == (side, side):
        return mask
    return _resize(mask, (side, side), cv2.INTER_NEAREST_EXACT)


def _resize(image: UInt8Array, width_height: tuple[int, int], interpolation: int) -> UInt8Array:
    return np.asarray(cv2.resize(image, width_height, interpolation=interpolation), dtype=np.uint8)


def _case_pixels(image: Any, masks: Any, view: Any) -> CasePixels:
    return CasePixels(
        image=str(image),
        masks=() if masks is None else tuple(str(part) for part in masks),
        field_of_view=str(view) if isinstance(view, str) and view else None,
    )


def _image(source: ImageSource, locator: str) -> UInt8Array | BadImageError:
    try:
        return source.read_image(locator)
    except BadImageError as error:
        return error


def _mask(source: ImageSource, locator: str) -> UInt8Array | BadImageError:
    try:
        return source.read_mask(locator)
    except BadImageError as error:
        return error
