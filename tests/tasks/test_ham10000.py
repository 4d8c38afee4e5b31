"""HAM10000, ISIC 2018 task 3 and ISIC 2019: labels by header, lesions in one split."""

from __future__ import annotations

import csv
import re
import shutil
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medtransfer.core.errors import DataError
from medtransfer.data.audit import audit_cases
from medtransfer.data.case_table import CaseTable
from medtransfer.tasks.ham10000 import ham10000, isic2018, isic2019
from medtransfer.tasks.target_task import TargetTask

TASKS = (ham10000, isic2018, isic2019)
EVERY = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
TABLE = "HAM10000_metadata.csv"
TRAIN_TABLE = "ISIC2018_Task3_Training_GroundTruth/ISIC2018_Task3_Training_GroundTruth.csv"
TEST_TABLE = "ISIC2018_Task3_Test_GroundTruth/ISIC2018_Task3_Test_GroundTruth.csv"
GROUPS = "ISIC2018_Task3_Training_LesionGroupings.csv"
TABLE_2019 = "ISIC_2019_Training_GroundTruth.csv"
METADATA_2019 = "ISIC_2019_Training_Metadata.csv"
LABEL_TABLE = {"ham10000": TABLE, "isic2018": TRAIN_TABLE, "isic2019": TABLE_2019}

Row = dict[str, str]
Sample = Callable[[TargetTask], Path]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    for task in TASKS:
        assert task.write_sample is not None
        task.write_sample(folder / task.name)
    return folder


@pytest.fixture
def sample(written: Path, tmp_path: Path) -> Sample:
    """Give a copy that a test may change."""
    return lambda task: Path(shutil.copytree(written / task.name, tmp_path / task.name))


def rows_of(path: Path) -> list[Row]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def write_rows(path: Path, rows: list[Row]) -> None:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def change(path: Path, act: Callable[[list[Row]], object]) -> None:
    rows = rows_of(path)
    act(rows)
    write_rows(path, rows)


def named_labels(cases: CaseTable) -> dict[str, str]:
    return {
        image: cases.classes[label]
        for image, label in zip(cases.frame["case_id"], cases.frame["label"], strict=True)
    }


def marked(row: Row) -> str:
    (name,) = [name for name, cell in row.items() if cell == "1.0"]
    return name


def assert_grouped(cases: CaseTable, lesions: dict[str, str]) -> None:
    """Every lesion is one patient, and no patient is in two splits."""
    found = dict(zip(cases.frame["case_id"], cases.frame["patient_id"], strict=True))
    assert {image: found[image] for image in lesions} == lesions
    assert (cases.frame.groupby("patient_id")["split"].nunique() == 1).all()
    sizes = cases.frame["patient_id"].value_counts()
    assert sizes.max() == 3
    assert sizes.min() == 1


def test_ham10000_is_its_table(sample: Sample) -> None:
    root = sample(ham10000)
    cases = ham10000.open(root)
    rows = rows_of(root / TABLE)
    assert named_labels(cases) == {row["image_id"]: row["dx"] for row in rows}
    assert_grouped(cases, {row["image_id"]: row["lesion_id"] for row in rows})
    assert cases.split_source == "ours"
    assert {Path(path).parent.name for path in cases.frame["image"]} == {
        "HAM10000_images_part_1",
        "HAM10000_images_part_2",
    }


@pytest.mark.parametrize("folder", ["HAM10000_images", "images", "ISIC2018_Task3_Training_Input"])
def test_ham10000_may_lie_in_one_folder(folder: str, sample: Sample) -> None:
    root = sample(ham10000)
    before = ham10000.open(root).frame
    (root / folder).mkdir()
    for path in list(root.glob("HAM10000_images_part_?/*.jpg")):
        path.rename(root / folder / path.name)
    after = ham10000.open(root).frame
    assert after.drop(columns="image").equals(before.drop(columns="image"))
    assert set(after["image"].str.split("/").str[0]) == {folder}


@pytest.mark.parametrize("name", ["HAM10000_metadata", "HAM10000_metadata.tab"])
def test_the_table_of_the_dataverse_release_is_read(name: str, sample: Sample) -> None:
    root = sample(ham10000)
    before = ham10000.open(root).frame
    rows = rows_of(root / TABLE)
    columns = ["dx", "image_id", "sex", "lesion_id"]
    lines = [
        "\t".join([*columns, "dataset"]),
        *("\t".join([*(row[c] for c in columns), "x"]) for row in rows),
    ]
    (root / TABLE).unlink()
    (root / name).write_text("\r\n".join(lines))
    assert ham10000.open(root).frame.equals(before)


def test_isic2018_trains_on_groupings_and_tests_on_the_official_images(sample: Sample) -> None:
    root = sample(isic2018)
    cases = isic2018.open(root)
    train, test = rows_of(root / TRAIN_TABLE), rows_of(root / TEST_TABLE)
    assert named_labels(cases) == {row["image"]: marked(row) for row in (*train, *test)}
    assert_grouped(cases, {row["image"]: row["lesion_id"] for row in rows_of(root / GROUPS)})
    split = dict(zip(cases.frame["case_id"], cases.frame["split"], strict=True))
    assert {image for image in split if split[image] == "test"} == {row["image"] for row in test}
    held_out = [split[row["image"]] for row in train].count("val")
    assert abs(held_out - 0.1 * len(train)) <= 4
    assert cases.split_source == "official"


def test_isic2018_reads_the_test_table_of_the_dataverse_release(sample: Sample) -> None:
    root = sample(isic2018)
    before = isic2018.open(root)
    rows = [
        {"lesion_id": f"HAMTEST_{number // 2:07}", "image_id": row["image"], "dx": marked(row).lower()}
        for number, row in enumerate(rows_of(root / TEST_TABLE))
    ]
    (root / TEST_TABLE).unlink()
    write_rows(root / "ISIC2018_Task3_Test_GroundTruth.csv", rows)
    (root / "ISIC2018_Task3_Test_Input").rename(root / "ISIC2018_Task3_Test_Images")
    after = isic2018.open(root)
    assert named_labels(after) == named_labels(before)
    assert after.frame["split"].equals(before.frame["split"])
    patients = dict(zip(after.frame["case_id"], after.frame["patient_id"], strict=True))
    assert {row["image_id"]: row["lesion_id"] for row in rows}.items() <= patients.items()


def test_isic2019_takes_blank_lesions_as_their_own(sample: Sample) -> None:
    root = sample(isic2019)
    cases = isic2019.open(root)
    assert named_labels(cases) == {row["image"]: marked(row) for row in rows_of(root / TABLE_2019)}
    metadata = rows_of(root / METADATA_2019)
    blank = [row["image"] for row in metadata if not row["lesion_id"]]
    assert 5 < len(blank) < len(metadata) / 2
    assert_grouped(cases, {row["image"]: row["lesion_id"] or row["image"] for row in metadata})
    assert "SCC" in cases.classes
    assert "UNK" not in cases.classes
    assert any(image.endswith("_downsampled") for image in cases.frame["case_id"])


@EVERY
def test_columns_are_found_by_their_names(task: TargetTask, sample: Sample) -> None:
    root = sample(task)
    before = task.open(root).frame
    for path in root.rglob("*.csv"):
        change(
            path, lambda rows: rows.__setitem__(slice(None), [dict(reversed(row.items())) for row in rows])
        )
        change(path, lambda rows: rows.reverse())
    assert next(iter(rows_of(root / LABEL_TABLE[task.name])[0])) not in {"image", "lesion_id"}
    assert task.open(root).frame.equals(before)


@EVERY
def test_every_class_is_in_every_split_and_pixels_are_those_stored(task: TargetTask, sample: Sample) -> None:
    root = sample(task)
    cases = task.open(root)
    counts = cases.frame.groupby(["split", "label"]).size()
    assert len(counts) == 3 * len(task.classes)
    assert counts["train"].min() >= 3
    assert counts.min() >= 2
    assert audit_cases(cases) == []
    for locator in cases.frame["image"][::20]:
        with Image.open(root / locator) as image:
            assert image.size == (64, 48)
            assert np.array_equal(cases.source.read_image(locator), np.array(image))


@EVERY
def test_the_sample_is_the_same_each_time(task: TargetTask, written: Path, tmp_path: Path) -> None:
    assert task.write_sample is not None
    task.write_sample(tmp_path)
    first, again = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*.*")}
        for root in (written / task.name, tmp_path)
    )
    assert first == again
    assert sum(map(len, first.values())) < 5e6


def test_the_official_numbers_are_declared() -> None:
    declared = {task.name: task.expected.variants for task in TASKS if task.expected}
    assert declared == {
        "ham10000": ({"train+val+test": 10_015},),
        "isic2018": ({"train+val": 10_015, "test": 1_512}, {"train+val": 10_015, "test": 1_511}),
        "isic2019": ({"train+val+test": 25_331},),
    }
    assert all(task.metrics[0] == "balanced-accuracy" for task in TASKS)


def set_cell(line: int, column: str, cell: str) -> Callable[[list[Row]], object]:
    return lambda rows: rows[line - 2].__setitem__(column, cell)


def repeat(line: int, **changed: str) -> Callable[[list[Row]], object]:
    """Append a copy of a line with other cells."""
    return lambda rows: rows.append(rows[line - 2] | changed)


def without(column: str) -> Callable[[list[Row]], object]:
    return lambda rows: [row.pop(column) for row in rows]


@pytest.mark.parametrize(
    ("task", "table", "act", "message"),
    [
        (
            ham10000,
            TABLE,
            set_cell(4, "dx", "scc"),
            f"{TABLE}: column 'dx': expected one of .* got line 4: 'scc'",
        ),
        (ham10000, TABLE, set_cell(4, "lesion_id", ""), f"{TABLE}: expected no blank lesion_id, got line 4"),
        (ham10000, TABLE, set_cell(4, "image_id", "ISIC_1"), "line 4: 'ISIC_1'"),
        (ham10000, TABLE, set_cell(4, "image_id", "../x"), r"line 4: '\.\./x'"),
        (ham10000, TABLE, without("dx"), r"expected the columns \['dx'\]"),
        (
            ham10000,
            TABLE,
            repeat(2, dx="df"),
            "rows of one image to agree on lesion, class, got 'ISIC_0024306'",
        ),
        (ham10000, TABLE, repeat(2, lesion_id="HAM_9"), "rows of one image to agree on lesion, class"),
        (isic2018, TRAIN_TABLE, set_cell(5, "MEL", "1.0"), "exactly one class in every row, got line 5: 2"),
        (isic2018, TRAIN_TABLE, set_cell(2, "AKIEC", "0.0"), "exactly one class in every row, got line 2: 0"),
        (
            isic2018,
            TRAIN_TABLE,
            set_cell(5, "MEL", "0.5"),
            "column 'MEL': expected one of .* got line 5: '0.5'",
        ),
        (isic2018, TRAIN_TABLE, set_cell(5, "MEL", ""), "column 'MEL': expected one of .* got line 5: ''"),
        (isic2018, TRAIN_TABLE, without("VASC"), r"expected the columns \['VASC'\]"),
        (
            isic2018,
            GROUPS,
            set_cell(3, "lesion_id", ""),
            f"{GROUPS}: expected no blank lesion_id, got line 3",
        ),
        (
            isic2018,
            GROUPS,
            lambda rows: rows.pop(0),
            f"{GROUPS}: expected a row for every image, got 'ISIC_0024306'",
        ),
        (isic2018, GROUPS, repeat(3, lesion_id="HAM_9"), "rows of one image to agree on lesion_id"),
        (isic2018, TEST_TABLE, set_cell(2, "image", "ISIC_0024306"), "not for training, got 'ISIC_0024306'"),
        (
            isic2018,
            TEST_TABLE,
            set_cell(2, "image", "ISIC_9"),
            f"{TEST_TABLE}: expected only images .* line 2: 'ISIC_9'",
        ),
        (isic2019, TABLE_2019, set_cell(7, "UNK", "1.0"), "no image of the class 'UNK', got line 7"),
        (isic2019, TABLE_2019, without("UNK"), r"expected the columns \['UNK'\]"),
        (
            isic2019,
            METADATA_2019,
            lambda rows: rows.pop(0),
            "a row for every image, got 'ISIC_0024306_downsampled'",
        ),
        (isic2019, METADATA_2019, without("lesion_id"), r"expected the columns \['lesion_id'\]"),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "name", "change"),
)
def test_what_is_wrong_in_a_table_is_named(
    task: TargetTask, table: str, act: Callable[[list[Row]], object], message: str, sample: Sample
) -> None:
    root = sample(task)
    change(root / table, act)
    with pytest.raises(DataError, match=f"task {task.name!r}.*{message}"):
        task.open(root)


def test_equal_rows_of_one_image_count_once(sample: Sample) -> None:
    root = sample(ham10000)
    before = ham10000.open(root).frame
    change(root / TABLE, repeat(2, age="99.0"))
    assert ham10000.open(root).frame.equals(before)


@EVERY
def test_a_missing_image_is_named_with_its_line(task: TargetTask, sample: Sample) -> None:
    root = sample(task)
    row = rows_of(root / LABEL_TABLE[task.name])[6]
    image = row.get("image") or row["image_id"]
    (path,) = root.rglob(f"{image}.jpg")
    path.unlink()
    with pytest.raises(
        DataError, match=re.escape(f"{LABEL_TABLE[task.name]}: expected only images") + f".*line 8: '{image}'"
    ):
        task.open(root)


@EVERY
def test_an_image_in_no_row_is_reported(task: TargetTask, sample: Sample) -> None:
    root = sample(task)
    first = task.open(root).frame["image"][0]
    (root / first).with_name("ISIC_9999999.jpg").write_bytes((root / first).read_bytes())
    (problem,) = task.open(root).opening_problems
    assert (problem.what, problem.where) == ("unlisted-image", LABEL_TABLE[task.name])
    assert "ISIC_9999999" in problem.found


def test_an_image_in_two_folders_is_refused(sample: Sample) -> None:
    root = sample(ham10000)
    path = next((root / "HAM10000_images_part_1").iterdir())
    (root / "HAM10000_images_part_2" / path.name).write_bytes(path.read_bytes())
    with pytest.raises(
        DataError, match=f"each image in one folder, got .*part_1/{path.name} and .*part_2/{path.name}"
    ):
        ham10000.open(root)


@EVERY
def test_a_folder_without_images_or_tables_is_refused(
    task: TargetTask, sample: Sample, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=re.escape(f"expected the file {LABEL_TABLE[task.name]}")):
        task.open(tmp_path / "empty")
    root = sample(task)
    for path in root.rglob("*.jpg"):
        path.unlink()
    with pytest.raises(DataError, match=r"expected \.jpg images in one of"):
        task.open(root)


def test_the_archive_of_isic2019_may_be_unpacked_into_a_folder_of_its_name(sample: Sample) -> None:
    root = sample(isic2019)
    before = isic2019.open(root).frame
    folder = root / "ISIC_2019_Training_Input"
    folder.rename(root / "inner")
    folder.mkdir()
    (root / "inner").rename(folder / folder.name)
    after = isic2019.open(root).frame
    assert after.drop(columns="image").equals(before.drop(columns="image"))


def test_a_diagnosis_of_one_lesion_stays_whole(sample: Sample) -> None:
    """In the samples, as in the data, photographs of one lesion show one diagnosis."""
    labels: dict[str, set[int]] = defaultdict(set)
    for row in ham10000.open(sample(ham10000)).frame.to_dict("records"):
        labels[row["patient_id"]].add(row["label"])
    assert {len(found) for found in labels.values()} == {1}
