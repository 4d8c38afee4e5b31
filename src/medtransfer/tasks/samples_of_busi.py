"""A synthetic copy of BUSI: drawn ultrasound images, several masks for some, near duplicates for others."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import cv2
import numpy as np

from medtransfer.core.seeds import generator
from medtransfer.data.image_source import UInt8Array
from medtransfer.tasks.sample_files import write_picture
from medtransfer.tasks.sample_pictures import lesion_picture

_IMAGES: Final = {"benign": 30, "malignant": 24, "normal": 20}
_MORE_MASKS: Final = {("benign", 4): 1, ("benign", 25): 2, ("malignant", 9): 1}
_COPIES: Final = {
    ("benign", 12): ("benign", 3),
    ("malignant", 7): ("benign", 8),
    ("normal", 6): ("normal", 2),
}


def write_busi_sample(root: Path) -> None:
    """Write 74 images of three classes with their masks; three are near copies, one of another class.

    Args:
        root: Folder to write into.
    """
    for name, number_of_images in _IMAGES.items():
        for number in range(1, number_of_images + 1):
            image, masks = _draw(name, number)
            stem = root / name / f"{name} ({number})"
            write_picture(stem.with_name(f"{stem.name}.png"), image[..., None].repeat(3, axis=2))
            for part, mask in enumerate(masks):
                ending = "_mask.png" if part == 0 else f"_mask_{part}.png"
                write_picture(stem.with_name(stem.name + ending), _stored_mask(mask, number))


def _draw(name: str, number: int) -> tuple[UInt8Array, list[UInt8Array]]:
    """Return an image (H, W) and its masks (H, W), 1 inside; heights differ from image to image."""
    if (name, number) in _COPIES:
        image, masks = _draw(*_COPIES[name, number])
        return np.asarray(cv2.convertScaleAbs(image, alpha=0.9, beta=6), dtype=np.uint8), masks
    image, mask = lesion_picture(
        f"busi-{name}", number, 64, lesion=name != "normal", rough=name == "malignant"
    )
    masks = [mask]
    for part in range(_MORE_MASKS.get((name, number), 0)):
        more = np.zeros_like(mask)
        cv2.circle(more, (10 + 42 * part, 50), 5, color=1, thickness=-1)
        more[mask > 0] = 0
        image = np.where(more > 0, image // 4, image)
        masks.append(more)
    height = int(generator("busi", name, number).integers(54, 65))
    return image[:height], [part[:height] for part in masks]


def _stored_mask(mask: UInt8Array, number: int) -> UInt8Array:
    """Return a mask as one of the ways it is stored: one bit, or white in colour."""
    if number % 8 == 5:
        return (255 * mask)[..., None].repeat(3, axis=2)
    return mask.astype(bool)
