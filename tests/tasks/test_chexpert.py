"""CheXpert in its official layout: policies, two test sets, and tables that are not right."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from medtransfer.core.errors import DataError
from medtransfer.data.case_table import CaseTable
from medtransfer.tasks.chexpert import CLASSES, SCORED, chexpert, chexpert_tasks

TASKS = {task.name: task for task in chexpert_tasks}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    assert chexpert.write_sample is not None
    chexpert.write_sample(folder)
    return folder


@pytest.fixture
def root(sample: Path, tmp_path: Path) -> Path:
    return shutil.copytree(sample, tmp_path / "CheXpert-v1.0")


def rows_of(root: Path, name: str) -> dict[str, dict[str, str]]:
    """Rows of a label file by the image's path below the root."""
    with (root / name).open(newline="") as stream:
        return {row["Path"].removeprefix("CheXpert-v1.0/"): row for row in csv.DictReader(stream)}


def label_of(cases: CaseTable, image: str, name: str) -> float:
    return float(cases.frame.set_index("case_id").loc[image, f"label:{name}"])


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def split_of(cases: CaseTable) -> dict[str, str]:
    return dict(zip(cases.frame["case_id"], cases.frame["split"], strict=True))


FIXED = {"chexpert": 1, "chexpert-ones": 1, "chexpert-zeros": 0, "chexpert-lsr-zeros": 0}
RANGES = {"chexpert": (0.55, 0.85), "chexpert-lsr-zeros": (0.0, 0.3)}


@pytest.mark.parametrize("name", TASKS)
def test_every_label_is_that_of_the_file_under_its_policy(root: Path, name: str) -> None:
    cases = TASKS[name].open(root)
    table = rows_of(root, "train.csv") | rows_of(root, "test_labels.csv")
    assert cases.frame["case_id"].tolist() == sorted(table)
    uncertain = {"train": 0, "val": 0}
    for image, split, labels in zip(
        cases.frame["case_id"], cases.frame["split"], cases.labels(), strict=True
    ):
        for label, value in zip(CLASSES, labels.tolist(), strict=True):
            cell = table[image][label]
            if cell != "-1.0":
                assert value == {"1.0": 1, "0.0": 0, "": 0}[cell]
                continue
            uncertain[split] += 1
            if name == "chexpert-ignore":
                assert np.isnan(value)
            elif split == "train" and name in RANGES:
                low, high = RANGES[name]
                assert low <= value < high
            else:
                assert value == FIXED[name]
    assert min(uncertain.values()) > 3


def test_the_file_says_uncertain_absent_and_nothing(root: Path) -> None:
    cells = {row[label] for row in rows_of(root, "train.csv").values() for label in CLASSES}
    assert cells == {"1.0", "0.0", "-1.0", ""}


def test_soft_labels_are_drawn_once_and_do_not_depend_on_rows_or_on_the_version(root: Path) -> None:
    before = chexpert.open(root).frame
    pd.testing.assert_frame_equal(chexpert.open(root).frame, before)
    for name in ("train.csv", "test_labels.csv"):
        lines = (root / name).read_text().splitlines(keepends=True)
        text = "".join([lines[0], *reversed(lines[1:])])
        (root / name).write_text(text.replace("CheXpert-v1.0/", "CheXpert-v1.0-small/"))
    small = root.rename(root.with_name("CheXpert-v1.0-small"))
    pd.testing.assert_frame_equal(chexpert.open(small).frame, before)


def test_the_sample_shows_each_class_in_each_split_and_is_the_same_every_time(
    root: Path, tmp_path: Path
) -> None:
    for name in ("chexpert", "chexpert-zeros"):
        cases = TASKS[name].open(root)
        for split, least in (("train", 3), ("val", 2), ("test", 2)):
            assert (cases.labels()[cases.indices(split)] > 0.5).sum(axis=0).min() >= least
    assert chexpert.write_sample is not None
    chexpert.write_sample(tmp_path / "again")
    files = sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())
    assert len(files) == 64 + 8 + 8 + 3
    assert all((root / name).read_bytes() == (tmp_path / "again" / name).read_bytes() for name in files)


def test_all_policies_share_a_split_that_cuts_no_patient(root: Path) -> None:
    tables = [task.open(root) for task in chexpert_tasks]
    assert all(split_of(cases) == split_of(tables[0]) for cases in tables)
    frame = tables[0].frame
    assert frame.groupby("patient_id")["split"].nunique().max() == 1
    assert frame["patient_id"].value_counts().max() == 2
    assert (frame["patient_id"] == frame["case_id"].str.split("/").str[1]).all()
    held_out = set(frame.loc[frame["split"] == "val", "case_id"])
    assert held_out < set(rows_of(root, "train.csv"))
    assert len(held_out) / len(rows_of(root, "train.csv")) == pytest.approx(0.1, abs=0.03)


def test_fourteen_are_trained_and_five_are_scored(root: Path) -> None:
    for task in chexpert_tasks:
        cases = task.open(root)
        assert cases.classes == task.classes == CLASSES
        assert len(CLASSES) == 14
        assert cases.scored == SCORED
        assert task.metrics[0] == "auc-scored"
    assert SCORED == ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion")
    assert set(TASKS) == {
        "chexpert",
        *(f"chexpert-{policy}" for policy in ("ones", "zeros", "ignore", "lsr-zeros")),
    }


def test_the_test_file_without_columns_about_the_patient_is_read_by_name(root: Path) -> None:
    header = (root / "test_labels.csv").read_text().splitlines()[0].split(",")
    assert header == ["Path", *CLASSES]
    before = chexpert.open(root).frame
    rows = rows_of(root, "test_labels.csv")
    order = [*sorted(CLASSES), "Path"]
    text = "".join(",".join(row[name] for name in order) + "\n" for row in rows.values())
    (root / "test_labels.csv").unlink()
    (root / "test.csv").write_text(",".join(order) + "\n" + text)
    pd.testing.assert_frame_equal(chexpert.open(root).frame, before)


def test_without_test_labels_the_official_validation_images_are_the_test_split(root: Path) -> None:
    with_test = split_of(chexpert.open(root))
    assert {image for image, split in with_test.items() if split == "test"} == set(
        rows_of(root, "test_labels.csv")
    )
    assert not any(image.startswith("valid/") for image in with_test)
    (root / "test_labels.csv").unlink()
    without = split_of(chexpert.open(root))
    assert {image for image, split in without.items() if split == "test"} == set(rows_of(root, "valid.csv"))
    for image in rows_of(root, "train.csv"):
        assert without[image] == with_test[image]


def test_two_files_of_test_labels_are_refused(root: Path) -> None:
    shutil.copy(root / "test_labels.csv", root / "test.csv")
    with pytest.raises(DataError, match=r"one file of test labels.*test\.csv and test_labels\.csv"):
        chexpert.open(root)


OFFICIAL = {
    "valid": (234, (38, 80, 68, 33, 45, 67)),
    "test": (668, (109, 178, 175, 35, 85, 120)),
}


@pytest.mark.parametrize("part", OFFICIAL)
def test_the_positives_of_the_official_sets_are_checked(root: Path, part: str) -> None:
    images, positives = OFFICIAL[part]
    (root / "test_labels.csv").unlink()
    counts = dict(zip(("No Finding", *SCORED), positives, strict=True))
    lines = [",".join(("Path", *CLASSES))]
    for number in range(images):
        name = f"{part}/patient{70_000 + number}/study1/view1_frontal.jpg"
        (root / name).parent.mkdir(parents=True)
        (root / name).touch()
        cells = ["1.0" if number < counts.get(label, 0) else "0.0" for label in CLASSES]
        lines.append(",".join((f"CheXpert-v1.0/{name}", *cells)))
    target = root / ("valid.csv" if part == "valid" else "test.csv")
    target.write_text("\n".join(lines) + "\n")
    cases = chexpert.open(root)
    assert len(cases.indices("test")) == images
    assert [problem.what for problem in cases.opening_problems] == ["unlisted-image"]
    edit(target, ",1.0", ",0.0")
    found = {problem.what: problem for problem in chexpert.open(root).opening_problems}
    assert found["unexpected-count"].where.startswith(target.name)
    assert found["unexpected-count"].expected == f"{positives[0]} No Finding"
    assert found["unexpected-count"].found == f"{positives[0] - 1} No Finding"


def test_official_sizes_are_declared_for_both_test_sets() -> None:
    for task in chexpert_tasks:
        assert task.expected is not None
        assert [dict(variant) for variant in task.expected.variants] == [
            {"train+val": 223_414, "test": 668},
            {"train+val": 223_414, "test": 234},
        ]


FIRST = "CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg"


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("train.csv", "Lung Lesion", "Lung Lesions", r"train\.csv.*'Lung Lesion'"),
        ("train.csv", "Path", "path", r"train\.csv.*'Path'"),
        ("test_labels.csv", "Edema", "Oedema", r"test_labels\.csv.*'Edema'"),
        ("train.csv", ",1.0", ",2.0", r"train\.csv.*line \d+: '2\.0'"),
        ("test_labels.csv", "0.0", "present", r"test_labels\.csv.*line \d+: 'present'"),
        ("train.csv", FIRST, "CheXpert-v1.0/train/../../x.jpg", r"train\.csv.*line 2: .*\.\./x\.jpg"),
        ("train.csv", FIRST, "../x", r"train\.csv.*line 2: '\.\./x'"),
        ("train.csv", FIRST, FIRST.replace("CheXpert-v1.0", ".."), r"train\.csv.*line 2: '\.\./train"),
        ("train.csv", FIRST, FIRST.replace("train", "valid"), r"train\.csv.*line 2: 'CheXpert-v1\.0/valid"),
        ("train.csv", FIRST, FIRST.replace("view1", "view9"), r"train\.csv.*line 2: 'train/.*view9"),
    ],
)
def test_a_bad_table_is_refused_with_file_and_line(
    root: Path, file: str, old: str, new: str, message: str
) -> None:
    edit(root / file, old, new)
    with pytest.raises(DataError, match=message):
        chexpert.open(root)


@pytest.mark.parametrize("gone", ["train.csv", "test/patient64741/study1/view1_frontal.jpg"])
def test_what_is_missing_is_named(root: Path, gone: str) -> None:
    (root / gone).unlink()
    with pytest.raises(DataError, match=gone):
        chexpert.open(root)


def test_neither_test_nor_validation_labels_is_refused(root: Path) -> None:
    (root / "test_labels.csv").unlink()
    (root / "valid.csv").unlink()
    with pytest.raises(DataError, match=r"valid\.csv"):
        chexpert.open(root)


def test_rows_of_one_image_may_repeat_but_not_disagree(root: Path) -> None:
    before = chexpert.open(root).frame
    line = (root / "train.csv").read_text().splitlines()[1]
    with (root / "train.csv").open("a") as stream:
        stream.write(f"{line}\n")
    pd.testing.assert_frame_equal(chexpert.open(root).frame, before)
    with (root / "train.csv").open("a") as stream:
        stream.write(line.rsplit(",", maxsplit=1)[0] + (",0.0\n" if line.endswith("1.0") else ",1.0\n"))
    with pytest.raises(DataError, match=r"train\.csv.*view1_frontal\.jpg' on lines 2, 66, 67"):
        chexpert.open(root)


def test_images_in_no_table_are_reported(root: Path) -> None:
    extra = root / "train/patient00001/study7/view1_frontal.jpg"
    extra.parent.mkdir()
    extra.touch()
    problems: list[Any] = [p for p in chexpert.open(root).opening_problems if p.what == "unlisted-image"]
    assert [problem.where for problem in problems] == ["train.csv"]
    assert "train/patient00001/study7/view1_frontal.jpg" in problems[0].found


def test_images_are_read_from_where_the_table_says(root: Path) -> None:
    cases = chexpert.open(root)
    assert cases.source.read_image(cases.frame["image"].iloc[0]).shape == (64, 64)
    assert cases.frame["image"].tolist() == cases.frame["case_id"].tolist()
