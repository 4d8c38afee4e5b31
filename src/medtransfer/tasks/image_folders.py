"""Own data as a folder per class, with or without split folders above."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from medtransfer.core.errors import DataError
from medtransfer.data.case_table import CaseTable
from medtransfer.tasks.own_cases import class_order, finished_cases, patient_of
from medtransfer.tasks.own_data_declaration import OwnData
from medtransfer.tasks.own_images import is_left_out
from medtransfer.tasks.own_splits import SPELLINGS, split_name


def open_image_folders(name: str, root: Path, spec: OwnData) -> CaseTable:
    """Return the case table of ``root/<class>/*`` or ``root/<split>/<class>/*``.

    Every file below a class folder is a case; hidden files and those of the operating system are
    left out. Class order is the sorted folder names unless ``classes`` gives one.

    Raises:
        DataError: If there are fewer than two classes, folders that ``classes`` does not name, or
            folders of splits beside others.
    """
    top = root / spec.images
    if not top.is_dir():
        raise DataError(
            f"task {name!r}: expected a folder {top}, got none. Check 'root' and the data folder."
        )
    by_split = {folder: split_name(folder.name) for folder in _folders(top)}
    split_given = any(by_split.values())
    if split_given:
        _refuse_strangers(name, top, by_split)
    rows = [
        row
        for folder, split in (by_split.items() if split_given else [(top, None)])
        for class_folder in _folders(folder)
        for row in _rows(name, root, class_folder, split, spec.patient_pattern)
    ]
    if not rows:
        below = f"{top}/<split>/<class>" if split_given else f"{top}/<class>"
        raise DataError(
            f"task {name!r}: expected images in {below}, got none. Check 'root' and 'images', or name a 'manifest'."
        )
    frame = pd.DataFrame(rows, columns=["case_id", "patient_id", "split", "image", "stratum"])
    classes = class_order(name, frame["stratum"].tolist(), spec.classes)
    frame["label"] = frame["stratum"].map({value: number for number, value in enumerate(classes)})
    if not split_given:
        frame = frame.drop(columns="split")
    return finished_cases(name, root, spec, frame, classes)


def _refuse_strangers(name: str, top: Path, by_split: Mapping[Path, str | None]) -> None:
    """Refuse folders of splits beside folders that are none: they would become classes, or be left out."""
    splits = [repr(folder.name) for folder, split in by_split.items() if split is not None]
    strangers = [repr(folder.name) for folder, split in by_split.items() if split is None]
    if strangers:
        raise DataError(
            f"task {name!r}: {top}: expected splits in all folders, or in none, got {', '.join(strangers[:5])} "
            f"beside {', '.join(splits[:5])}. Splits are spelled {', '.join(SPELLINGS)}: rename or move the others. "
            "If these are classes, name them in a 'manifest'."
        )


def _rows(
    name: str, root: Path, class_folder: Path, split: str | None, pattern: str | None
) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for path in sorted(class_folder.rglob("*")):
        relative = path.relative_to(root)
        if path.is_file() and not is_left_out(relative):
            locator = relative.as_posix()
            rows.append((locator, patient_of(name, locator, pattern), split, locator, class_folder.name))
    return rows


def _folders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
