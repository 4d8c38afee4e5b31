"""Which files the images of own data are: names in a manifest resolved, volumes and series cut into slices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from medtransfer.core.errors import BadImageError, DataError
from medtransfer.core.problems import Problem
from medtransfer.data.dicom_headers import is_dicom, read_dicom_header
from medtransfer.data.dicom_segmentations import read_segment_frames
from medtransfer.data.dicom_series import directory_files, find_series, sorted_dicom_files
from medtransfer.data.inside_root import path_inside
from medtransfer.data.locators import class_locator, empty_locator, slice_locator
from medtransfer.data.nifti_volumes import Plane, is_nifti, read_nifti_slices
from medtransfer.tasks.tables import refuse

_PICTURES: Final = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".npy", ".png", ".tif", ".tiff"})
_START_BYTES: Final = 1024
_OF_SYSTEMS: Final = frozenset({"desktop.ini", "thumbs.db"})
"""What Windows leaves in folders; what others leave is hidden by a dot."""
_MOST_NAMED: Final = 5


@dataclass(frozen=True)
class NamedImages:
    """The files below a folder, found by path, by name or by name without ending."""

    root: Path
    """Folder of the data set."""
    folder: str
    """Folder below it that names start from."""
    by_name: Mapping[str, tuple[str, ...]]
    """File name, and file name without ending, to locators."""

    @classmethod
    def below(cls, root: Path, folder: str) -> NamedImages:
        """List the folder once; hidden files and those of the operating system are left out."""
        found: dict[str, list[str]] = defaultdict(list)
        top = root / folder
        for path in sorted(top.rglob("*")) if top.is_dir() else []:
            relative = path.relative_to(top)
            if path.is_file() and not is_left_out(relative):
                locator = (Path(folder) / relative).as_posix()
                for name in {path.name, bare_stem(path.name)}:
                    found[name].append(locator)
        return cls(root, folder, {name: tuple(locators) for name, locators in found.items()})

    def resolve(self, name: str) -> str | list[str]:
        """Return the locator a name means, or, when there is not exactly one, all that it could mean.

        Backslashes count as slashes. A path below the folder wins; else the name, with or without
        its ending, of one file anywhere below the folder.
        """
        if not name or "\0" in name:
            return []
        name = name.replace("\\", "/")
        direct = (Path(self.folder) / name).as_posix()
        if _exists(self.root / direct):
            return direct
        found = self.by_name.get(name, ())
        return found[0] if len(found) == 1 else list(found)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # such as a text that is too long for a name
        return False


def is_left_out(relative: Path) -> bool:
    """Return whether a file is none of the user's: hidden, in a hidden folder, or of the operating system.

    Example:
        >>> is_left_out(Path("benign/Thumbs.db")), is_left_out(Path("benign/p1.png"))
        (True, False)
    """
    return relative.name.casefold() in _OF_SYSTEMS or any(part.startswith(".") for part in relative.parts)


def bare_stem(name: str) -> str:
    """Return a file name without its ending; both endings of ``.nii.gz``.

    Example:
        >>> bare_stem("case_1.nii.gz"), bare_stem("1.2.840.dcm"), bare_stem("scan")
        ('case_1', '1.2.840', 'scan')
    """
    stem = name.removesuffix(".gz") if name.endswith(".nii.gz") else name
    return Path(stem).stem


def slices_of_images(
    name: str,
    root: Path,
    frame: pd.DataFrame,
    plane: Plane,
    segments: Mapping[int, int] | None = None,
) -> tuple[pd.DataFrame, tuple[Problem, ...]]:
    """Return a case for every slice: of NIfTI volumes, DICOM series and files with several frames.

    Rows that are single pictures stay as they are. Where any row is a volume, all rows get a
    ``volume_id``: the file of a NIfTI volume, the SeriesInstanceUID of a DICOM series.

    Args:
        name: Task name for messages.
        root: Folder of the data set.
        frame: Rows with ``case_id``, ``patient_id`` and ``image``, the locator of a file, of a
            DICOMDIR or of a folder with DICOM files; and ``mask`` where there are masks.
        plane: Which way NIfTI volumes are cut.
        segments: Segment number of a DICOM segmentation to class id; None makes every segment class 1.

    Returns:
        The frame with one row per case; ``dicom_patient`` holds the PatientID of DICOM images. And the
        problem of files in series that cannot be read; no study runs with it.

    Raises:
        DataError: If a file cannot be read or a mask has other slices than its image.
    """
    rows: list[dict[str, Any]] = []
    try:
        for row in frame.to_dict("records"):
            rows += _expanded(name, root, {str(key): value for key, value in row.items()}, plane, segments)
        _refuse_repeats(name, rows)
        damaged = [file for row in rows for file in row.pop("damaged", ())]
        rows = _with_series(root, rows)
    except BadImageError as error:
        raise DataError(f"task {name!r}: {error}") from error
    expanded = pd.DataFrame(rows)
    if "volume_id" in expanded.columns:
        expanded["volume_id"] = expanded["volume_id"].fillna(expanded["case_id"])
    return expanded, damaged_dicom(damaged)


def damaged_dicom(files: Sequence[str]) -> tuple[Problem, ...]:
    """Return the problem of files that are DICOM by their names alone; nothing when there are none."""
    if not files:
        return ()
    more = f" and {len(files) - _MOST_NAMED} more" if len(files) > _MOST_NAMED else ""
    return (
        Problem(
            what="unreadable-image",
            where="DICOM files",
            expected="images that can be read",
            found=f"{len(files)} that do not begin like DICOM: {', '.join(files[:_MOST_NAMED])}{more}",
            next_step="Replace or remove them.",
        ),
    )


def with_dicom_patients(frame: pd.DataFrame, *, patients_given: bool) -> tuple[pd.DataFrame, bool]:
    """Return the frame with patients, taken from DICOM headers where nobody named them.

    Args:
        frame: What :func:`slices_of_images` returned.
        patients_given: Whether the user named a patient column or pattern.

    Returns:
        The frame, and whether patients are known.
    """
    if "dicom_patient" not in frame.columns:
        return frame, patients_given
    named = frame["dicom_patient"].fillna("")
    known = patients_given or bool((named != "").all())
    if known and not patients_given:
        frame = frame.assign(patient_id=named)
    elif not known and "volume_id" in frame.columns:
        alone = frame["patient_id"] == frame["case_id"]  # the files of a folder or directory stay together
        frame = frame.assign(patient_id=frame["patient_id"].where(~alone, frame["volume_id"]))
    return frame, known


def divided_patients(frame: pd.DataFrame) -> tuple[Problem, ...]:
    """Return the problem of DICOM patients whose images lie in several splits, whatever the user calls them.

    Args:
        frame: Rows with ``split`` and, for DICOM images, ``dicom_patient``.
    """
    if "dicom_patient" not in frame.columns:
        return ()
    named = frame[frame["dicom_patient"].fillna("") != ""]
    splits = named.groupby("dicom_patient")["split"].nunique()
    divided = sorted(splits.index[splits > 1].astype(str))
    if not divided:
        return ()
    return (
        Problem(
            what="patient-overlap",
            where="PatientID in the DICOM headers",
            expected="all images of a patient in one split",
            found=f"{len(divided)} patients in several: {', '.join(divided[:5])}",
            next_step="The list calls one patient by several names: correct it, or leave its column out.",
        ),
    )


def dicom_images_by_patient(
    name: str, root: Path, folder: str
) -> tuple[dict[str, list[str]], tuple[Problem, ...]]:
    """Return the DICOM files below a folder by the PatientID of their header, and the problem of damaged ones.

    Raises:
        DataError: If there is no DICOM file, or one without PatientID.
    """
    try:
        files, damaged = sorted_dicom_files(root, folder)
        headers = {locator: read_dicom_header(root, locator) for locator in files}
    except BadImageError as error:
        raise DataError(f"task {name!r}: {error}") from error
    if not headers:
        raise DataError(
            f"task {name!r}: columns: expected an image column, or DICOM files in {folder!r} whose patients the "
            f"patient column names, got {_only_damaged(damaged) or 'neither'}. Add 'image' to the columns"
            f"{', or replace the files' if damaged else ''}."
        )
    without = [repr(locator) for locator, header in headers.items() if not header.patient_id]
    refuse(f"task {name!r}", folder, "a PatientID in every DICOM file", without)
    found: dict[str, list[str]] = defaultdict(list)
    for locator, header in headers.items():
        found[header.patient_id].append(locator)
    return found, damaged_dicom(damaged)


def _expanded(
    name: str, root: Path, row: dict[str, Any], plane: Plane, segments: Mapping[int, int] | None
) -> list[dict[str, Any]]:
    locator = str(row["image"])
    several, damaged = None, list[str]()
    if (root / locator).is_dir():
        several, damaged = sorted_dicom_files(root, locator)
    elif Path(locator).name == "DICOMDIR":
        several = directory_files(root, locator)
    if several is not None:
        rows = _files(name, row, several, damaged)
        return _with_segments(name, root, rows, segments) if row.get("mask") else rows
    kind = _kind(root, locator)
    if kind == "nifti":
        return _nifti_slices(name, root, row, plane)
    return [row | {"dicom": True}] if kind == "dicom" else [row]


def _files(name: str, row: dict[str, Any], files: list[str], damaged: list[str]) -> list[dict[str, Any]]:
    if not files:
        raise DataError(
            f"task {name!r}: {row['image']}: expected DICOM files, got {_only_damaged(damaged) or 'none'}. "
            "Correct the path."
        )
    cut = {"foreground": None} if "foreground" in row and len(files) > 1 else {}
    rows = [row | {"case_id": file, "image": file, "dicom": True} | cut for file in files]
    rows[0]["damaged"] = damaged
    return rows


def _only_damaged(files: Sequence[str]) -> str:
    return f"files that do not begin like DICOM: {', '.join(files[:_MOST_NAMED])}" if files else ""


def _with_segments(
    name: str, root: Path, rows: list[dict[str, Any]], segments: Mapping[int, int] | None
) -> list[dict[str, Any]]:
    """Return the slices of a series with their masks out of one DICOM segmentation."""
    mask, *others = rows[0]["mask"]
    if others:
        raise DataError(
            f"task {name!r}: expected one DICOM segmentation for the series {Path(rows[0]['image']).parent}, got "
            f"{len(others) + 1}: {', '.join(map(str, rows[0]['mask'][:3]))}. Put their segments into one file."
        )
    if _kind(root, str(mask)) != "dicom":
        raise DataError(
            f"task {name!r}: {mask}: expected a DICOM segmentation for the series {Path(rows[0]['image']).parent}, "
            "got another kind of file. Name the files of the series one by one, each with its mask."
        )
    by_slice: dict[str, list[str]] = defaultdict(list)
    for part in read_segment_frames(root, str(mask)):
        class_id = 1 if segments is None else segments.get(part.segment)
        if class_id is None:
            raise DataError(
                f"task {name!r}: {mask}: expected segments among {sorted(segments or ())!r}, got {part.segment}. "
                "Add it to 'mask_values'."
            )
        by_slice[part.sop_uid].append(class_locator(slice_locator(str(mask), part.frame), class_id))
    headers = {str(row["image"]): read_dicom_header(root, str(row["image"])) for row in rows}
    strangers = set(by_slice) - {header.sop_uid for header in headers.values()}
    if strangers:
        damaged = _only_damaged(rows[0]["damaged"])
        raise DataError(
            f"task {name!r}: {mask}: expected masks of slices of {Path(rows[0]['image']).parent}, got "
            f"{len(strangers)} of other images. "
            + (
                f"The series has {damaged}: replace them."
                if damaged
                else "Match each segmentation with its own series."
            )
        )
    return [
        row | {"mask": tuple(by_slice[header.sop_uid]) or (empty_locator(header.rows, header.columns),)}
        for row, header in zip(rows, headers.values(), strict=True)
    ]


def _nifti_slices(name: str, root: Path, row: dict[str, Any], plane: Plane) -> list[dict[str, Any]]:
    locator = str(row["image"])
    count = read_nifti_slices(path_inside(root, locator), locator, plane)
    masks = [str(mask) for mask in row.get("mask", ())]
    for mask in masks:
        if _kind(root, mask) != "nifti":
            raise DataError(
                f"task {name!r}: {mask}: expected a NIfTI mask for the volume {locator}, got another kind of file."
            )
        found = read_nifti_slices(path_inside(root, mask), mask, plane)
        if found != count:
            raise DataError(
                f"task {name!r}: {mask}: expected {count} {plane} slices as {locator} has, got {found}. "
                "Match each mask with its own image."
            )
    rows = []
    for index in range(count):
        cut: dict[str, Any] = {
            "case_id": f"{row['case_id']}#{index:04d}",
            "image": slice_locator(locator, index),
            "volume_id": locator,
        }
        if masks:
            cut["mask"] = tuple(slice_locator(mask, index) for mask in masks)
        if "foreground" in row and count > 1:
            cut["foreground"] = None  # said of the volume, not of a slice
        rows.append(row | cut)
    return rows


def _refuse_repeats(name: str, rows: list[dict[str, Any]]) -> None:
    """Refuse files that belong to two rows, such as a folder and one of its files."""
    seen: dict[str, int] = defaultdict(int)
    for row in rows:
        seen[str(row["image"])] += 1
    twice = [repr(image) for image, count in seen.items() if count > 1]
    refuse(f"task {name!r}", "images", "every file in one row", twice)


def _with_series(root: Path, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put DICOM rows into anatomical order within their series and name series of several slices as volumes."""
    by_locator = {str(row["image"]): row for row in rows if row.pop("dicom", False)}
    if not by_locator:
        return rows
    ordered: list[dict[str, Any]] = [row for row in rows if str(row["image"]) not in by_locator]
    for series in find_series(root, by_locator):
        frames = [(part, frame) for part in series.slices for frame in range(part.header.frames)]
        for part, frame in frames:
            row = by_locator[part.locator] | {"dicom_patient": part.header.patient_id}
            if part.header.frames > 1:
                row |= {
                    "case_id": f"{part.locator}#{frame:04d}",
                    "image": slice_locator(part.locator, frame),
                }
                if row.get("mask"):
                    row["mask"] = tuple(slice_locator(str(mask), frame) for mask in row["mask"])
            ordered.append(row | ({"volume_id": series.uid} if len(frames) > 1 else {}))
    return ordered


def _kind(root: Path, locator: str) -> str:
    """Return ``dicom``, ``nifti`` or ``picture``, by content where the ending does not say picture."""
    if Path(locator).suffix.lower() in _PICTURES:
        return "picture"
    with path_inside(root, locator).open("rb") as stream:
        start = stream.read(_START_BYTES)
    if is_dicom(start):
        return "dicom"
    return "nifti" if is_nifti(start) else "picture"
