"""Own data as a CSV manifest: one row per image, named columns, every faulty row reported."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pandas as pd

from medtransfer.core.errors import DataError
from medtransfer.core.problems import Problem
from medtransfer.core.registry import nearest_names
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import LABEL_PREFIX, CaseTable
from medtransfer.data.file_source import FileSource
from medtransfer.tasks.image_folders import class_order, patient_of
from medtransfer.tasks.own_data_declaration import Columns, OwnData
from medtransfer.tasks.own_splits import complete_splits, split_name

_MAX_BYTES = 1 << 30
_DELIMITERS = (",", ";", "\t")
_PRESENT = {"1": 1, "1.0": 1, "true": 1, "yes": 1, "0": 0, "0.0": 0, "false": 0, "no": 0}


def open_manifest(name: str, root: Path, spec: OwnData) -> CaseTable:
    """Return the case table of a classification manifest.

    Raises:
        DataError: If the file, a column, an image, a label or a split is not as declared; the
            message names the rows.
    """
    assert spec.columns is not None
    assert spec.kind is not None
    rows = read_manifest(name, root, spec)
    frame, problems = manifest_cases(name, root, spec, rows)
    if spec.kind is TaskKind.MULTI_LABEL:
        classes, labels, strata = _finding_columns(name, spec, rows)
    else:
        classes, labels, strata = _class_column(name, spec, rows)
    frame = pd.concat([frame, labels], axis=1)
    keep = labels.notna().all(axis=1)
    if not keep.all():
        problems.append(_dropped(spec, int((~keep).sum())))
    frame = frame[keep].astype(dict.fromkeys(labels.columns, int))
    frame, split_source = complete_splits(
        name, frame, [value for value, kept in zip(strata, keep, strict=True) if kept]
    )
    return CaseTable(
        frame=frame.sort_values("case_id", ignore_index=True),
        kind=spec.kind,
        classes=classes,
        source=FileSource(root),
        split_source=split_source,
        patients_known=spec.columns.patient is not None or spec.patient_pattern is not None,
        opening_problems=tuple(problems),
    )


def read_manifest(name: str, root: Path, spec: OwnData) -> pd.DataFrame:
    """Return the manifest as text cells, header names stripped, without repeated rows.

    The index is the line number in the file, the header being line 1.

    Raises:
        DataError: If the file is missing, empty, too large, not text, or lacks a declared column.
    """
    assert spec.columns is not None
    assert spec.manifest is not None
    path = root / spec.manifest
    if not path.is_file():
        raise DataError(
            f"task {name!r}: expected the manifest {path}, got no such file. Check 'root' and 'manifest'."
        )
    if path.stat().st_size > _MAX_BYTES:
        raise DataError(
            f"task {name!r}: {spec.manifest}: expected at most 1 GiB, got {path.stat().st_size} bytes."
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
        header = text.split("\n", 1)[0]
        delimiter = max(_DELIMITERS, key=header.count)
        rows = pd.read_csv(io.StringIO(text), sep=delimiter, dtype=str, keep_default_na=False)
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataError(
            f"task {name!r}: {spec.manifest}: expected a CSV file in UTF-8, got {error}."
        ) from error
    rows.columns = [column.strip() for column in rows.columns]
    rows.index = pd.RangeIndex(2, len(rows) + 2)
    _check_columns(name, spec, rows)
    return pd.DataFrame({column: rows[column].str.strip() for column in rows.columns}, index=rows.index)


def manifest_cases(
    name: str, root: Path, spec: OwnData, rows: pd.DataFrame
) -> tuple[pd.DataFrame, list[Problem]]:
    """Return ``case_id, patient_id, image`` and, where given, ``split``, for every row.

    Raises:
        DataError: If an image is missing or named twice, a patient is blank or a split unknown.
    """
    assert spec.columns is not None
    images = [(Path(spec.images) / entry).as_posix() for entry in rows[spec.columns.image]]
    missing = [
        f"line {line}: {image!r}"
        for line, image in zip(rows.index, images, strict=True)
        if not _exists(root, image)
    ]
    refuse(name, f"{spec.manifest}: column {spec.columns.image!r}", "files below the root", missing)
    repeated = pd.Series(images, index=rows.index)
    repeated = repeated[repeated.duplicated(keep=False)]
    refuse(
        name,
        f"{spec.manifest}: column {spec.columns.image!r}",
        "one line per image",
        [f"line {line}: {image!r} again" for line, image in repeated.items()],
    )
    frame = pd.DataFrame(
        {"case_id": images, "patient_id": _patients(name, spec, rows, images), "image": images},
        index=rows.index,
    )
    if spec.columns.split is not None:
        frame["split"] = _splits(name, spec, rows[spec.columns.split])
    return frame, []


def refuse(name: str, where: str, expected: str, faults: list[str]) -> None:
    """Raise one error for all faults of a column, or return when there are none.

    Raises:
        DataError: Naming up to five faults and the number of the others.
    """
    if not faults:
        return
    shown = "; ".join(faults[:5]) + (f"; and {len(faults) - 5} more" if len(faults) > 5 else "")
    raise DataError(f"task {name!r}: {where}: expected {expected}, got {shown}. Correct the file.")


def _check_columns(name: str, spec: OwnData, rows: pd.DataFrame) -> None:
    columns = spec.columns
    assert columns is not None
    missing = [column for column in _named(columns) if column not in rows.columns]
    if not missing:
        return
    near = {column: nearest_names(column, rows.columns, most=2) for column in missing}
    hints = "".join(f" Did you mean {near[column]!r} for {column!r}?" for column in missing if near[column])
    raise DataError(
        f"task {name!r}: {spec.manifest}: expected the columns {missing!r}, got {list(rows.columns)!r}.{hints}"
    )


def _named(columns: Columns) -> list[str]:
    labels = columns.label if isinstance(columns.label, list) else [columns.label]
    names = [columns.image, *labels, columns.patient, columns.split, columns.mask]
    return [name for name in names if name is not None]


def _exists(root: Path, image: str) -> bool:
    return "\0" not in image and (root / image).is_file()


def _patients(name: str, spec: OwnData, rows: pd.DataFrame, images: list[str]) -> list[str]:
    assert spec.columns is not None
    if spec.columns.patient is None:
        if spec.patient_pattern is None:
            return images
        return [patient_of(image, Path(image).stem, spec.patient_pattern) for image in images]
    column = rows[spec.columns.patient]
    blank = [f"line {line}: an empty cell" for line in column.index[column == ""]]
    refuse(name, f"{spec.manifest}: column {spec.columns.patient!r}", "a patient in every line", blank)
    return column.tolist()


def _splits(name: str, spec: OwnData, column: pd.Series[str]) -> pd.Series[str]:
    named = column.map(split_name)
    unknown = [f"line {line}: {column[line]!r}" for line in column.index[named.isna()]]
    refuse(name, f"{spec.manifest}: column {column.name!r}", "train, val or test", unknown)
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
        refuse(name, f"{spec.manifest}: column {column.name!r}", "a label in every line", blank)
    if spec.classes is not None:
        outside = [
            f"line {line}: {column[line]!r}" for line in column.index[~column.isin(spec.classes) & ~empty]
        ]
        refuse(
            name, f"{spec.manifest}: column {column.name!r}", f"one of the classes {spec.classes!r}", outside
        )
    classes = class_order(name, column[~empty].tolist(), spec.classes)
    if spec.kind is TaskKind.BINARY and len(classes) != 2:
        raise DataError(
            f"task {name!r}: kind: binary: expected two classes, got {list(classes)!r}. Use multi-class."
        )
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
        values = cells.map(_PRESENT)
        wrong = values.isna() & ~((cells == "") & (spec.missing_labels == "drop"))
        faults = [f"line {line}: {rows.loc[line, finding]!r}" for line in rows.index[wrong]]
        refuse(name, f"{spec.manifest}: column {finding!r}", "0 or 1", faults)
        labels[LABEL_PREFIX + finding] = values
    frame = pd.DataFrame(labels, index=rows.index)
    strata = ["".join("?" if pd.isna(v) else str(int(v)) for v in row) for row in frame.to_numpy()]
    return tuple(spec.columns.label), frame, strata


def _dropped(spec: OwnData, count: int) -> Problem:
    return Problem(
        what="dropped-rows",
        where=str(spec.manifest),
        expected="a label in every line",
        found=f"{count} lines without one, left out as 'missing_labels: drop' says",
        next_step="Accept it by name.",
    )
