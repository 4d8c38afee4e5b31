"""VinDr-CXR in its official layout: three readers, a consensus, DICOM files of both kinds of grey."""

from __future__ import annotations

import csv
import shutil
from collections import defaultdict
from pathlib import Path

import numpy as np
import pydicom
import pytest

from medtransfer.core.errors import DataError
from medtransfer.tasks.target_task import TargetTask
from medtransfer.tasks.vindr_cxr import CLASSES, vindr_cxr, vindr_cxr_any

TRAIN = "annotations/image_labels_train.csv"
TEST = "annotations/image_labels_test.csv"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    assert vindr_cxr.write_sample is not None
    vindr_cxr.write_sample(folder)
    return folder


@pytest.fixture
def root(sample: Path, tmp_path: Path) -> Path:
    return shutil.copytree(sample, tmp_path / "vindr-cxr")


def votes_of(root: Path, name: str) -> dict[str, list[int]]:
    votes: dict[str, list[int]] = defaultdict(lambda: [0] * len(CLASSES))
    with (root / name).open(newline="") as stream:
        for row in csv.DictReader(stream):
            votes[row["image_id"]] = [
                sum(pair) for pair in zip(votes[row["image_id"]], (int(row[c]) for c in CLASSES), strict=True)
            ]
    return votes


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def lines_of(root: Path, name: str) -> list[str]:
    return (root / name).read_text().splitlines()


@pytest.mark.parametrize(("task", "least"), [(vindr_cxr, 2), (vindr_cxr_any, 1)], ids=["majority", "any"])
def test_readers_are_merged_and_the_consensus_is_taken_as_it_is(
    root: Path, task: TargetTask, least: int
) -> None:
    cases = task.open(root)
    train, test = votes_of(root, TRAIN), votes_of(root, TEST)
    assert cases.frame["case_id"].tolist() == sorted([*train, *test])
    for image, split, labels in zip(
        cases.frame["case_id"], cases.frame["split"], cases.labels().tolist(), strict=True
    ):
        if split == "test":
            assert labels == test[image]
        else:
            assert labels == [int(count >= least) for count in train[image]]
    assert {count for votes in train.values() for count in votes} == {0, 1, 2, 3}


def test_the_official_test_images_are_the_test_split(root: Path) -> None:
    cases = vindr_cxr.open(root)
    split = dict(zip(cases.frame["case_id"], cases.frame["split"], strict=True))
    assert {image for image, name in split.items() if name == "test"} == set(votes_of(root, TEST))
    assert sum(name == "val" for name in split.values()) == pytest.approx(6, abs=1)
    assert cases.split_source == "official"
    assert not cases.patients_known
    other = vindr_cxr_any.open(root).frame
    assert dict(zip(other["case_id"], other["split"], strict=True)) == split


def test_the_order_of_classes_is_that_of_the_studies_and_only_test_is_counted() -> None:
    assert CLASSES == (
        "Pleural effusion",
        "Lung tumor",
        "Pneumonia",
        "Tuberculosis",
        "Other diseases",
        "No finding",
    )
    for task in (vindr_cxr, vindr_cxr_any):
        assert task.expected is not None
        assert task.expected.variants == ({"train+val": 15_000, "test": 3_000},)
        assert task.expected.classes == {
            "test": dict(zip(CLASSES, (111, 80, 246, 164, 657, 2051), strict=True))
        }


def test_the_sample_shows_each_class_in_each_split_and_is_the_same_every_time(
    root: Path, tmp_path: Path
) -> None:
    cases = vindr_cxr.open(root)
    for split, least in (("train", 3), ("val", 2), ("test", 2)):
        assert cases.labels()[cases.indices(split)].sum(axis=0).min() >= least
    assert cases.opening_problems == ()
    assert vindr_cxr.write_sample is not None
    vindr_cxr.write_sample(tmp_path / "again")
    files = sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())
    assert len(files) == 72 + 2
    assert all((root / name).read_bytes() == (tmp_path / "again" / name).read_bytes() for name in files)


def test_air_is_dark_in_both_kinds_of_grey(root: Path) -> None:
    cases = vindr_cxr.open(root)
    kinds = set()
    for locator in cases.frame["image"].iloc[::4]:
        dataset = pydicom.dcmread(root / locator)
        kinds.add(dataset.PhotometricInterpretation)
        stored = dataset.pixel_array.astype(float)
        assert dataset.BitsStored == 12
        bright = 4095 - stored if dataset.PhotometricInterpretation == "MONOCHROME1" else stored
        read = cases.source.read_image(locator)
        assert read.dtype == np.uint8
        np.testing.assert_allclose(read, bright / 4095 * 255, atol=1)
    assert kinds == {"MONOCHROME1", "MONOCHROME2"}


def test_the_spelling_of_the_last_but_one_label_may_differ_and_columns_may_move(root: Path) -> None:
    before = vindr_cxr.open(root)
    for name in (TRAIN, TEST):
        edit(root / name, "Other diseases", "Other disease")
        with (root / name).open(newline="") as stream:
            rows = list(csv.reader(stream))
        (root / name).write_text("".join(",".join(reversed(row)) + "\n" for row in rows))
    after = vindr_cxr.open(root)
    assert after.frame.equals(before.frame)
    assert after.classes == CLASSES


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (TRAIN, "Other diseases", "Others", r"image_labels_train\.csv.*'Other diseases'"),
        (TRAIN, "rad_id", "reader", r"image_labels_train\.csv.*'rad_id'"),
        (TEST, "Tuberculosis", "TB", r"image_labels_test\.csv.*'Tuberculosis'"),
        (TEST, "image_id", "id", r"image_labels_test\.csv.*'image_id'"),
    ],
)
def test_a_missing_column_is_named(root: Path, file: str, old: str, new: str, message: str) -> None:
    edit(root / file, old, new)
    with pytest.raises(DataError, match=message):
        vindr_cxr.open(root)


@pytest.mark.parametrize("file", [TRAIN, TEST])
@pytest.mark.parametrize("value", ["2", "", "-1"])
def test_an_unknown_label_is_refused_with_its_line(root: Path, file: str, value: str) -> None:
    lines = lines_of(root, file)
    lines[3] = lines[3].rsplit(",", maxsplit=1)[0] + f",{value}"
    (root / file).write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=rf"{Path(file).name}.*'No finding'.*line 4: '{value}'"):
        vindr_cxr.open(root)


def test_an_image_without_three_readers_is_refused(root: Path) -> None:
    lines = lines_of(root, TRAIN)
    image, reader, _ = lines[1].split(",", maxsplit=2)
    (root / TRAIN).write_text("\n".join([lines[0], *lines[2:]]) + "\n")
    with pytest.raises(DataError, match=rf"3 readers.*'{image}' in 2 rows of 2"):
        vindr_cxr.open(root)
    other = next(line for line in lines[2:] if line.startswith(image))
    twice = other.replace(f",{other.split(',')[1]},", f",{reader},", 1)
    (root / TRAIN).write_text("\n".join([twice if line == other else line for line in lines]) + "\n")
    with pytest.raises(DataError, match=rf"3 readers.*'{image}' in 3 rows of 2"):
        vindr_cxr.open(root)


def test_rows_of_one_test_image_may_repeat_but_not_disagree(root: Path) -> None:
    before = vindr_cxr.open(root).frame
    line = lines_of(root, TEST)[2]
    with (root / TEST).open("a") as stream:
        stream.write(f"{line}\n")
    assert vindr_cxr.open(root).frame.equals(before)
    with (root / TEST).open("a") as stream:
        stream.write(line[:-1] + ("0" if line.endswith("1") else "1") + "\n")
    with pytest.raises(DataError, match=r"image_labels_test\.csv.*on lines 3, 14, 15"):
        vindr_cxr.open(root)


def test_a_missing_image_and_a_path_for_an_identifier_are_refused(root: Path) -> None:
    image = lines_of(root, TEST)[5].split(",", maxsplit=1)[0]
    moved = root / "test" / f"{image}.dicom"
    moved.rename(root / "x.dicom")
    with pytest.raises(DataError, match=rf"image_labels_test\.csv.*line 6: '{image}'"):
        vindr_cxr.open(root)
    edit(root / TEST, image, "../x")
    with pytest.raises(DataError, match=r"image_labels_test\.csv.*line 6: '\.\./x'"):
        vindr_cxr.open(root)


@pytest.mark.parametrize("gone", [TRAIN, TEST])
def test_a_missing_label_file_is_named(root: Path, gone: str) -> None:
    (root / gone).unlink()
    with pytest.raises(DataError, match=gone):
        vindr_cxr.open(root)


def test_images_without_labels_are_reported(root: Path) -> None:
    first = min((root / "train").iterdir())
    shutil.copy(first, root / "train" / "ffff.dicom")
    (problem,) = vindr_cxr.open(root).opening_problems
    assert (problem.what, problem.where) == ("unlisted-image", TRAIN)
    assert "'ffff'" in problem.found
