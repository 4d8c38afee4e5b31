"""The order of published studies: one shuffle, cut anywhere, and what that does to patients and classes."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medtransfer.core.errors import DataError, UsageError
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import CaseTable
from medtransfer.data.file_source import FileSource
from medtransfer.data.label_fractions import label_subset
from medtransfer.data.shuffled_subset import divided_patients, shuffled_subset

SHUFFLED = [7, 2, 0, 8, 5, 1, 4, 3, 9, 6]
"""What ``random.Random(99)`` makes of the numbers from 0 to 9, printed by a Python of its own."""


def table(count: int, *, patients: int = 1, classes: int = 2, validation: int = 0) -> CaseTable:
    """Cases of ``patients`` images each, with validation cases before every training case of the same number."""
    rows = [
        {"split": split, "label": number % classes, "patient_id": f"p{number // patients}"}
        for number in range(count)
        for split in (["val"] * (number < validation) + ["train"])
    ]
    frame = pd.DataFrame(rows).assign(image="x.png")
    frame["case_id"] = np.arange(len(rows)).astype(str)
    frame.loc[frame["split"] == "val", "patient_id"] += "v"
    names = tuple(f"c{number}" for number in range(classes))
    return CaseTable(frame, TaskKind.MULTI_CLASS, names, FileSource(Path()), "ours")


def places(cases: CaseTable, fraction: float) -> set[int]:
    """The chosen cases by their place in the list of training cases."""
    train = cases.indices("train").tolist()
    return {train.index(row) for row in shuffled_subset(cases, fraction, task="t").tolist()}


def test_the_first_cases_of_the_printed_order_are_taken() -> None:
    cases = table(10, validation=4)
    for taken in range(3, 10):
        assert places(cases, taken / 10) == set(SHUFFLED[:taken])
    rows = shuffled_subset(cases, 0.5, task="t")
    assert rows.dtype == np.int64
    assert np.array_equal(rows, np.unique(rows))
    assert set(rows) <= set(cases.indices("train"))


@pytest.mark.parametrize(
    ("count", "percent", "taken"), [(100, 29, 29), (100, 57, 57), (37, 10, 3), (999, 50, 499)]
)
def test_a_share_is_cut_down_to_whole_cases_without_rounding_errors(
    count: int, percent: int, taken: int
) -> None:
    """In binary numbers 100 * 0.29 is below 29, and int() would take 28."""
    assert len(places(table(count), percent / 100)) == int(count * percent / 100) == taken


def test_smaller_shares_are_contained_in_larger_ones() -> None:
    cases = table(83, patients=3)
    taken = [places(cases, fraction) for fraction in (0.1, 0.25, 0.5, 0.9, 1.0)]
    assert all(small < large for small, large in pairwise(taken))
    assert len(taken[-1]) == 83


def test_the_order_of_label_fractions_is_chosen_by_name() -> None:
    cases = table(60, patients=4)
    chosen = [
        label_subset(cases, 0.2, task=task, repetition=repetition, order="shuffle99")
        for task, repetition in (("t", 0), ("t", 1), ("u", 0))
    ]
    assert all(np.array_equal(chosen[0], other) for other in chosen)
    assert np.array_equal(chosen[0], shuffled_subset(cases, 0.2, task="t"))
    assert not np.array_equal(chosen[0], label_subset(cases, 0.2, task="t", repetition=0))
    for order in ("patients", "shuffle99"):
        whole = label_subset(cases, 1.0, task="t", repetition=0, order=order)
        np.testing.assert_array_equal(whole, cases.indices("train"))
    with pytest.raises(UsageError, match="label fraction"):
        label_subset(cases, 0.0, task="t", repetition=0, order="shuffle99")


def test_divided_patients_are_counted_among_training_cases_only() -> None:
    """Places 7, 2, 0, 8 and 5 of pairs (0 1) (2 3) (4 5) (6 7) (8 9): every pair is divided."""
    cases = table(10, patients=2, validation=4)
    assert divided_patients(cases, shuffled_subset(cases, 0.5, task="t")) == 5
    assert divided_patients(cases, shuffled_subset(cases, 0.9, task="t")) == 1
    assert divided_patients(cases, cases.indices("train")) == 0
    assert divided_patients(cases, label_subset(cases, 0.5, task="t", repetition=0)) == 0
    single = table(10)
    assert divided_patients(single, shuffled_subset(single, 0.5, task="t")) == 0


def test_a_share_without_a_class_or_a_case_is_refused() -> None:
    with pytest.raises(DataError, match=r"task 't'.*fraction 0\.3.*none of \['c1'\].*'patients'"):
        shuffled_subset(table(10, classes=10).with_frame(_classes([0] * 9 + [1])), 0.3, task="t")
    with pytest.raises(DataError, match=r"10 training cases, got no case at all"):
        shuffled_subset(table(10), 0.05, task="t")


def _classes(labels: list[int]) -> pd.DataFrame:
    return table(len(labels)).frame.assign(label=labels)


def test_labels_of_several_findings_and_masks() -> None:
    frame = table(10).frame.drop(columns="label")
    findings = frame.assign(**{"label:a": [0] * 9 + [1], "label:b": [1, np.nan] * 5, "label:c": 0.0})
    cases = CaseTable(findings, TaskKind.MULTI_LABEL, ("a", "b", "c"), FileSource(Path()), "ours")
    with pytest.raises(DataError, match=r"none of \['a'\]"):
        shuffled_subset(cases, 0.5, task="t")
    assert len(shuffled_subset(cases, 0.9, task="t")) == 9
    masks = CaseTable(
        frame.assign(mask=[("m.png",)] * 10), TaskKind.SEGMENTATION, ("vessel",), FileSource(Path()), "ours"
    )
    assert shuffled_subset(masks, 0.2, task="t").tolist() == sorted(SHUFFLED[:2])
