"""Own data as images with masks, matched by file stem or named in a manifest."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from medtransfer.core.errors import DataError
from medtransfer.core.problems import Problem
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import CaseTable
from medtransfer.data.file_source import FileSource
from medtransfer.data.mask_rule import MaskRule
from medtransfer.tasks.image_folders import patient_of
from medtransfer.tasks.manifest import manifest_cases, read_manifest, refuse
from medtransfer.tasks.own_data_declaration import OwnData
from medtransfer.tasks.own_splits import complete_splits

_MARK = "_mask"
"""What follows an image's stem in the names of its masks; they may also have the stem alone."""


def open_mask_folders(name: str, root: Path, spec: OwnData) -> CaseTable:
    """Return the case table of images with masks.

    Masks are found by the image's stem in the ``masks`` folder: ``<stem>.*`` and ``<stem>_mask*.*``,
    several being united; or by the manifest's mask column. Where images and masks lie in one folder,
    the files with ``_mask`` in their names are the masks.

    Raises:
        DataError: If an image has no mask, or the declaration does not fit the files.
    """
    problems: list[Problem] = []
    if spec.manifest is None:
        frame = _folder_cases(name, root, spec)
    else:
        rows = read_manifest(name, root, spec)
        frame, problems = manifest_cases(name, root, spec, rows)
    frame = frame.assign(mask=pd.Series(_masks(name, root, spec, frame), index=frame.index, dtype=object))
    frame, split_source = complete_splits(name, frame, None)
    values = spec.mask_values
    classes = tuple(values.values()) if values else tuple(spec.classes or ("foreground",))
    return CaseTable(
        frame=frame.sort_values("case_id", ignore_index=True),
        kind=TaskKind.SEGMENTATION,
        classes=classes,
        source=FileSource(root, mask_rule=_mask_rule(name, classes, spec)),
        split_source=split_source,
        patients_known=spec.patient_pattern is not None
        or (spec.columns is not None and spec.columns.patient is not None),
        opening_problems=tuple(problems),
    )


def _mask_rule(name: str, classes: tuple[str, ...], spec: OwnData) -> MaskRule:
    if spec.mask_values is None:
        if len(classes) > 1:
            raise DataError(
                f"task {name!r}: expected 'mask_values' for the classes {list(classes)!r}, got none. "
                "Say which mask value is which class."
            )
        return spec.mask_rule
    return {0: 0} | {value: number + 1 for number, value in enumerate(spec.mask_values)}


def _folder_cases(name: str, root: Path, spec: OwnData) -> pd.DataFrame:
    folder = root / spec.images
    if not folder.is_dir():
        raise DataError(f"task {name!r}: expected a folder {folder}, got none. Check 'root' and 'images'.")
    together = _one_folder(spec)
    files = [path for path in _visible_files(folder) if not (together and _MARK in path.stem)]
    if not files:
        raise DataError(f"task {name!r}: expected images in {folder}, got an empty folder.")
    locators = [path.relative_to(root).as_posix() for path in files]
    patients = [
        locator if spec.patient_pattern is None else patient_of(locator, path.stem, spec.patient_pattern)
        for locator, path in zip(locators, files, strict=True)
    ]
    return pd.DataFrame({"case_id": locators, "patient_id": patients, "image": locators})


def _masks(name: str, root: Path, spec: OwnData, frame: pd.DataFrame) -> list[tuple[str, ...]]:
    if spec.columns is not None and spec.columns.mask is not None:
        return _named_masks(name, root, spec)
    assert spec.masks is not None
    folder = root / spec.masks
    if not folder.is_dir():
        raise DataError(f"task {name!r}: expected a folder {folder}, got none. Check 'root' and 'masks'.")
    together = _one_folder(spec)
    by_stem: dict[str, list[str]] = {}
    for path in _visible_files(folder):
        if _MARK in path.stem or not together:
            by_stem.setdefault(_stem(path), []).append(path.relative_to(root).as_posix())
    images = [str(image) for image in frame["image"]]
    missing = [f"none for {image!r}" for image in images if _stem(Path(image)) not in by_stem]
    refuse(name, str(spec.masks), "a mask named like each image", missing)
    return [tuple(by_stem[_stem(Path(image))]) for image in images]


def _one_folder(spec: OwnData) -> bool:
    """Return whether images and masks lie together, so that only the mark tells them apart."""
    return spec.masks is not None and Path(spec.masks) == Path(spec.images)


def _stem(path: Path) -> str:
    return path.stem.split(_MARK)[0]


def _visible_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


def _named_masks(name: str, root: Path, spec: OwnData) -> list[tuple[str, ...]]:
    assert spec.columns is not None
    assert spec.columns.mask is not None
    rows = read_manifest(name, root, spec)
    masks = [(Path(spec.masks or ".") / entry).as_posix() for entry in rows[spec.columns.mask]]
    missing = [
        f"line {line}: {mask!r}"
        for line, mask in zip(rows.index, masks, strict=True)
        if not (root / mask).is_file()
    ]
    refuse(name, f"{spec.manifest}: column {spec.columns.mask!r}", "mask files below the root", missing)
    return [(mask,) for mask in masks]
