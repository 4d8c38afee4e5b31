"""Raw square images without a header, as the JSRT data base stores its films."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import numpy as np

from medtransfer.core.errors import BadImageError
from medtransfer.data.image_source import UInt8Array
from medtransfer.data.intensity import to_grey_levels

MAX_SIDE: Final = 9459
"""Longest side in pixels."""


def read_raw(path: Path, name: str, bits: int = 12) -> UInt8Array:
    """Return a square image of big-endian 16-bit values in which large values are dark.

    Args:
        path: File of exactly 2 * S * S bytes.
        name: What to call it in a message.
        bits: Bits in use; the full range becomes 0 to 255, inverted so that air is dark.

    Returns:
        Shape (S, S), uint8.

    Raises:
        BadImageError: If the file is missing, its size is that of no square, or a value has more bits.
    """
    try:
        size = path.stat().st_size
        side = math.isqrt(size // 2)
        if size == 0 or 2 * side * side != size or side > MAX_SIDE:
            raise BadImageError(
                f"{name}: expected a square of 16-bit values up to {MAX_SIDE} pixels wide, got {size} bytes. "
                "Download the file again."
            )
        values = np.fromfile(path, dtype=">u2").reshape(side, side)
    except OSError as error:
        raise BadImageError(f"{name}: expected a readable file, got {error.strerror}.") from error
    top = 2**bits - 1
    if values.max() > top:
        raise BadImageError(
            f"{name}: expected values of {bits} bits in big-endian order, got {int(values.max())}. "
            "Is the file converted or byte-swapped?"
        )
    return 255 - to_grey_levels(values.astype(np.uint16), 0, top)
