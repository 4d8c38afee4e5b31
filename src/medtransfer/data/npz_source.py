"""Images that are rows of the arrays in one ``.npz`` archive, as MedMNIST ships them."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import BadImageError, DataError
from medtransfer.core.fingerprints import hash_array
from medtransfer.data.file_source import with_mask_rule
from medtransfer.data.image_source import UInt8Array
from medtransfer.data.mask_rule import MaskRule, apply_mask_rule, check_mask_rule

MAX_BYTES: Final = 20 * 2**30

_ARCHIVE_ERRORS: Final = (OSError, EOFError, ValueError, LookupError, zipfile.BadZipFile, zlib.error)


def read_npz_arrays(path: Path, names: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """Return arrays of an archive, each read once per process, as read-only views.

    Args:
        path: File in numpy's ``.npz`` form.
        names: Arrays wanted.

    Raises:
        DataError: If the file is missing or damaged, unpacks to more than ``MAX_BYTES``, lacks an
            array, or holds pickled objects, which are never loaded.
    """
    try:
        status = path.stat()
        return {name: _read_array(path, status.st_size, status.st_mtime_ns, name) for name in names}
    except DataError:
        raise
    except _ARCHIVE_ERRORS as error:
        raise DataError(
            f"{path.name}: expected a readable .npz file, got {error}. Download it again."
        ) from error


@lru_cache(maxsize=16)
def _read_array(path: Path, size: int, mtime_ns: int, name: str) -> npt.NDArray[Any]:  # noqa: ARG001 - cache key
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > MAX_BYTES:
        raise DataError(f"{path.name}: expected at most {MAX_BYTES} bytes unpacked, got {unpacked}.")
    with np.load(path, allow_pickle=False) as arrays:
        if name not in arrays.files:
            raise DataError(
                f"{path.name}: expected an array {name!r}, got {arrays.files!r}. Check the download."
            )
        array: npt.NDArray[Any] = arrays[name]
    array.setflags(write=False)
    return array


@dataclass(frozen=True)
class NpzSource:
    """Reads locators such as ``train_images/17``: array and row; picklable, without its arrays."""

    path: Path
    """The archive."""
    mask_rule: MaskRule = "nonzero"
    """What stored mask values mean."""

    def __post_init__(self) -> None:
        check_mask_rule(self.mask_rule)

    def read_image(self, locator: str) -> UInt8Array:
        """Return one image, shape (H, W) or (H, W, 3), uint8.

        Raises:
            BadImageError: If the locator names no row, or the row is no uint8 image.
        """
        row = self._row(locator)
        if row.dtype != np.uint8 or (row.ndim != 2 and row.shape[2:] != (3,)):
            raise BadImageError(
                f"{locator!r}: expected uint8 of (H, W) or (H, W, 3), got {row.dtype} of {row.shape}."
            )
        return np.array(row)

    def read_mask(self, locator: str) -> UInt8Array:
        """Return the class ids of one mask, shape (H, W), uint8.

        Raises:
            BadImageError: As for images, or when a value is not declared.
        """
        row = self._row(locator)
        if row.ndim != 2 or row.dtype.kind not in "bui":
            raise BadImageError(
                f"{locator!r}: expected a mask (H, W) of integers, got {row.dtype} of {row.shape}."
            )
        return apply_mask_rule(row, self.mask_rule, repr(locator))

    def content_hash(self, locator: str) -> str:
        """Return a digest of the row's values and, unless it is the usual one, of the mask rule.

        Raises:
            BadImageError: If the locator names no row.
        """
        return with_mask_rule(hash_array(self._row(locator)), self.mask_rule)

    def describe(self, locator: str) -> str:
        """Return the file name with array and row."""
        return f"{self.path.name}:{locator}"

    def _row(self, locator: str) -> npt.NDArray[Any]:
        name, _, number = locator.rpartition("/")
        if not (name and number.isascii() and number.isdigit()):
            raise BadImageError(f"{locator!r}: expected an array and a row, such as 'train_images/17'.")
        try:
            array = read_npz_arrays(self.path, [name])[name]
        except DataError as error:
            raise BadImageError(str(error)) from error
        if array.ndim < 3 or int(number) >= len(array) or 0 in array.shape:
            raise BadImageError(f"{locator!r}: expected a row of {name!r}, whose shape is {array.shape}.")
        row: npt.NDArray[Any] = array[int(number)]
        return row[..., 0] if row.shape[2:] == (1,) else row
