"""Label fractions in the order of published studies: one list of cases, shuffled once, cut anywhere."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import DataError
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import CaseTable

SHUFFLE_SEED = 99
"""Seed of the only shuffle, that of the studies."""

_Ints = npt.NDArray[np.int64]


def shuffled_subset(cases: CaseTable, fraction: float, *, task: str) -> _Ints:
    """Return the training cases that a fraction keeps in the order ``shuffle99``.

    The training cases in the order of the case table are shuffled once by ``random.Random(99)``; a fraction
    takes the first ``int(n * fraction)`` of them. So a smaller fraction is contained in a larger one, and
    every task, repetition and source model has the same order. Classes are not balanced and patients are
    not kept whole.

    Args:
        cases: All cases of the task; validation and test are never touched.
        fraction: Share of the training cases, in (0, 1]; the decimal number it is written as.
        task: Name of the target task, for messages.

    Returns:
        Row numbers, ascending, shape (n,).

    Raises:
        DataError: If no case remains, or none of a class that training has.
    """
    train = cases.indices("train")
    order = list(range(len(train)))
    Random(SHUFFLE_SEED).shuffle(order)
    kept = np.sort(train[order[: int(Fraction(repr(float(fraction))) * len(train))]])
    missing = _classes_of(cases, train) - _classes_of(cases, kept)
    if len(kept) == 0 or missing:
        got = f"none of {sorted(missing)[:5]!r}" if len(kept) else "no case at all"
        raise DataError(
            f"task {task!r}: expected label fraction {fraction:g} in the order 'shuffle99' to keep cases of every "
            f"class among {len(train)} training cases, got {got}. Use a larger fraction, or the order 'patients'."
        )
    return kept


def divided_patients(cases: CaseTable, rows: _Ints) -> int:
    """Return how many patients have training cases both among some rows and outside of them.

    Args:
        cases: All cases of the task.
        rows: Row numbers of the training cases that are used.
    """
    patients = cases.frame["patient_id"].astype(str).to_numpy()
    unused = np.setdiff1d(cases.indices("train"), rows)
    return len(np.intersect1d(patients[rows], patients[unused]))


def _classes_of(cases: CaseTable, rows: _Ints) -> set[str]:
    """Return the classes that some cases show; empty for segmentation."""
    if cases.kind is TaskKind.SEGMENTATION:
        return set()
    labels = cases.labels()[rows]
    if cases.kind is TaskKind.MULTI_LABEL:
        shown = np.flatnonzero((labels > 0.5).any(axis=0))
        return {cases.classes[number] for number in shown}
    return {cases.classes[int(number)] for number in np.unique(labels)}
