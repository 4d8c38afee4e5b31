"""Images and masks that are files below one folder: pictures, DICOM, NIfTI, arrays, run lengths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import BadImageError
from medtransfer.core.fingerprints import hash_json
from medtransfer.data import locators
from medtransfer.data.content_hashes import content_hash_of_file
from medtransfer.data.dicom_headers import is_dicom
from medtransfer.data.image_source import UInt8Array
from medtransfer.data.inside_root import path_inside
from medtransfer.data.intensity import Intensity, VolumeRange, Window, to_grey_levels
from medtransfer.data.mask_rule import MaskColours, MaskRule, apply_mask_rule, check_mask_rule
from medtransfer.data.nifti_volumes import Plane, Volume, is_nifti, read_nifti_volume
from medtransfer.data.raw_files import read_raw
from medtransfer.data.readers import read_mask, read_picture
from medtransfer.data.run_lengths import RunLengthTable

_START_BYTES = 1024
_NPY = b"\x93NUMPY"


@dataclass(frozen=True)
class FileSource:
    """Reads what :mod:`.locators` name below a folder; picklable.

    What a file is, its content says, not its name.
    """

    root: Path
    """Folder no locator may leave."""
    mask_rule: MaskRule = "nonzero"
    """What stored mask values mean."""
    intensity: Intensity = None
    """How values of DICOM and NIfTI files become grey levels."""
    plane: Plane = "axial"
    """Which way NIfTI volumes are cut."""
    run_lengths: RunLengthTable | None = None
    """The table that ``runs:`` locators are looked up in."""

    def __post_init__(self) -> None:
        check_mask_rule(self.mask_rule)

    def read_image(self, locator: str) -> UInt8Array:
        """Return the image, shape (H, W) or (H, W, 3), uint8.

        Raises:
            BadImageError: If a file is missing, damaged, too large or outside the folder, or channels
                differ in size or have colour.
        """
        parts = locators.channels_of(locator)
        if len(parts) == 1:
            return self._read_image(locator)
        channels = [self._read_image(part) for part in parts]
        shapes = {channel.shape for channel in channels}
        if len(shapes) > 1 or channels[0].ndim != 2:
            raise BadImageError(
                f"{self.describe(locator)}: expected grey channels of one size, got {sorted(shapes)!r}."
            )
        return np.stack(channels, axis=-1)

    def read_mask(self, locator: str) -> UInt8Array:
        """Return the class ids, shape (H, W), uint8.

        Raises:
            BadImageError: As for images, or when a value is not declared.
        """
        kind, argument, rest = locators.split_prefix(locator)
        if kind == locators.CLASS:
            inside = _with_rule(self, "nonzero").read_mask(rest) > 0
            return inside.astype(np.uint8) * np.uint8(int(argument))
        if kind == locators.EMPTY:
            return np.zeros(_size(argument, locator), dtype=np.uint8)
        if kind == locators.RUNS:
            return self._table(locator).read(self.root, rest, *_size(argument, locator))
        path = path_inside(self.root, rest)
        start = _start_of(path, rest)
        if is_dicom(start):
            from medtransfer.data.dicom_pixels import read_stored_values

            values = read_stored_values(path, rest, int(argument or 0))
        elif is_nifti(start):
            values = _slice(read_nifti_volume(path, rest), argument, self.plane, rest)
        elif start.startswith(_NPY):
            values = _read_array(path, rest)
        else:
            return read_mask(self.root / rest, root=self.root, rule=self.mask_rule)
        return apply_mask_rule(values, self.mask_rule, self.describe(locator))

    def content_hash(self, locator: str) -> str:
        """Return a digest of all bytes behind a locator, and of whatever decides what is made of them.

        Raises:
            BadImageError: If a file is missing, unreadable or outside the folder.
        """
        kind, argument, rest = locators.split_prefix(locator)
        if kind == locators.RUNS:
            return hash_json([locators.RUNS, argument, self._table(locator).text(self.root, rest)])
        files = locators.files_of(locator)
        digests = [content_hash_of_file(path_inside(self.root, path)) for path in files]
        digest = digests[0] if files == (locator,) else hash_json([_without_paths(locator), digests])
        return with_mask_rule(self._with_display(digest, locator), self.mask_rule)

    def describe(self, locator: str) -> str:
        """Return the path below the folder, with the slice or the channels in words."""
        parts = locators.channels_of(locator)
        if len(parts) > 1:
            return " + ".join(self.describe(part) for part in parts)
        kind, argument, rest = locators.split_prefix(locator)
        if kind == locators.CLASS:
            return self.describe(rest)
        words = {
            locators.SLICE: f"{rest} slice {argument}",
            locators.RUNS: f"the run lengths of {rest}",
            locators.EMPTY: "an empty mask",
        }
        return words.get(kind, rest)

    def is_plain_picture(self, locator: str) -> bool:
        """Return whether a locator is one picture file whose pixels are shown as they are stored."""
        if locators.files_of(locator) != (locator,):
            return False
        start = _start_of(path_inside(self.root, locator), locator)
        return not (is_dicom(start) or is_nifti(start) or start.startswith(_NPY))

    def _read_image(self, locator: str) -> UInt8Array:
        kind, argument, rest = locators.split_prefix(locator)
        path = path_inside(self.root, rest)
        if kind == locators.RAW:
            return read_raw(path, rest, int(argument))
        start = _start_of(path, rest)
        if is_dicom(start):
            return self._read_dicom(path, rest, int(argument or 0))
        if is_nifti(start):
            return self._read_nifti(path, rest, argument)
        if start.startswith(_NPY):
            return _as_image(_read_array(path, rest))
        return read_picture(path, rest)

    def _read_dicom(self, path: Path, name: str, frame: int) -> UInt8Array:
        from medtransfer.data.dicom_pixels import displayed, read_dicom_frame
        from medtransfer.data.dicom_series import series_range

        measured = None
        if isinstance(self.intensity, VolumeRange):
            measured = series_range(path, name, self.intensity)
        window = self.intensity if isinstance(self.intensity, Window) else None
        return displayed(read_dicom_frame(path, name, frame), window, measured)

    def _read_nifti(self, path: Path, name: str, index: str) -> UInt8Array:
        volume = read_nifti_volume(path, name)
        values = _slice(volume, index, self.plane, name)
        if isinstance(self.intensity, Window):
            return to_grey_levels(values, self.intensity.low, self.intensity.high)
        status = path.stat()
        low, high = _volume_range(
            path, status.st_size, status.st_mtime_ns, name, self.intensity or VolumeRange()
        )
        return to_grey_levels(values, low, high)

    def _measured_on(self, locator: str) -> dict[str, Any]:
        """Return the digests of the DICOM series whose range decides how the files of a locator look."""
        files = locators.files_of(locator)
        found = [_digest_of_series(path_inside(self.root, file), file) for file in files]
        return {"series": found} if any(found) else {}

    def _table(self, locator: str) -> RunLengthTable:
        if self.run_lengths is None:
            raise BadImageError(f"{locator!r}: expected a table of run lengths, got none declared.")
        return self.run_lengths

    def _with_display(self, digest: str, locator: str) -> str:
        """Return a digest that also changes with how values are shown, where that is stated."""
        shown: dict[str, Any] = {}
        if self.intensity is not None:
            shown[type(self.intensity).__name__] = asdict(self.intensity)
        if isinstance(self.intensity, VolumeRange):
            shown |= self._measured_on(locator)
        if self.plane != "axial" and locators.SLICE in locator:
            shown["plane"] = {"cut": self.plane}
        return hash_json([digest, shown]) if shown else digest


def _digest_of_series(path: Path, name: str) -> str | None:
    """Return the digest of the series a DICOM file belongs to; None for other files."""
    if not is_dicom(_start_of(path, name)):
        return None
    from medtransfer.data.dicom_series import series_hash

    return series_hash(path)


def with_mask_rule(digest: str, rule: MaskRule) -> str:
    """Return a digest that also changes with a mask rule other than ``nonzero``."""
    if rule == "nonzero":
        return digest
    meaning: Any = rule
    if isinstance(rule, MaskColours):
        meaning = [list(pair) for pair in rule.classes]
    elif isinstance(rule, Mapping):
        meaning = sorted(rule.items())
    return hash_json([digest, meaning])


def _with_rule(source: FileSource, rule: MaskRule) -> FileSource:
    return FileSource(source.root, rule, source.intensity, source.plane, source.run_lengths)


def _without_paths(locator: str) -> list[list[str]]:
    """Return the prefixes of all channels: what a locator says besides which files."""
    found = []
    for part in locators.channels_of(locator):
        prefixes, rest = [], part
        while (cut := locators.split_prefix(rest))[0]:
            prefixes += [cut[0], cut[1]]
            rest = cut[2]
        found.append(prefixes)
    return found


def _start_of(path: Path, name: str) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(_START_BYTES)
    except OSError as error:
        reason = "none" if isinstance(error, FileNotFoundError) else str(error.strerror)
        raise BadImageError(
            f"{name}: expected a file, got {reason}. Check the path and the data folder."
        ) from error


def _slice(volume: Volume, index: str, plane: Plane, name: str) -> npt.NDArray[Any]:
    count = volume.count(plane)
    if not index:
        if count == 1:
            return volume.cut(0, plane)
        raise BadImageError(
            f"{name}: expected a slice of the volume, which has {count}, got the whole file. "
            "Declare 'slices' to make a case of every slice."
        )
    if int(index) >= count:
        raise BadImageError(f"{name}: expected a slice from 0 to {count - 1}, got {index}.")
    return volume.cut(int(index), plane)


@lru_cache(maxsize=64)
def _volume_range(
    path: Path, size: int, mtime_ns: int, name: str, measure: VolumeRange
) -> tuple[float, float]:
    del size, mtime_ns  # part of the cache's key
    return measure.of(read_nifti_volume(path, name).voxels)


def _read_array(path: Path, name: str) -> npt.NDArray[Any]:
    try:
        array: npt.NDArray[Any] = np.load(path, allow_pickle=False, mmap_mode="r")
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise BadImageError(
            f"{name}: expected a readable .npy file, got {error}. Replace the file."
        ) from error
    if not (array.ndim == 2 or array.shape[2:] == (3,)) or 0 in array.shape or array.dtype.kind not in "buif":
        raise BadImageError(
            f"{name}: expected numbers of shape (H, W) or (H, W, 3), got {array.dtype} of {array.shape}."
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise BadImageError(f"{name}: expected finite values, got NaN or infinity. Repair the array.")
    return np.array(array)


def _as_image(array: npt.NDArray[Any]) -> UInt8Array:
    if array.dtype == np.uint8:
        return array
    return to_grey_levels(array, float(array.min()), float(array.max()))


def _size(argument: str, locator: str) -> tuple[int, int]:
    height, _, width = argument.partition("x")
    if not (height.isdigit() and width.isdigit() and int(height) * int(width) > 0):
        raise BadImageError(f"{locator!r}: expected a size such as '1024x768', got {argument!r}.")
    return int(height), int(width)
