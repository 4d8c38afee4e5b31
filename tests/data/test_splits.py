"""Splits: patients whole, strata kept, drawn the same way whatever the order of the rows."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medtransfer.core.errors import DataError, UsageError
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import CaseTable
from medtransfer.data.file_source import FileSource
from medtransfer.data.splits import draw_split, hold_out, read_split, with_split, write_split

THIRDS = {"train": 0.7, "val": 0.1, "test": 0.2}

patients_and_labels = st.lists(
    st.tuples(st.integers(0, 25), st.integers(0, 2)), min_size=3, max_size=120
).filter(lambda rows: len({patient for patient, _ in rows}) >= 3)


@given(patients_and_labels, st.integers(0, 2**31), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_patients_stay_whole_and_row_order_does_not_matter(rows, seed, random) -> None:
    patients, labels = (np.array(column) for column in zip(*rows, strict=True))
    split = draw_split(patients, labels, THIRDS, seed=seed)
    assert pd.Series(split).groupby(patients).nunique().max() == 1
    assert set(split) == set(THIRDS)
    order = np.array(random.sample(range(len(rows)), len(rows)))
    np.testing.assert_array_equal(draw_split(patients[order], labels[order], THIRDS, seed=seed), split[order])


@given(
    st.lists(st.integers(10, 60), min_size=1, max_size=5),
    st.integers(0, 2**31),
    st.sampled_from([THIRDS, {"train": 0.5, "test": 0.5}, {"a": 0.8, "b": 0.2}]),
)
@settings(max_examples=40, deadline=None)
def test_single_case_patients_reach_every_share_within_two_cases(sizes, seed, shares) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    split = draw_split(np.arange(len(labels)).astype(str), labels, shares, seed=seed)
    for name, share in shares.items():
        assert abs((split == name).sum() - share * len(labels)) < 2
        for label, size in enumerate(sizes):
            assert abs(((split == name) & (labels == label)).sum() - share * size) < 2


def test_multi_label_strata_are_kept_with_whole_patients() -> None:
    generator = np.random.default_rng(0)
    patients = np.repeat(np.arange(300), generator.integers(1, 6, 300))
    findings = (generator.random((len(patients), 4)) < [0.5, 0.2, 0.1, 0.05]).astype(int)
    split = draw_split(patients, findings, THIRDS, seed=4)
    for name, share in THIRDS.items():
        np.testing.assert_allclose((split == name).mean(), share, atol=0.01)
        np.testing.assert_allclose(findings[split == name].sum(0) / findings.sum(0), share, atol=0.05)


def test_seeds_give_other_splits_and_every_patient_can_land_anywhere() -> None:
    patients = np.array([f"p{number}" for number in range(40)])
    splits = np.array([draw_split(patients, None, THIRDS, seed=seed) for seed in range(60)])
    assert len({tuple(split) for split in splits}) == 60
    assert all(set(column) == set(THIRDS) for column in splits.T)
    np.testing.assert_array_equal(splits[7], draw_split(patients, None, THIRDS, seed=7))


def test_no_split_stays_empty_when_there_are_patients_for_all() -> None:
    assert set(draw_split(["a", "b", "c"], [0, 0, 1], THIRDS, seed=0)) == set(THIRDS)
    with pytest.raises(DataError, match="at least one patient"):
        draw_split(["a", "a", "b"], None, THIRDS, seed=0)


@pytest.mark.parametrize("shares", [{}, {"train": 0.7, "test": 0.2}, {"train": 1.2, "test": -0.2}])
def test_shares_that_are_no_shares_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="split shares"):
        draw_split(["a", "b"], None, shares, seed=0)


def test_strata_of_another_length_are_refused() -> None:
    with pytest.raises(UsageError, match="strata"):
        draw_split(["a", "b"], [0], {"train": 0.5, "test": 0.5}, seed=0)


def test_holding_out_touches_only_its_source() -> None:
    split = np.array(["train"] * 20 + ["test"] * 20)
    patients = [f"{number:02d}" for number in range(40)]
    held = hold_out(split, patients, None, share=0.2, seed=3)
    assert [(held == name).sum() for name in ("train", "val", "test")] == [16, 4, 20]
    assert (held[20:] == "test").all()
    labels = np.tile([0, 1], 20)
    stratified = hold_out(split, patients, labels, share=0.2, seed=3)
    assert labels[stratified == "val"].sum() == 2
    with pytest.raises(UsageError):
        hold_out(split, patients, None, share=0.0, seed=3)


@pytest.fixture
def cases(tmp_path: Path) -> CaseTable:
    frame = pd.DataFrame(
        {
            "case_id": ["a", "b", "007", "NA"],
            "patient_id": ["1", "1", "02", 'é,"'],
            "split": ["train", "train", "val", "test"],
            "image": ["a.png"] * 4,
            "label": [0, 1, 0, 1],
        }
    )
    return CaseTable(frame, TaskKind.BINARY, ("no", "yes"), FileSource(tmp_path), "ours")


def test_a_written_split_comes_back_with_its_hash(cases: CaseTable, tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    digest = write_split(path, cases)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    frame = read_split(path, sha256=digest)
    pd.testing.assert_frame_equal(frame, cases.frame[["case_id", "patient_id", "split"]])
    shuffled = frame.iloc[::-1].assign(split="test")
    again = with_split(cases, shuffled, "published-list")
    assert again.split_source == "published-list"
    assert again.frame["case_id"].tolist() == cases.frame["case_id"].tolist()
    assert set(again.frame["split"]) == {"test"}
    assert with_split(again, frame, "ours").frame["split"].tolist() == cases.frame["split"].tolist()


def test_a_changed_split_file_is_refused(cases: CaseTable, tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    digest = write_split(path, cases)
    path.write_text(path.read_text().replace("test", "train"))
    with pytest.raises(DataError, match=r"split\.csv: expected the split with SHA-256"):
        read_split(path)
    (tmp_path / "split.csv.sha256").unlink()
    assert len(read_split(path)) == 4
    with pytest.raises(DataError, match="SHA-256"):
        read_split(path, sha256=digest)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("case_id,split\na,train\n", "columns"),
        ("", "CSV"),
        ("case_id,patient_id,split\na,1,train\na,1,val\n", "each case once"),
    ],
)
def test_lists_that_are_no_split_are_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "list.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        read_split(tmp_path / "list.csv")
    with pytest.raises(DataError, match="got none"):
        read_split(tmp_path / "none.csv")


def test_lists_for_other_cases_are_refused(cases: CaseTable) -> None:
    listed = cases.frame[["case_id", "patient_id", "split"]]
    with pytest.raises(DataError, match=r"1 not listed: \['b'\]"):
        with_split(cases, listed.drop(index=1), "user")
    extra = pd.concat([listed, pd.DataFrame([{"case_id": "z", "patient_id": "1", "split": "val"}])])
    with pytest.raises(DataError, match=r"1 unknown: \['z'\]"):
        with_split(cases, extra, "user")
    with pytest.raises(DataError, match=r"2 with another patient: \['007', 'NA'\]"):
        with_split(cases, listed.assign(patient_id="1"), "user")
