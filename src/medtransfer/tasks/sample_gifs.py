"""Masks as GIF files, the way older data sets store them."""

from __future__ import annotations

from pathlib import Path

from medtransfer.data.image_source import UInt8Array


def write_gif_mask(path: Path, mask: UInt8Array) -> None:
    """Write a mask with the grey values 0 and 255 and a palette of all greys.

    Args:
        path: File to write.
        mask: (H, W), above 0 inside.
    """
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    # Optimising would leave a palette of two entries, which no tool of that time wrote.
    Image.fromarray(255 * (mask > 0).astype(mask.dtype)).save(path, optimize=False)
