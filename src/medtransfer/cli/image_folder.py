"""The images below any folder, read as a study would read them, for a look at what a network sees of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import BadImageError, DataError
from medtransfer.core.problems import Problem
from medtransfer.core.progress import Progress, no_progress
from medtransfer.data.decoding import resize_image
from medtransfer.data.dicom_headers import is_dicom
from medtransfer.data.file_source import FileSource
from medtransfer.models.image_findings import FolderImage, StoredValues, stored_values
from medtransfer.models.input_check import spread

MOST_IMAGES: Final = 256
"""Images that are read of a larger folder, evenly spread over their names."""
_ENDINGS: Final = (
    ".png",
    ".jpg",
    ".jpeg",
    ".tif",
    ".tiff",
    ".gif",
    ".npy",
    ".dcm",
    ".dicom",
    ".nii",
    ".nii.gz",
)
_START_BYTES: Final = 1024


def read_folder(
    folder: Path, side: int, progress: Progress = no_progress
) -> tuple[list[FolderImage], list[Problem]]:
    """Return images below a folder, and those that cannot be read as problems.

    Args:
        folder: Pictures, DICOM files, arrays and volumes, at any depth; of a volume, the middle slice.
        side: Side of the network's images in pixels.
        progress: Told the images that were read.

    Raises:
        DataError: If there is no such folder, or it has no image that can be read.
    """
    if not folder.is_dir():
        raise DataError(f"images: expected a folder at {folder}, got none. Check the path.")
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and _is_image(path))
    chosen = [paths[place] for place in spread(len(paths), MOST_IMAGES)] if paths else []
    source = FileSource(folder)
    images, unreadable = [], []
    for done, path in enumerate(chosen, 1):
        try:
            images.append(_read(source, path.relative_to(folder).as_posix(), side))
        except BadImageError as error:
            unreadable.append(
                Problem("unreadable-image", path.name, "an image that can be read", str(error).rstrip("."))
            )
        progress("reading images", done, len(chosen))
    if not images:
        first = f" The first fault: {unreadable[0].found}." if unreadable else ""
        raise DataError(
            f"images: expected images below {folder}, got {len(chosen)} files that look like images and none "
            f"that can be read.{first}"
        )
    return images, unreadable


def _is_image(path: Path) -> bool:
    """Return whether a file looks like an image: by its ending, or as DICOM, whose files often have none."""
    if path.name.startswith("."):
        return False
    if path.name.lower().endswith(_ENDINGS):
        return True
    with path.open("rb") as stream:
        return not path.suffix and is_dicom(stream.read(_START_BYTES))


def _read(source: FileSource, locator: str, side: int) -> FolderImage:
    name = locator
    if locator.lower().endswith((".nii", ".nii.gz")):
        locator = _middle_slice(source, locator)
    pixels = source.read_image(locator)
    stored = _stored(source.root / name, pixels)
    return FolderImage(name, resize_image(pixels, side), stored)


def _middle_slice(source: FileSource, name: str) -> str:
    from medtransfer.data.locators import slice_locator
    from medtransfer.data.nifti_volumes import read_nifti_volume

    slices = read_nifti_volume(source.root / name, name).count(source.plane)
    return slice_locator(name, slices // 2)


def _stored(path: Path, pixels: npt.NDArray[np.uint8]) -> StoredValues:
    """Return facts of what is in the file; ``pixels`` were read from it, so it can be."""
    values: npt.NDArray[Any] = pixels
    if path.suffix.lower() == ".npy":
        values = np.load(path, allow_pickle=False)
    elif path.suffix.lower() in {".png", ".tif", ".tiff"}:
        values = _deep_picture(path, pixels)
    return stored_values(values)


def _deep_picture(path: Path, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """Return the values of a picture of more than eight bits per grey level, else its bytes."""
    from PIL import Image

    with Image.open(path) as image:
        return np.array(image) if image.mode.startswith("I") or image.mode == "F" else pixels
