"""Which training cases a label fraction keeps: nested, whole patients, stratified, one for all models."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import DataError, UsageError
from medtransfer.core.seeds import seed_from
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import CaseTable
from medtransfer.data.shuffled_subset import shuffled_subset

LabelOrder = Literal["patients", "shuffle99"]
"""``patients``: whole patients, classes in proportion, another order per repetition. ``shuffle99``: the cases
themselves in one order for all repetitions, as published studies took them; patients may be divided."""

_Bools = npt.NDArray[np.bool_]
_Ints = npt.NDArray[np.int64]


def label_subset(
    cases: CaseTable, fraction: float, *, task: str, repetition: int, order: LabelOrder = "patients"
) -> _Ints:
    """Return the training cases that remain when only a fraction of the labels may be used.

    All patients of the training split stand in one order per task and repetition, and a fraction
    takes a first part of it; so a smaller fraction is contained in a larger one. The order first
    names one patient per class, then interleaves the classes in proportion, and is drawn within
    each class. It depends neither on the model nor on the order of the rows.

    Args:
        cases: All cases of the task; validation and test are never touched.
        fraction: Share of the training cases, in (0, 1].
        task: Name of the target task; with ``repetition`` the only source of the draw.
        repetition: Number of the repetition, from 0.
        order: What is taken first; the above is ``patients``, for the other see :func:`.shuffled_subset`.

    Returns:
        Row numbers, ascending, shape (n,); n is as near to the fraction as whole patients allow.

    Raises:
        UsageError: If the fraction is not in (0, 1].
        DataError: If there are no training cases, or if whole patients with at least one case of
            every class present in training are more than twice the cases asked for.
    """
    if not 0 < fraction <= 1:
        raise UsageError(f"label fraction: expected a number in (0, 1], got {fraction!r}.")
    train = cases.indices("train")
    if len(train) == 0:
        raise DataError(f"task {task!r}: expected training cases, got none. Check its split.")
    if fraction == 1:
        return train
    if order == "shuffle99":
        return shuffled_subset(cases, fraction, task=task)
    return _whole_patients(cases, train, fraction, seed_from("subset", task, repetition))


def _whole_patients(cases: CaseTable, train: _Ints, fraction: float, seed: int) -> _Ints:
    """Return the first patients of the stratified order of a seed."""
    ids = cases.frame["patient_id"].astype(str).to_numpy()[train]
    patients, patient_of_case = np.unique(ids, return_inverse=True)
    sizes = np.bincount(patient_of_case)
    labels = _labels(cases, train)
    shown = _classes_per_patient(labels, patient_of_case, len(patients))
    rank = np.array([seed_from(seed, patient) for patient in patients.tolist()])
    order, needed = _order(sizes, shown, labels.sum(axis=0), rank)
    wanted = fraction * len(train)
    length = max(_nearest(np.cumsum(sizes[order]), wanted), needed)
    _check_size(cases, shown, order, sizes, length=length, wanted=wanted)
    return train[np.isin(patient_of_case, order[:length])]


def _labels(cases: CaseTable, train: _Ints) -> _Bools:
    """Return which class each training case shows, shape (n, C); no columns for segmentation."""
    if cases.kind is TaskKind.SEGMENTATION:
        return np.zeros((len(train), 0), dtype=np.bool_)
    labels = cases.labels()[train]
    if cases.kind is TaskKind.MULTI_LABEL:
        return np.asarray(labels > 0.5)
    return np.asarray(labels[:, None] == np.arange(len(cases.classes)))


def _classes_per_patient(labels: _Bools, patient_of_case: npt.NDArray[np.intp], patients: int) -> _Bools:
    shown = np.zeros((patients, labels.shape[1]), dtype=np.bool_)
    np.logical_or.at(shown, patient_of_case, labels)
    return shown


def _order(sizes: _Ints, shown: _Bools, class_counts: _Ints, rank: _Ints) -> tuple[npt.NDArray[np.intp], int]:
    """Return all patients in the order they are taken, and how many show every class."""
    stratum = _rarest_class(shown, class_counts)
    position = np.zeros(len(sizes))
    for key in np.unique(stratum):
        members = np.flatnonzero(stratum == key)
        members = members[np.argsort(rank[members])]
        before = np.cumsum(sizes[members]) - sizes[members]
        position[members] = (before + sizes[members] / 2) / sizes[members].sum()
    order = np.lexsort((rank, position))
    first: list[int] = []
    for c in np.argsort(class_counts, kind="stable"):
        if shown[:, c].any() and not shown[first, c].any():
            first.append(int(order[np.argmax(shown[order, c])]))
    return np.concatenate([np.array(first, dtype=np.intp), order[~np.isin(order, first)]]), max(len(first), 1)


def _rarest_class(shown: _Bools, class_counts: _Ints) -> npt.NDArray[np.intp]:
    """Return each patient's class with the fewest training cases, C for none, shape (patients,)."""
    classes = shown.shape[1]
    rarity = np.argsort(class_counts, kind="stable")
    with_none = np.column_stack([shown[:, rarity], np.ones(len(shown), dtype=np.bool_)])
    return np.asarray(np.append(rarity, classes)[np.argmax(with_none, axis=1)], dtype=np.intp)


def _nearest(used: _Ints, wanted: float) -> int:
    """Return how many patients bring the number of cases nearest to the one wanted."""
    return int(np.argmin(np.abs(np.append(0, used) - wanted)))


def _check_size(
    cases: CaseTable, shown: _Bools, order: npt.NDArray[np.intp], sizes: _Ints, *, length: int, wanted: float
) -> None:
    total, used = int(sizes.sum()), int(sizes[order[:length]].sum())
    if used <= 2 * wanted:
        return
    kept = order[: _nearest(np.cumsum(sizes[order]), wanted)]
    lost = np.flatnonzero(shown.any(axis=0) & ~shown[kept].any(axis=0))
    names = [cases.classes[c] for c in lost]
    without = f"a part without {names[:5]!r}" if names else "no patient at all"
    raise DataError(
        f"label fraction {wanted / total:.3g}: expected about {wanted:.1f} of {total} training cases with "
        f"every class and whole patients, got {without}. Use a fraction of at least {used / total:.3g}."
    )
