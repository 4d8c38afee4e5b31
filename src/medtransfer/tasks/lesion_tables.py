"""The label tables of skin lesion collections: diagnosis columns, columns of 0 and 1, and lesion ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from medtransfer.core.errors import DataError
from medtransfer.core.problems import Problem
from medtransfer.tasks.cell_values import cell_values
from medtransfer.tasks.opening_problems import unlisted_images
from medtransfer.tasks.stored_images import stored_images
from medtransfer.tasks.tables import read_table, refuse, refuse_disagreement

_CELLS: Final = {"0": 0, "0.0": 0, "1": 1, "1.0": 1}


def read_diagnoses(subject: str, root: Path, name: str, classes: Mapping[str, str]) -> pd.DataFrame:
    """Return the rows of a table in the form of HAM10000, one per image.

    Args:
        subject: What to begin messages with.
        root: Folder of the data set.
        name: Table with the columns ``image_id``, ``lesion_id`` and ``dx``.
        classes: Class of each diagnosis in ``dx``.

    Returns:
        Columns ``image``, ``lesion`` and ``class``, with line numbers as index.

    Raises:
        DataError: If the file or a column is missing, a lesion id is blank, a diagnosis is none of
            those declared, or rows of one image disagree.
    """
    rows = read_table(subject, root, name, ("lesion_id", "image_id", "dx"), only=True)
    _refuse_blank(subject, name, rows)
    named = cell_values(subject, name, rows["dx"], classes)
    table = pd.DataFrame({"image": rows["image_id"], "lesion": rows["lesion_id"], "class": named})
    return _once(subject, name, table)


def read_one_hot(
    subject: str, root: Path, name: str, classes: Sequence[str], never: Sequence[str] = ()
) -> pd.DataFrame:
    """Return the rows of a table with a column of 0 and 1 per class, one per image.

    Args:
        subject: What to begin messages with.
        root: Folder of the data set.
        name: Table with the column ``image`` and a column per class.
        classes: Columns of which exactly one must be 1.
        never: Columns that must be 0 in every row.

    Returns:
        Columns ``image`` and ``class``, with line numbers as index.

    Raises:
        DataError: If the file or a column is missing, a cell is neither 0 nor 1, a row has not exactly
            one class, or rows of one image disagree.
    """
    columns = [*classes, *never]
    rows = read_table(subject, root, name, ("image", *columns), only=True)
    marks = pd.DataFrame({column: cell_values(subject, name, rows[column], _CELLS) for column in columns})
    for column in never:
        faults = [f"line {line}" for line in marks.index[marks[column] == 1]]
        refuse(subject, name, f"no image of the class {column!r}", faults)
    marked = marks[list(classes)].sum(axis=1)
    faults = [f"line {line}: {number}" for line, number in marked[marked != 1].items()]
    refuse(subject, name, "exactly one class in every row", faults)
    table = pd.DataFrame({"image": rows["image"], "class": marks[list(classes)].idxmax(axis=1)})
    return _once(subject, name, table)


def with_lesions(subject: str, root: Path, name: str, rows: pd.DataFrame, *, blank: bool) -> pd.DataFrame:
    """Return rows with the lesion each image shows.

    Args:
        subject: What to begin messages with.
        root: Folder of the data set.
        name: Table with the columns ``image`` and ``lesion_id``.
        rows: Rows with the column ``image``.
        blank: Whether a lesion id may be blank; the image is then a lesion of its own.

    Raises:
        DataError: If the file or a column is missing, an image has no row or several that disagree, or
            a lesion id is blank where it must not be.
    """
    found = read_table(subject, root, name, ("image", "lesion_id"), only=True)
    if not blank:
        _refuse_blank(subject, name, found)
    found = _once(subject, name, found)
    lesions = found["lesion_id"].where(found["lesion_id"] != "", found["image"])
    by_image = dict(zip(found["image"], lesions, strict=True))
    unknown = [repr(image) for image in rows["image"] if image not in by_image]
    refuse(subject, name, "a row for every image", unknown)
    return rows.assign(lesion=rows["image"].map(by_image))


def with_paths(
    subject: str, root: Path, folders: Sequence[str], name: str, rows: pd.DataFrame
) -> tuple[pd.DataFrame, tuple[Problem, ...]]:
    """Return rows with the path of each image, and a problem where images are in no row.

    Args:
        subject: What to begin messages with.
        root: Folder of the data set.
        folders: Folders below it that may hold images named ``<image>.jpg``; some may be missing.
        name: The label file, for messages.
        rows: Rows with the column ``image`` and line numbers as index.

    Raises:
        DataError: If there is no image at all, a listed one is missing, or one is in two folders.
    """
    paths: dict[str, str] = {}
    twice = []
    for path in (path for folder in folders for path in stored_images(root, folder, (".jpg",))):
        image = Path(path).stem
        if image in paths:
            twice.append(f"{paths[image]} and {path}")
        paths[image] = path
    if not paths:
        raise DataError(
            f"{subject}: expected .jpg images in one of {list(folders)!r} below {root}, got none. "
            "Check the folder."
        )
    refuse(subject, "images", "each image in one folder", twice)
    missing = rows["image"][~rows["image"].isin(list(paths))]
    faults = [f"line {line}: {image!r}" for line, image in missing.items()]
    refuse(subject, name, "only images that are in the data folder", faults)
    return rows.assign(path=rows["image"].map(paths)), unlisted_images(
        name, rows["image"].tolist(), list(paths)
    )


def _once(subject: str, name: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of one image as one row, refusing those that disagree."""
    refuse_disagreement(subject, name, rows, "image", [str(column) for column in rows if column != "image"])
    return rows.drop_duplicates("image")


def _refuse_blank(subject: str, name: str, rows: pd.DataFrame) -> None:
    faults = [f"line {line}" for line in rows.index[rows["lesion_id"] == ""]]
    refuse(subject, name, "no blank lesion_id", faults)
