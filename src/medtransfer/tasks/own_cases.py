"""From one row per file of own data to its case table: classes in order, slices, patients, splits."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from medtransfer.core.errors import DataError
from medtransfer.core.problems import Problem
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import CaseTable
from medtransfer.data.file_source import FileSource
from medtransfer.data.mask_rule import MaskRule
from medtransfer.tasks.own_data_declaration import OwnData
from medtransfer.tasks.own_images import divided_patients, slices_of_images, with_dicom_patients
from medtransfer.tasks.own_splits import complete_splits


def finished_cases(
    name: str,
    root: Path,
    spec: OwnData,
    frame: pd.DataFrame,
    classes: tuple[str, ...],
    problems: tuple[Problem, ...] = (),
    *,
    mask_rule: MaskRule = "nonzero",
) -> CaseTable:
    """Return the case table of own data from one row per file.

    Args:
        name: Task name.
        root: Folder of the data set.
        spec: The declaration.
        frame: ``case_id``, ``patient_id``, ``image``, labels or ``mask``, and, for a drawn split to be
            stratified by, ``stratum``.
        classes: Class names in label order.
        problems: What was found on the way.
        mask_rule: What mask values mean.

    Raises:
        DataError: If the number of classes does not fit the kind, a file cannot be read or the split is
            incomplete.
    """
    if spec.kind is TaskKind.BINARY and len(classes) != 2:
        raise DataError(
            f"task {name!r}: kind: binary: expected two classes, got {list(classes)!r}. Use kind: multi-class, or "
            "leave out the cases of the others."
        )
    frame, damaged = slices_of_images(name, root, frame, spec.slices, spec.class_ids)
    frame, patients_known = with_dicom_patients(frame, patients_given=spec.names_patients)
    strata = frame["stratum"].tolist() if "stratum" in frame.columns else None
    frame, split_source = complete_splits(name, frame, strata)
    kept = frame.drop(columns=["stratum", "line", "dicom_patient"], errors="ignore")
    try:
        return CaseTable(
            frame=kept.sort_values("case_id", ignore_index=True),
            kind=_kind(spec, classes),
            classes=classes,
            source=FileSource(root, mask_rule, intensity=spec.shown_as, plane=spec.slices),
            split_source=split_source,
            patients_known=patients_known,
            opening_problems=(
                *problems,
                *damaged,
                *(divided_patients(frame) if spec.names_patients else ()),
            ),
        )
    except DataError as error:
        raise DataError(f"task {name!r}: {error}") from error


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
            f"task {name!r}: expected at least two classes, got {sorted(present)!r}. Check 'root' and the labels."
        )
    numeric = all(re.fullmatch(r"-?\d+", value) for value in present)
    return tuple(sorted(present, key=int) if numeric else sorted(present))


def patient_of(name: str, locator: str, pattern: str | None) -> str:
    """Return the patient a file belongs to: the pattern's group in its stem; the locator without a pattern.

    Raises:
        DataError: If the pattern does not match.
    """
    if pattern is None:
        return locator
    match = re.search(pattern, Path(locator).stem)
    if match is None:
        raise DataError(
            f"task {name!r}: patient_pattern: expected names without ending that match {pattern!r}, got "
            f"{Path(locator).stem!r} of {locator!r}. Correct the expression, or move the file away."
        )
    return match.group(1)


def _kind(spec: OwnData, classes: tuple[str, ...]) -> TaskKind:
    if spec.is_segmentation:
        return TaskKind.SEGMENTATION
    return spec.kind or (TaskKind.BINARY if len(classes) == 2 else TaskKind.MULTI_CLASS)
