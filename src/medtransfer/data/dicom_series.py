"""DICOM series: found in a folder, put in anatomical order by position, and measured as a whole."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from medtransfer.core.errors import BadImageError
from medtransfer.core.fingerprints import hash_json
from medtransfer.data.content_hashes import content_hash_of_file
from medtransfer.data.dicom_headers import (
    DicomHeader,
    dicom_errors,
    dicom_reason,
    is_dicom,
    read_dicom_header,
)
from medtransfer.data.inside_root import path_inside
from medtransfer.data.intensity import VolumeRange

_SAME_DIRECTION = 1e-3
_ENDINGS = frozenset({".dcm", ".dicom", ".ima"})


@dataclass(frozen=True)
class DicomSlice:
    """One file of a series."""

    locator: str
    """Path below the data folder."""
    header: DicomHeader
    """Its header."""


@dataclass(frozen=True)
class DicomSeries:
    """The files of one SeriesInstanceUID with one orientation."""

    uid: str
    """SeriesInstanceUID; followed by a number where a series holds several orientations."""
    slices: tuple[DicomSlice, ...]
    """In anatomical order: along the normal of the slices, then by time."""
    ordered_by: str
    """``position`` or, where files have none, ``instance number``."""

    @property
    def patient_id(self) -> str:
        """PatientID of the first slice."""
        return self.slices[0].header.patient_id


def find_series(root: Path, locators: Iterable[str]) -> list[DicomSeries]:
    """Return the series that files belong to, each in anatomical order, sorted by their first file.

    Slices are ordered by the projection of ImagePositionPatient on the normal of the slice, never
    by file name. Files with several orientations, such as localisers, become several series.

    Args:
        root: The data folder.
        locators: DICOM files below it.

    Raises:
        BadImageError: If a file is no DICOM image, a series mixes patients, or neither positions nor
            instance numbers tell the order.
    """
    by_uid: dict[str, list[DicomSlice]] = {}
    for locator in sorted(locators):
        header = read_dicom_header(root, locator)
        by_uid.setdefault(header.series_uid or locator, []).append(DicomSlice(locator, header))
    found = [series for uid, slices in by_uid.items() for series in _ordered(uid, slices)]
    return sorted(found, key=lambda series: min(part.locator for part in series.slices))


def dicom_files(root: Path, folder: str = ".") -> list[str]:
    """Return the locators of all DICOM files in a folder and below it, sorted; hidden files and DICOMDIR left out."""
    return sorted_dicom_files(root, folder)[0]


def sorted_dicom_files(root: Path, folder: str = ".") -> tuple[list[str], list[str]]:
    """Return what :func:`dicom_files` does, and the files that are DICOM by their names alone.

    The latter end in ``.dcm``, ``.dicom`` or ``.ima`` and do not begin like a DICOM file: they are empty, cut
    off, or something else.
    """
    top = path_inside(root, folder)
    found: list[str] = []
    damaged: list[str] = []
    for path in sorted(top.rglob("*")):
        relative = path.relative_to(top)
        hidden = any(part.startswith(".") for part in relative.parts)
        if hidden or not path.is_file() or path.name == "DICOMDIR":
            continue
        if _starts_like_dicom(path):
            found.append((Path(folder) / relative).as_posix())
        elif path.suffix.lower() in _ENDINGS:
            damaged.append((Path(folder) / relative).as_posix())
    return found, damaged


def directory_files(root: Path, locator: str) -> list[str]:
    """Return the locators of the images a DICOMDIR file refers to, in its order.

    Args:
        root: The data folder.
        locator: The DICOMDIR file below it.

    Raises:
        BadImageError: If the file is damaged, or refers to a file that is missing or outside the data
            folder; nothing is read in that case.
    """
    import pydicom

    path = path_inside(root, locator)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd file ids are judged below
            directory = pydicom.dcmread(path)
            records = list(directory.get("DirectoryRecordSequence") or [])
            named = [_file_id(record) for record in records if record.get("DirectoryRecordType") == "IMAGE"]
    except dicom_errors() as error:
        raise BadImageError(
            f"{locator}: expected a readable DICOMDIR, got {dicom_reason(error)}. Replace the file."
        ) from error
    folder = Path(locator).parent
    found = []
    for parts in named:
        if any(part in {"", ".", ".."} or "/" in part or "\\" in part or "\0" in part for part in parts):
            raise BadImageError(
                f"{locator}: expected file ids below its folder, got {'/'.join(parts)!r}. Refused as a whole."
            )
        entry = (folder / Path(*parts)).as_posix()
        if not path_inside(root, entry).is_file():
            raise BadImageError(
                f"{locator}: expected the file {entry!r} it refers to, got none. Complete it."
            )
        found.append(entry)
    return found


def series_range(path: Path, name: str, measure: VolumeRange) -> tuple[float, float]:
    """Return the range of the series a file belongs to: all files of its folder with its SeriesInstanceUID.

    Raises:
        BadImageError: If a file of the series cannot be read.
    """
    uid = read_dicom_header(path.parent, path.name).series_uid
    return _series_range(path.parent, uid or path.name, _stamps(path.parent), measure, name)


def series_hash(path: Path) -> str:
    """Return a digest of all files whose values :func:`series_range` measures for a file.

    Raises:
        BadImageError: If a file of the series cannot be read.
    """
    uid = read_dicom_header(path.parent, path.name).series_uid
    return _series_hash(path.parent, uid or path.name, _stamps(path.parent))


@lru_cache(maxsize=64)
def _series_hash(folder: Path, uid: str, stamps: tuple[tuple[str, int, int], ...]) -> str:
    files = [file for file, _, _ in stamps if (read_dicom_header(folder, file).series_uid or file) == uid]
    return hash_json([content_hash_of_file(folder / file) for file in files])


@lru_cache(maxsize=64)
def _series_range(
    folder: Path, uid: str, stamps: tuple[tuple[str, int, int], ...], measure: VolumeRange, name: str
) -> tuple[float, float]:
    from medtransfer.data.dicom_pixels import read_dicom_frame

    parts = []
    for file, _, _ in stamps:
        header = read_dicom_header(folder, file)
        if (header.series_uid or file) == uid:
            frames = range(header.frames)
            parts += [read_dicom_frame(folder / file, file, frame).values.ravel() for frame in frames]
    if not parts:
        raise BadImageError(f"{name}: expected files of its series in its folder, got none.")
    return measure.of(np.concatenate(parts))


def _stamps(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Return name, size and time of every DICOM file of a folder: what a measured range depends on."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith(".") and path.name != "DICOMDIR":
            status = path.stat()
            if _known_dicom(path, status.st_size, status.st_mtime_ns):
                found.append((path.name, status.st_size, status.st_mtime_ns))
    return tuple(found)


@lru_cache(maxsize=65536)
def _known_dicom(path: Path, size: int, mtime_ns: int) -> bool:
    del size, mtime_ns  # part of the cache's key
    return _starts_like_dicom(path)


def _starts_like_dicom(path: Path) -> bool:
    with path.open("rb") as stream:
        return is_dicom(stream.read(132))


def _file_id(record: object) -> list[str]:
    value = record.get("ReferencedFileID")  # type: ignore[attr-defined]
    return [value] if isinstance(value, str) else [str(part) for part in value or []]


def _ordered(uid: str, slices: Sequence[DicomSlice]) -> Iterator[DicomSeries]:
    patients = {part.header.patient_id for part in slices}
    if len(patients) > 1:
        raise BadImageError(
            f"{slices[0].locator}: expected one patient in series {uid}, got {sorted(patients)[:5]!r}. "
            "Correct the headers or remove the files."
        )
    stacks = _by_orientation(slices)
    for number, stack in enumerate(stacks):
        name = uid if len(stacks) == 1 else f"{uid}#{number}"
        yield _in_order(name, stack)


def _by_orientation(slices: Sequence[DicomSlice]) -> list[list[DicomSlice]]:
    stacks: list[list[DicomSlice]] = []
    for part in slices:
        for stack in stacks:
            if _same_orientation(stack[0].header, part.header):
                stack.append(part)
                break
        else:
            stacks.append([part])
    return stacks


def _same_orientation(one: DicomHeader, other: DicomHeader) -> bool:
    if one.orientation is None or other.orientation is None:
        return one.orientation is other.orientation
    return bool(np.allclose(one.orientation, other.orientation, atol=_SAME_DIRECTION))


def _in_order(uid: str, stack: list[DicomSlice]) -> DicomSeries:
    if all(part.header.place_mm is not None for part in stack):
        return DicomSeries(uid, tuple(sorted(stack, key=_place_and_time)), "position")
    numbers = [part.header.instance_number for part in stack]
    if len(stack) > 1 and (None in numbers or len(set(numbers)) < len(numbers)):
        raise BadImageError(
            f"{stack[0].locator}: expected positions (ImagePositionPatient) or different instance numbers in "
            f"series {uid}, got neither. The order of its slices is unknown: repair the headers."
        )
    return DicomSeries(uid, tuple(sorted(stack, key=_number)), "instance number")


def _place_and_time(part: DicomSlice) -> tuple[float, float, int, str]:
    header = part.header
    return (
        round(header.place_mm or 0.0, 3),
        header.temporal_position or 0.0,
        header.instance_number or 0,
        part.locator,
    )


def _number(part: DicomSlice) -> int:
    return part.header.instance_number or 0
