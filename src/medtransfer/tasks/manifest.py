"""Own data as a CSV manifest: one row per image, series or patient, named columns, every faulty row reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pandas as pd

from medtransfer.core.errors import DataError
from medtransfer.core.problems import Problem
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import LABEL_PREFIX, CaseTable
from medtransfer.tasks.own_cases import class_order, finished_cases, patient_of
from medtransfer.tasks.own_data_declaration import Columns, OwnData
from medtransfer.tasks.own_images import NamedImages, dicom_images_by_patient
from medtransfer.tasks.own_splits import split_name
from medtransfer.tasks.tables import read_table, refuse, refuse_disagreement

PRESENT: Final = {"1": 1, "1.0": 1, "true": 1, "yes": 1, "0": 0, "0.0": 0, "false": 0, "no": 0}
"""Cells of a 0/1 column, in lower case."""


def open_manifest(name: str, root: Path, spec: OwnData) -> CaseTable:
    """Return the case table of a classification manifest.

    Raises:
        DataError: If the file, a column, an image, a label or a split is not as declared; the
            message names the rows.
    """
    assert spec.columns is not None
    assert spec.kind is not None
    rows = read_manifest(name, root, spec)
    _refuse_unlabelled(name, spec, rows)
    if spec.kind is TaskKind.MULTI_LABEL:
        classes, labels, strata = _finding_columns(name, spec, rows)
    else:
        classes, labels, strata = _class_column(name, spec, rows)
    keep = labels.notna().all(axis=1)
    frame, problems = manifest_cases(name, root, spec, rows[keep])
    if not keep.all():
        problems.append(_dropped(spec, int((~keep).sum())))
    frame = frame.join(labels.astype(dict.fromkeys(labels.columns, "Int64")).astype(object)[keep], on="line")
    frame = frame.assign(stratum=pd.Series(strata, index=rows.index).loc[frame["line"]].to_numpy())
    return finished_cases(
        name, root, spec, frame.astype(dict.fromkeys(labels.columns, int)), classes, tuple(problems)
    )


def read_manifest(name: str, root: Path, spec: OwnData) -> pd.DataFrame:
    """Return the manifest as text cells with line numbers as index, the header being line 1.

    Raises:
        DataError: If the file is missing, too large, not text, lacks a declared column, or has no lines.
    """
    assert spec.columns is not None
    assert spec.manifest is not None
    rows = read_table(f"task {name!r}", root, spec.manifest, _named(spec.columns))
    if rows.empty:
        raise DataError(
            f"task {name!r}: {spec.manifest}: expected a line per image or patient below the header, got no lines. "
            "Complete the file."
        )
    return rows


def manifest_cases(
    name: str, root: Path, spec: OwnData, rows: pd.DataFrame
) -> tuple[pd.DataFrame, list[Problem]]:
    """Return ``line, case_id, patient_id, image`` and, where given, ``split``, for every image of every row.

    Raises:
        DataError: If an image is missing, ambiguous or named twice, a patient is blank or a split
            unknown.
    """
    assert spec.columns is not None
    if not (root / spec.images).is_dir():
        raise DataError(
            f"task {name!r}: images: expected a folder {root / spec.images}, got none. Check 'root' and 'images'."
        )
    problems: list[Problem] = []
    if spec.columns.image is None:
        frame, problems = _images_of_patients(name, root, spec, rows)
    else:
        images = _images(name, root, spec, rows[spec.columns.image])
        frame = pd.DataFrame({"line": rows.index, "image": images})
    patients = pd.Series(_patients(name, spec, rows, frame), index=frame.index)
    frame = frame.assign(case_id=frame["image"], patient_id=patients)
    if spec.columns.split is not None:
        splits = _splits(name, spec, rows[spec.columns.split])
        frame = frame.assign(split=splits.loc[frame["line"]].to_numpy())
    return frame, problems


def _images(name: str, root: Path, spec: OwnData, cells: pd.Series) -> list[str]:
    """Return the locator each cell means."""
    known = NamedImages.below(root, spec.images)
    found = [known.resolve(cell) for cell in cells]
    where = f"{spec.manifest}: column {cells.name!r}"
    missing = [
        f"line {line}: {shown_cell(spec.images, cell)}"
        + (f", which could be {', '.join(map(repr, match[:3]))}" if match else "")
        for line, cell, match in zip(cells.index, cells, found, strict=True)
        if not isinstance(match, str)
    ]
    refuse(f"task {name!r}", where, f"one file below {spec.images!r} each", missing)
    images = pd.Series(found, index=cells.index)
    repeated = images[images.duplicated(keep=False)]
    again = [f"line {line}: {image!r} again" for line, image in repeated.items()]
    refuse(f"task {name!r}", where, "one line per image", again)
    return [str(image) for image in images]


def shown_cell(folder: str, cell: str) -> str:
    """Return how a message shows the file that a cell names."""
    return repr((Path(folder) / cell).as_posix()) if cell else "an empty cell"


def _images_of_patients(
    name: str, root: Path, spec: OwnData, rows: pd.DataFrame
) -> tuple[pd.DataFrame, list[Problem]]:
    """Return the line and the image of every DICOM file whose patient the manifest names."""
    assert spec.columns is not None
    assert spec.columns.patient is not None
    column, subject = spec.columns.patient, f"task {name!r}"
    others = [other for other in _named(spec.columns) if other != column]
    refuse_disagreement(subject, str(spec.manifest), rows, column, others)
    by_patient, damaged = dicom_images_by_patient(name, root, spec.images)
    first = rows[~rows[column].duplicated()]
    absent = [
        f"line {line}: {patient!r}" for line, patient in first[column].items() if patient not in by_patient
    ]
    refuse(
        subject,
        f"{spec.manifest}: column {column!r}",
        f"a PatientID of a DICOM file in {spec.images!r}",
        absent,
    )
    pairs = [(line, image) for line, patient in first[column].items() for image in by_patient[patient]]
    frame = pd.DataFrame(pairs, columns=["line", "image"])
    unlisted = sorted(set(by_patient) - set(first[column]))
    return frame, [*damaged, *([_unlisted(spec, unlisted, by_patient)] if unlisted else [])]


def _unlisted(spec: OwnData, patients: list[str], by_patient: dict[str, list[str]]) -> Problem:
    files = sum(len(by_patient[patient]) for patient in patients)
    return Problem(
        what="unlisted-image",
        where=str(spec.manifest),
        expected="a line for every patient",
        found=f"{files} images of {len(patients)} patients without one, first {patients[:5]!r}",
        next_step="Add them, or accept that they are left out.",
    )


def _named(columns: Columns) -> list[str]:
    labels = columns.label if isinstance(columns.label, list) else [columns.label]
    names = [columns.image, *labels, columns.patient, columns.split, columns.mask]
    return [name for name in names if name is not None]


def _patients(name: str, spec: OwnData, rows: pd.DataFrame, frame: pd.DataFrame) -> list[str]:
    assert spec.columns is not None
    images = frame["image"].tolist()
    if spec.columns.patient is None:
        return [patient_of(name, image, spec.patient_pattern) for image in images]
    column = rows[spec.columns.patient]
    blank = [f"line {line}: an empty cell" for line in column.index[column == ""]]
    where = f"{spec.manifest}: column {spec.columns.patient!r}"
    refuse(f"task {name!r}", where, "a patient in every line", blank)
    return column.loc[frame["line"]].tolist()


def _splits(name: str, spec: OwnData, column: pd.Series[str]) -> pd.Series[str]:
    named = column.map(split_name)
    unknown = [f"line {line}: {column[line]!r}" for line in column.index[named.isna()]]
    refuse(f"task {name!r}", f"{spec.manifest}: column {column.name!r}", "train, val or test", unknown)
    return named


def _class_column(
    name: str, spec: OwnData, rows: pd.DataFrame
) -> tuple[tuple[str, ...], pd.DataFrame, list[str]]:
    assert spec.columns is not None
    assert isinstance(spec.columns.label, str)
    column = rows[spec.columns.label]
    empty = column == ""
    if spec.missing_labels != "drop":
        blank = [f"line {line}: an empty cell" for line in column.index[empty]]
        refuse(f"task {name!r}", f"{spec.manifest}: column {column.name!r}", "a label in every line", blank)
    if spec.classes is not None:
        outside = [
            f"line {line}: {column[line]!r}" for line in column.index[~column.isin(spec.classes) & ~empty]
        ]
        refuse(
            f"task {name!r}",
            f"{spec.manifest}: column {column.name!r}",
            f"one of the classes {spec.classes!r}",
            outside,
        )
    classes = class_order(name, column[~empty].tolist(), spec.classes)
    numbers = column.map({value: number for number, value in enumerate(classes)})
    return classes, numbers.to_frame("label"), column.tolist()


def _finding_columns(
    name: str, spec: OwnData, rows: pd.DataFrame
) -> tuple[tuple[str, ...], pd.DataFrame, list[str]]:
    assert spec.columns is not None
    assert isinstance(spec.columns.label, list)
    labels: dict[str, Any] = {}
    for finding in spec.columns.label:
        cells = rows[finding].str.lower()
        if spec.missing_labels == "zero":
            cells = cells.replace("", "0")
        values = cells.map(PRESENT)
        wrong = values.isna() & ~((cells == "") & (spec.missing_labels == "drop"))
        faults = [f"line {line}: {rows.loc[line, finding]!r}" for line in rows.index[wrong]]
        refuse(f"task {name!r}", f"{spec.manifest}: column {finding!r}", "0 or 1", faults)
        labels[LABEL_PREFIX + finding] = values
    frame = pd.DataFrame(labels, index=rows.index)
    strata = ["".join("?" if pd.isna(v) else str(int(v)) for v in row) for row in frame.to_numpy()]
    return tuple(spec.columns.label), frame, strata


def _refuse_unlabelled(name: str, spec: OwnData, rows: pd.DataFrame) -> None:
    """Refuse a list in which every line would be left out."""
    assert spec.columns is not None
    label = spec.columns.label
    unlabelled = (rows[label if isinstance(label, list) else [str(label)]] == "").any(axis=1)
    if spec.missing_labels == "drop" and unlabelled.all():
        raise DataError(
            f"task {name!r}: {spec.manifest}: expected labels, got none: every line is left out as 'missing_labels: "
            "drop' says. Check 'label' of the columns."
        )


def _dropped(spec: OwnData, count: int) -> Problem:
    return Problem(
        what="dropped-rows",
        where=str(spec.manifest),
        expected="a label in every line",
        found=f"{count} lines without one, left out as 'missing_labels: drop' says",
        next_step="Accept it by name.",
    )
