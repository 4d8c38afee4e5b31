"""Own data as a folder per class, with or without split folders above."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from medtransfer.core.errors import DataError
from medtransfer.data.case_table import CaseTable
from medtransfer.tasks.own_cases import class_order, finished_cases, patient_of
from medtransfer.tasks.own_data_declaration import OwnData
from medtransfer.tasks.own_splits import split_name


def open_image_folders(name: str, root: Path, spec: OwnData) -> CaseTable:
    """Return the case table of ``root/<class>/*`` or ``root/<split>/<class>/*``.

    Every file below a class folder is a case; hidden files are left out. Class order is the
    sorted folder names unless ``classes`` gives one.

    Raises:
        DataError: If there are fewer than two classes, or folders that ``classes`` does not name.
    """
    top = root / spec.images
    if not top.is_dir():
        raise DataError(
            f"task {name!r}: expected a folder {top}, got none. Check 'root' and the data folder."
        )
    by_split = {folder: split_name(folder.name) for folder in _folders(top)}
    split_given = bool(by_split) and all(by_split.values())
    rows = [
        row
        for folder, split in (by_split.items() if split_given else [(top, None)])
        for class_folder in _folders(folder)
        for row in _rows(root, class_folder, split, spec.patient_pattern)
    ]
    frame = pd.DataFrame(rows, columns=["case_id", "patient_id", "split", "image", "stratum"])
    classes = class_order(name, frame["stratum"].tolist(), spec.classes)
    frame["label"] = frame["stratum"].map({value: number for number, value in enumerate(classes)})
    if not split_given:
        frame = frame.drop(columns="split")
    return finished_cases(name, root, spec, frame, classes)


def _rows(root: Path, class_folder: Path, split: str | None, pattern: str | None) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for path in sorted(class_folder.rglob("*")):
        relative = path.relative_to(root)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            locator = relative.as_posix()
            patient = locator if pattern is None else patient_of(locator, path.stem, pattern)
            rows.append((locator, patient, split, locator, class_folder.name))
    return rows


def _folders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
