"""Label fractions: nested, whole patients, stratified, training cases only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from medtransfer.core.errors import DataError, UsageError
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import CaseTable
from medtransfer.data.file_source import FileSource
from medtransfer.data.label_fractions import label_subset

FRACTIONS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 0.9, 1.0)


def table(patients: np.ndarray, labels: np.ndarray, splits: np.ndarray | str = "train") -> CaseTable:
    number = len(patients)
    frame = pd.DataFrame({"case_id": np.arange(number).astype(str), "patient_id": patients, "split": splits})
    frame["image"] = "x.png"
    if labels.ndim == 1:
        names = tuple(f"c{k}" for k in range(labels.max() + 1))
        kind = TaskKind.MULTI_CLASS
        frame["label"] = labels
    else:
        names, kind = tuple(f"c{k}" for k in range(labels.shape[1])), TaskKind.MULTI_LABEL
        frame[[f"label:{name}" for name in names]] = labels
    return CaseTable(frame, kind, names, FileSource(Path()), "ours")


def subsets(cases: CaseTable, repetition: int = 0) -> dict[float, np.ndarray]:
    """The subsets of all fractions that do not refuse."""
    found = {}
    for fraction in FRACTIONS:
        try:
            found[fraction] = label_subset(cases, fraction, task="t", repetition=repetition)
        except DataError:
            assume(fraction < 1)
    return found


rows = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3), st.booleans()), min_size=8, max_size=150)


@given(rows, st.booleans(), st.integers(0, 50), st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_what_must_hold_for_any_table(rows, multi_label, repetition, random) -> None:
    patients, classes, extra = (np.array(column) for column in zip(*rows, strict=True))
    splits = np.array(["train", "train", "train", "val", "test"])[patients % 5]
    labels = (
        np.eye(4, dtype=int)[classes] | np.eye(4, dtype=int)[0] * extra[:, None] if multi_label else classes
    )
    assume((splits == "train").any())
    cases = table(patients.astype(str), labels, splits)
    train = cases.indices("train")
    shown = np.asarray(labels[:, None] == np.arange(4) if labels.ndim == 1 else labels > 0)
    largest = np.bincount(patients[train]).max()
    previous: set[int] = set()
    for fraction, subset in subsets(cases, repetition).items():
        assert np.array_equal(subset, np.unique(subset))
        assert subset.dtype == np.int64
        assert set(subset) <= set(train), "only training cases"
        assert set(subset) == set(train[np.isin(patients[train], patients[subset])]), "patients whole"
        assert previous <= set(subset), "nested"
        assert (shown[subset].any(0) == shown[train].any(0)).all(), "no class lost"
        wanted = fraction * len(train)
        assert len(subset) <= 2 * wanted or fraction == 1
        assert len(subset) >= wanted - largest / 2, "never less than whole patients force"
        previous = set(subset)
    order = np.array(random.sample(range(len(rows)), len(rows)))
    shuffled = cases.with_frame(cases.frame.iloc[order])
    for fraction, subset in subsets(shuffled, repetition).items():
        assert set(order[subset]) == set(label_subset(cases, fraction, task="t", repetition=repetition))


@given(
    st.lists(st.integers(20, 90), min_size=1, max_size=4),
    st.sampled_from(FRACTIONS[1:-1]),
    st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_single_case_patients_give_the_exact_number_and_the_shares(sizes, fraction, repetition) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    cases = table(np.arange(len(labels)).astype(str), labels)
    subset = label_subset(cases, fraction, task="t", repetition=repetition)
    assert abs(len(subset) - fraction * len(labels)) <= 0.5
    for label, size in enumerate(sizes):
        assert abs((labels[subset] == label).sum() - fraction * size) <= 1.5


def test_grouped_cases_come_within_half_a_patient() -> None:
    generator = np.random.default_rng(2)
    patients = np.repeat(np.arange(120), generator.integers(1, 8, 120))
    labels = generator.integers(0, 2, 120)[patients]
    cases = table(patients.astype(str), labels)
    for fraction in (0.1, 0.3, 0.6):
        subset = label_subset(cases, fraction, task="t", repetition=1)
        assert abs(len(subset) - fraction * len(patients)) <= 3.5
        np.testing.assert_allclose(labels[subset].mean(), labels.mean(), atol=0.08)


def test_draws_differ_by_task_and_repetition_and_treat_patients_alike() -> None:
    cases = table(np.arange(50).astype(str), np.tile([0, 1], 25))
    chosen = np.zeros(50)
    seen = set()
    for repetition in range(200):
        subset = label_subset(cases, 0.2, task="t", repetition=repetition)
        np.testing.assert_array_equal(subset, label_subset(cases, 0.2, task="t", repetition=repetition))
        chosen[subset] += 1
        seen.add(tuple(subset))
    assert len(seen) == 200
    assert tuple(label_subset(cases, 0.2, task="u", repetition=0)) not in seen
    assert 18 < chosen.min() <= chosen.max() < 65, "200 draws of one in five give 40 ± 4 standard deviations"


def test_a_rare_class_is_kept_without_spoiling_the_number() -> None:
    labels = np.array([0] * 99 + [1])
    cases = table(np.arange(100).astype(str), labels)
    for repetition in range(5):
        subset = label_subset(cases, 0.1, task="t", repetition=repetition)
        assert len(subset) == 10
        assert 99 in subset


def test_a_fraction_too_small_for_its_classes_says_which_and_from_when() -> None:
    labels = np.repeat(np.arange(6), [50, 40, 4, 3, 2, 1])
    cases = table(np.arange(100).astype(str), labels)
    with pytest.raises(DataError, match=r"fraction 0\.02.*without .*'c0'.*at least 0\.06"):
        label_subset(cases, 0.02, task="t", repetition=0)
    assert len(label_subset(cases, 0.06, task="t", repetition=0)) == 6


def test_patients_too_large_for_the_fraction_are_refused() -> None:
    cases = table(np.repeat(["a", "b"], 50), np.tile([0, 1], 50))
    with pytest.raises(DataError, match=r"fraction 0\.1.*at least 0\.5"):
        label_subset(cases, 0.1, task="t", repetition=0)


def test_segmentation_draws_patients_at_random() -> None:
    frame = pd.DataFrame({"case_id": [f"{k}" for k in range(20)], "split": ["train"] * 16 + ["test"] * 4})
    frame["patient_id"], frame["image"], frame["mask"] = frame["case_id"], "x.png", [("m.png",)] * 20
    cases = CaseTable(frame, TaskKind.SEGMENTATION, ("vessel",), FileSource(Path()), "ours")
    half = label_subset(cases, 0.5, task="t", repetition=0)
    assert len(half) == 8
    assert half.max() < 16
    assert set(label_subset(cases, 0.1, task="t", repetition=0)) < set(half)


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.01, float("nan")])
def test_fractions_outside_their_range_are_refused(fraction: float) -> None:
    with pytest.raises(UsageError, match="label fraction"):
        label_subset(table(np.array(["a"]), np.array([0])), fraction, task="t", repetition=0)


def test_no_training_cases_is_an_error() -> None:
    with pytest.raises(DataError, match="expected training cases"):
        label_subset(table(np.array(["a"]), np.array([0]), "test"), 0.5, task="t", repetition=0)
