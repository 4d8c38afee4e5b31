"""The audit: a sound table gives no problem, each fault gives its own, and nothing is read twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medtransfer.core.problems import Problem
from medtransfer.core.task_kind import TaskKind
from medtransfer.data import decoding_pass
from medtransfer.data.audit import ExpectedCounts, audit_cases
from medtransfer.data.case_table import CaseTable
from medtransfer.data.file_source import FileSource

SPLITS = ("train", "train", "val", "val", "test", "test")
COUNTS = {"train": 2, "val": 2, "test": 2}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDTRANSFER_CACHE", str(tmp_path / "cache"))


def write_image(path: Path, seed: int) -> None:
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 8), dtype=np.uint8)).save(path)


@pytest.fixture
def cases(tmp_path: Path) -> CaseTable:
    """Six images of six patients, both classes in every split."""
    for number in range(6):
        write_image(tmp_path / f"{number}.png", number)
    frame = pd.DataFrame(
        {
            "case_id": [f"case-{number}" for number in range(6)],
            "patient_id": [f"p{number}" for number in range(6)],
            "split": SPLITS,
            "image": [f"{number}.png" for number in range(6)],
            "label": [0, 1] * 3,
        }
    )
    return CaseTable(frame, TaskKind.BINARY, ("benign", "malignant"), FileSource(tmp_path), "ours")


@pytest.fixture
def segmentation(cases: CaseTable, tmp_path: Path) -> CaseTable:
    mask = np.zeros((6, 8), dtype=np.uint8)
    mask[2:4, 3:6] = 255
    for number in range(6):
        Image.fromarray(mask).save(tmp_path / f"{number}-mask.png")
    frame = cases.frame.drop(columns="label")
    frame["mask"] = [(f"{number}-mask.png",) for number in range(6)]
    return CaseTable(frame, TaskKind.SEGMENTATION, ("lesion",), cases.source, "ours")


def changed(cases: CaseTable, column: str, row: int, value: object) -> CaseTable:
    frame = cases.frame.copy()
    values = list(frame[column])
    values[row] = value
    frame[column] = values
    return cases.with_frame(frame)


def only(problems: list[Problem]) -> Problem:
    assert len(problems) == 1, problems
    return problems[0]


def test_sound_tables_have_no_problem(cases: CaseTable, segmentation: CaseTable) -> None:
    expected = ExpectedCounts((COUNTS,), classes={"test": {"benign": 1, "malignant": 1}})
    assert audit_cases(cases, expected=expected) == []
    assert audit_cases(segmentation, expected=ExpectedCounts((COUNTS,))) == []


def test_problems_of_opening_stay(cases: CaseTable) -> None:
    known = Problem("unlisted-file", "x.png", "a row", "none")
    assert audit_cases(replace(cases, opening_problems=(known,))) == [known]


def test_counts_are_compared_with_the_nearest_variant(cases: CaseTable) -> None:
    variants = ({"train": 90, "val": 9, "test": 9}, {"train": 3, "val": 2, "test": 2})
    problem = only(audit_cases(cases, expected=ExpectedCounts(variants)))
    assert (problem.what, problem.where) == ("unexpected-count", "train split")
    assert (problem.expected, problem.found) == ("3 or 90 cases", "2")
    assert audit_cases(cases, expected=ExpectedCounts((*variants, COUNTS))) == []


def test_counts_per_class_name_both_numbers(cases: CaseTable, segmentation: CaseTable) -> None:
    expected = ExpectedCounts(classes={"train": {"benign": 1, "malignant": 7}, "val": {"benign": 1}})
    problem = only(audit_cases(cases, expected=expected))
    assert problem.what == "unexpected-count"
    assert "train" in problem.where
    assert (problem.expected, problem.found) == ("7 malignant", "1 malignant")
    assert audit_cases(segmentation, expected=ExpectedCounts(classes={"train": {"lesion": 2}})) == []


def test_empty_and_unknown_splits(cases: CaseTable) -> None:
    frame = cases.frame.assign(split=["train", "train", "valid", "valid", "test", "test"])
    problems = {problem.what: problem for problem in audit_cases(cases.with_frame(frame))}
    assert set(problems) == {"empty-split", "unexpected-split"}
    assert problems["empty-split"].where == "val split"
    assert "'valid'" in problems["unexpected-split"].found


def test_shared_patients_are_named(cases: CaseTable) -> None:
    problem = only(audit_cases(changed(cases, "patient_id", 5, "p0")))
    assert (problem.what, problem.where) == ("patient-overlap", "train and test splits")
    assert "1 in both: p0" in problem.found


@pytest.mark.parametrize("alike", ["P0", " p0", "p00"])
def test_patients_that_differ_only_in_writing_are_named(cases: CaseTable, alike: str) -> None:
    problem = only(audit_cases(changed(cases, "patient_id", 5, alike)))
    assert (problem.what, problem.where) == ("similar-patients", "train and test splits")
    assert f"'p0' and {alike!r}" in problem.found


def test_an_absent_class_says_split_and_class(
    cases: CaseTable, segmentation: CaseTable, tmp_path: Path
) -> None:
    problem = only(audit_cases(changed(cases, "label", 5, 0)))
    assert (problem.what, problem.where) == ("class-absent", "test split")
    assert "malignant" in problem.found
    for number in (2, 3):
        Image.fromarray(np.zeros((6, 8), dtype=np.uint8)).save(tmp_path / f"{number}-mask.png")
    problem = only(audit_cases(segmentation))
    assert (problem.what, problem.where) == ("class-absent", "val split")


def test_an_empty_mask_is_no_problem(segmentation: CaseTable, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((6, 8), dtype=np.uint8)).save(tmp_path / "2-mask.png")
    assert audit_cases(segmentation) == []


def test_multi_label_tables(cases: CaseTable) -> None:
    frame = cases.frame.drop(columns="label").assign(**{"label:a": 1, "label:b": [0, 1, 0, 0, 1, 2]})
    table = CaseTable(frame, TaskKind.MULTI_LABEL, ("a", "b"), cases.source, "ours")
    problems = {problem.what: problem for problem in audit_cases(table)}
    assert set(problems) == {"class-absent", "unexpected-label"}
    assert problems["class-absent"].where == "val split"
    assert "case-5" in problems["unexpected-label"].found


def test_labels_and_mask_values_without_a_class_are_named(cases: CaseTable, segmentation: CaseTable) -> None:
    problem = only(
        audit_cases(changed(changed(cases, "label", 1, 2), "split", 0, "train"), expected=None)[:1]
    )
    assert (problem.what, problem.where) == ("unexpected-label", "train split")
    assert "case-1" in problem.found
    mapped = replace(segmentation, source=FileSource(segmentation.source.root, mask_rule={0: 0, 255: 2}))
    assert {problem.what for problem in audit_cases(mapped)} == {"unexpected-label", "class-absent"}


def test_damaged_and_constant_images_are_named(cases: CaseTable, tmp_path: Path) -> None:
    whole = (tmp_path / "0.png").read_bytes()
    (tmp_path / "0.png").write_bytes(whole[:40])
    (tmp_path / "1.png").unlink()
    Image.fromarray(np.full((6, 8), 9, dtype=np.uint8)).save(tmp_path / "4.png")
    problems = {problem.what: problem for problem in audit_cases(cases, cache_folder=tmp_path / "cache")}
    assert set(problems) == {"unreadable-image", "constant-image"}
    assert problems["unreadable-image"].where == "train split"
    assert problems["unreadable-image"].found.startswith("2: 0.png: ")
    assert "1.png" in problems["unreadable-image"].found
    assert (problems["constant-image"].where, problems["constant-image"].found) == ("test split", "1: 4.png")


def test_more_than_five_names_are_counted(cases: CaseTable, tmp_path: Path) -> None:
    frame = pd.concat([cases.frame, cases.frame.iloc[:1].assign(split="train")] * 7).reset_index(drop=True)
    frame["case_id"] = [f"case-{number}" for number in range(len(frame))]
    frame["patient_id"] = frame["case_id"]
    frame["split"] = ["train"] * 7 + ["val", "val"] + ["test"] * (len(frame) - 9)
    for number in range(6):
        (tmp_path / f"{number}.png").write_bytes(b"")
    found = {problem.where: problem.found for problem in audit_cases(cases.with_frame(frame))}
    assert found["train split"].startswith("7: 0.png")
    assert found["train split"].endswith("and 2 more")
    assert found["train split"].count("expected a readable") == 5
    assert "more" not in found["val split"]
    assert str(tmp_path) not in "".join(found.values()), "reports show no absolute path"


def test_masks_of_another_size_and_unreadable_ones_are_named(segmentation: CaseTable, tmp_path: Path) -> None:
    Image.fromarray(np.ones((8, 6), dtype=np.uint8)).save(tmp_path / "2-mask.png")
    (tmp_path / "4-mask.png").write_bytes(b"no mask")
    problems = {problem.what: problem for problem in audit_cases(segmentation)}
    assert set(problems) == {"mask-size", "unreadable-mask"}
    assert problems["mask-size"].where == "val split"
    assert problems["mask-size"].found == "1: 2-mask.png (6 x 8, image 8 x 6)"
    assert problems["unreadable-mask"].where == "test split"
    assert "4-mask.png" in problems["unreadable-mask"].found


def test_every_part_of_a_mask_and_the_field_of_view_are_checked(
    segmentation: CaseTable, tmp_path: Path
) -> None:
    Image.fromarray(np.ones((3, 3), dtype=np.uint8)).save(tmp_path / "small.png")
    two_parts = changed(segmentation, "mask", 0, ("0-mask.png", "small.png"))
    assert only(audit_cases(two_parts)).found == "1: small.png (3 x 3, image 8 x 6)"
    regions = ["0-mask.png"] * 5 + ["small.png"]
    viewed = segmentation.with_frame(segmentation.frame.assign(field_of_view=regions))
    problem = only(audit_cases(viewed))
    assert (problem.what, problem.where) == ("mask-size", "test split")


def test_equal_pixels_in_two_splits_are_reported_whatever_the_file(cases: CaseTable, tmp_path: Path) -> None:
    pixels = np.asarray(Image.open(tmp_path / "0.png"))
    Image.fromarray(np.dstack([pixels] * 3)).save(tmp_path / "4.png", compress_level=1)
    problem = only(audit_cases(cases))
    assert (problem.what, problem.where) == ("duplicate-image", "train and test splits")
    assert "0.png = 4.png" in problem.found
    same_split = cases.frame.assign(
        split=["train", "val", "val", "test", "train", "test"], label=[0, 0, 1, 0, 1, 1]
    )
    assert audit_cases(cases.with_frame(same_split)) == []


def test_equal_bytes_of_another_shape_are_no_duplicate(cases: CaseTable, tmp_path: Path) -> None:
    pixels = np.asarray(Image.open(tmp_path / "0.png"))
    Image.fromarray(pixels.reshape(8, 6)).save(tmp_path / "4.png")
    assert audit_cases(cases) == []


@dataclass(frozen=True)
class CountingSource:
    """A source that notes what is read."""

    inner: FileSource
    reads: Counter[str] = field(default_factory=Counter)

    def read_image(self, locator: str) -> np.ndarray:
        self.reads[locator] += 1
        return self.inner.read_image(locator)

    def read_mask(self, locator: str) -> np.ndarray:
        self.reads[locator] += 1
        return self.inner.read_mask(locator)

    def content_hash(self, locator: str) -> str:
        return self.inner.content_hash(locator)

    def describe(self, locator: str) -> str:
        return self.inner.describe(locator)


def test_everything_is_read_once_and_remembered_until_something_changes(
    segmentation: CaseTable, tmp_path: Path
) -> None:
    assert isinstance(segmentation.source, FileSource)
    source = CountingSource(segmentation.source)
    table = replace(segmentation, source=source)
    cache = tmp_path / "cache"

    def reads_of(cases: CaseTable) -> tuple[Mapping[str, int], list[Problem]]:
        source.reads.clear()
        problems = audit_cases(cases, cache_folder=cache)
        return dict(source.reads), problems

    files = [f"{number}{part}.png" for number in range(6) for part in ("", "-mask")]
    assert reads_of(table) == (dict.fromkeys(files, 1), [])
    assert reads_of(table) == ({}, [])
    Image.fromarray(np.full((6, 8), 3, dtype=np.uint8)).save(tmp_path / "5.png")
    reads, problems = reads_of(table)
    assert reads == dict.fromkeys(files, 1)
    assert only(problems).what == "constant-image"
    assert reads_of(table) == ({}, problems)
    for memo in (cache / "audits").iterdir():
        memo.write_text("[")
    assert reads_of(table) == (dict.fromkeys(files, 1), problems)


def test_other_expectations_need_no_second_reading(cases: CaseTable, tmp_path: Path) -> None:
    source = CountingSource(cases.source)
    table = replace(cases, source=source)
    assert audit_cases(table, cache_folder=tmp_path / "cache") == []
    source.reads.clear()
    problem = only(
        audit_cases(table, cache_folder=tmp_path / "cache", expected=ExpectedCounts(({"train": 5},)))
    )
    assert (problem.what, dict(source.reads)) == ("unexpected-count", {})


def test_worker_processes_find_the_same(
    cases: CaseTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "3.png").write_bytes(b"")
    Image.fromarray(np.full((6, 8), 9, dtype=np.uint8)).save(tmp_path / "4.png")
    alone = audit_cases(cases)
    monkeypatch.setattr(decoding_pass, "FEWEST_FOR_WORKERS", 1)
    seen: list[tuple[str, int, int]] = []
    together = audit_cases(cases, workers=2, progress=lambda *step: seen.append(step))
    assert together == alone
    assert [problem.what for problem in alone] == ["unreadable-image", "constant-image"]
    assert seen[-1] == ("checking images", 6, 6)
