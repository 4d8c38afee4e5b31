"""Own data as images with masks, matched by file stem or named in a manifest."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import pandas as pd

from medtransfer.core.errors import DataError
from medtransfer.core.problems import Problem
from medtransfer.data.case_table import CaseTable
from medtransfer.data.mask_rule import MaskColours, MaskRule
from medtransfer.tasks.manifest import PRESENT, manifest_cases, read_manifest, shown_cell
from medtransfer.tasks.own_cases import finished_cases, patient_of
from medtransfer.tasks.own_data_declaration import OwnData
from medtransfer.tasks.own_images import bare_stem, is_left_out
from medtransfer.tasks.tables import refuse

_MARK = "_mask"
"""What follows an image's stem in the names of its masks; they may also have the stem alone."""

_LAST = chr(0x10FFFF)
"""Sorts behind every sign: the end of the names that begin alike."""

_MOST_NAMED = 5


def open_mask_folders(name: str, root: Path, spec: OwnData) -> CaseTable:
    """Return the case table of images with masks.

    Masks are found by the image's stem in the ``masks`` folder: ``<stem>.*`` and ``<stem>_mask*.*``, or
    as ``mask_pattern`` says, several being united; or by the manifest's mask column. Where images and
    masks lie in one folder, the files that match the pattern are the masks.

    Raises:
        DataError: If an image has no mask, or the declaration does not fit the files.
    """
    problems: list[Problem] = []
    rows = None
    if spec.manifest is None:
        frame = _folder_cases(name, root, spec)
    else:
        rows = read_manifest(name, root, spec)
        frame, problems = manifest_cases(name, root, spec, rows)
        frame = _with_foreground(name, spec, rows, frame)
    masks = _masks(name, root, spec, frame, rows)
    frame = frame.assign(mask=pd.Series(masks, index=frame.index, dtype=object))
    classes, rule = _classes(name, spec)
    return finished_cases(name, root, spec, frame, classes, tuple(problems), mask_rule=rule)


def _classes(name: str, spec: OwnData) -> tuple[tuple[str, ...], MaskRule]:
    """Return the class names and what mask values mean."""
    if spec.mask_values is not None and spec.class_ids is not None:
        return tuple(spec.mask_values.values()), {0: 0} | spec.class_ids
    if spec.mask_colours is not None:
        colours = tuple((colour, number + 1) for number, colour in enumerate(spec.mask_colours))
        return tuple(spec.mask_colours.values()), MaskColours(colours)
    classes = tuple(spec.classes or ("foreground",))
    if len(classes) > 1:
        raise DataError(
            f"task {name!r}: expected 'mask_values' or 'mask_colours' for the classes {list(classes)!r}, got "
            "none. Say which mask value is which class."
        )
    return classes, spec.mask_rule


def _folder_cases(name: str, root: Path, spec: OwnData) -> pd.DataFrame:
    folder = root / spec.images
    if not folder.is_dir():
        raise DataError(f"task {name!r}: expected a folder {folder}, got none. Check 'root' and 'images'.")
    files = [path for path in _visible_files(folder) if not (_one_folder(spec) and _is_mask(spec, path))]
    if not files:
        raise DataError(f"task {name!r}: expected images in {folder}, got an empty folder.")
    locators = [path.relative_to(root).as_posix() for path in files]
    patients = [patient_of(name, locator, spec.patient_pattern) for locator in locators]
    return pd.DataFrame({"case_id": locators, "patient_id": patients, "image": locators})


def _with_foreground(name: str, spec: OwnData, rows: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with what a 0/1 label column says about the masks."""
    assert spec.columns is not None
    label = spec.columns.label
    if not isinstance(label, str):
        return frame
    cells = rows[label].str.lower()
    faults = [f"line {line}: {rows.loc[line, label]!r}" for line in rows.index[~cells.isin(list(PRESENT))]]
    refuse(
        f"task {name!r}",
        f"{spec.manifest}: column {label!r}",
        "0 or 1: whether the mask shows something",
        faults,
    )
    return frame.assign(foreground=cells.map(PRESENT).loc[frame["line"]].to_numpy() == 1)


def _masks(
    name: str, root: Path, spec: OwnData, frame: pd.DataFrame, rows: pd.DataFrame | None
) -> list[tuple[str, ...]]:
    if rows is not None and spec.columns is not None and spec.columns.mask is not None:
        return _named_masks(name, root, spec, rows[spec.columns.mask].loc[frame["line"]])
    assert spec.masks is not None
    folder = root / spec.masks
    if not folder.is_dir():
        raise DataError(f"task {name!r}: expected a folder {folder}, got none. Check 'root' and 'masks'.")
    images = [str(image) for image in frame["image"]]
    files = [path for path in _visible_files(folder) if not _one_folder(spec) or _is_mask(spec, path)]
    found = _by_pattern(spec, files, images) if spec.mask_pattern else _by_stem(files, images)
    missing = [repr(image) for image, masks in zip(images, found, strict=True) if not masks]
    if missing:
        more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
        raise DataError(
            f"task {name!r}: {spec.masks}: expected a mask named like each image, got none for "
            f"{', '.join(missing[:_MOST_NAMED])}{more}. Add an empty mask where there is nothing to mark, or remove "
            "the image; 'mask_pattern' says how masks of other names are found."
        )
    return [tuple(mask.relative_to(root).as_posix() for mask in masks) for masks in found]


def _by_stem(files: Sequence[Path], images: Sequence[str]) -> list[list[Path]]:
    by_stem: dict[str, list[Path]] = {}
    for path in files:
        by_stem.setdefault(_stem(path.name), []).append(path)
    return [by_stem.get(_stem(Path(image).name), []) for image in images]


def _by_pattern(spec: OwnData, files: Sequence[Path], images: Sequence[str]) -> list[list[Path]]:
    """Return the files whose names match the pattern with each image's stem."""
    assert spec.mask_pattern is not None
    before, after = spec.mask_pattern.split("{stem}")
    by_name = {path.name: path for path in files}
    names = sorted(by_name)
    found = []
    for image in images:
        start = before + bare_stem(Path(image).name)
        first = bisect.bisect_left(names, start)
        last = bisect.bisect_right(names, start + _LAST)
        found.append(
            [by_name[name] for name in names[first:last] if fnmatchcase(name.removeprefix(start), after)]
        )
    return found


def _one_folder(spec: OwnData) -> bool:
    """Return whether images and masks lie together, so that only their names tell them apart."""
    return spec.masks is not None and Path(spec.masks) == Path(spec.images)


def _is_mask(spec: OwnData, path: Path) -> bool:
    """Return whether a file in a folder of images and masks is a mask."""
    if spec.mask_pattern is None:
        return _MARK in path.stem
    return fnmatchcase(path.name, spec.mask_pattern.replace("{stem}", "?*"))


def _stem(name: str) -> str:
    return bare_stem(name).split(_MARK)[0]


def _visible_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and not is_left_out(Path(path.name)))


def _named_masks(name: str, root: Path, spec: OwnData, cells: pd.Series) -> list[tuple[str, ...]]:
    masks = [(Path(spec.masks or ".") / cell).as_posix() for cell in cells]
    missing = [
        f"line {line}: {shown_cell(spec.masks or '.', cell)}"
        for line, cell, mask in zip(cells.index, cells, masks, strict=True)
        if "\0" in mask or not (root / mask).is_file()
    ]
    refuse(f"task {name!r}", f"{spec.manifest}: column {cells.name!r}", "mask files below the root", missing)
    return [(mask,) for mask in masks]
