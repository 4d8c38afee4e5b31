"""Own data as a folder per class, with or without split folders above."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from medtransfer.core.errors import DataError
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import CaseTable
from medtransfer.data.file_source import FileSource
from medtransfer.tasks.own_data_declaration import OwnData
from medtransfer.tasks.own_splits import complete_splits, split_name


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
    frame = pd.DataFrame(rows, columns=["case_id", "patient_id", "split", "image", "class"])
    classes = class_order(name, frame["class"].tolist(), spec.classes)
    frame["label"] = frame["class"].map({value: number for number, value in enumerate(classes)})
    if not split_given:
        frame = frame.drop(columns="split")
    frame, split_source = complete_splits(name, frame, frame["class"].tolist())
    return CaseTable(
        frame=frame.drop(columns="class").sort_values("case_id", ignore_index=True),
        kind=TaskKind.BINARY if len(classes) == 2 else TaskKind.MULTI_CLASS,
        classes=classes,
        source=FileSource(root),
        split_source=split_source,
        patients_known=spec.patient_pattern is not None,
    )


def class_order(name: str, found: list[str], declared: list[str] | None) -> tuple[str, ...]:
    """Return the class names in label order.

    Args:
        name: Task name for messages.
        found: The class of every case.
        declared: The user's order; None sorts the names, numbers by value.

    Raises:
        DataError: If a case has a class that is not declared, or there are fewer than two classes.
    """
    present = set(found)
    if declared is not None:
        outside = sorted(present - set(declared))
        if outside:
            raise DataError(
                f"task {name!r}: expected only the classes {declared!r}, got also {outside[:5]!r}. "
                "Correct the labels or add the classes."
            )
        return tuple(declared)
    if len(present) < 2:
        raise DataError(
            f"task {name!r}: expected at least two classes, got {sorted(present)!r}. Check 'root'."
        )
    numeric = all(re.fullmatch(r"-?\d+", value) for value in present)
    return tuple(sorted(present, key=int) if numeric else sorted(present))


def patient_of(name: str, stem: str, pattern: str | None) -> str:
    """Return the patient a file belongs to: the pattern's group, or the whole stem without one.

    Raises:
        DataError: If the pattern does not match.
    """
    if pattern is None:
        return stem
    match = re.search(pattern, stem)
    if match is None:
        raise DataError(f"{name}: expected a name that matches patient_pattern {pattern!r}, got {stem!r}.")
    return match.group(1)


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
