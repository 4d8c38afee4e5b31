"""RSNA Pneumonia in its official layout: a row per box, identifiers of images, and the mapping to patients."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from medtransfer.core.errors import DataError
from medtransfer.tasks.rsna_pneumonia import CLASSES, MAPPING_NAME, rsna_pneumonia

INFO = "stage_2_detailed_class_info.csv"
BOXES = "stage_2_train_labels.csv"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    assert rsna_pneumonia.write_sample is not None
    rsna_pneumonia.write_sample(folder)
    return folder


@pytest.fixture
def root(sample: Path, tmp_path: Path) -> Path:
    return shutil.copytree(sample, tmp_path / "rsna-pneumonia")


def rows_of(root: Path, name: str) -> list[dict[str, str]]:
    with (root / name).open(newline="") as stream:
        return list(csv.DictReader(stream))


def mapping_of(root: Path) -> list[dict[str, str]]:
    entries: list[dict[str, str]] = json.loads((root / MAPPING_NAME).read_text())
    return entries


def write_mapping(root: Path, entries: Any) -> None:
    (root / MAPPING_NAME).write_text(json.dumps(entries))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_an_image_is_one_case_however_many_boxes_it_has(root: Path) -> None:
    cases = rsna_pneumonia.open(root)
    classes = {row["patientId"]: row["class"] for row in rows_of(root, INFO)}
    targets = {row["patientId"]: row["Target"] for row in rows_of(root, BOXES)}
    assert len(rows_of(root, BOXES)) == len(rows_of(root, INFO)) > len(classes) == 72
    assert cases.frame["case_id"].tolist() == sorted(classes)
    assert [CLASSES[label] for label in cases.labels()] == [classes[image] for image in sorted(classes)]
    assert [str(int(label == 2)) for label in cases.labels()] == [targets[image] for image in sorted(classes)]
    assert all((root / path).stem == image for path, image in cases.frame[["image", "case_id"]].to_numpy())


def test_with_the_mapping_patients_are_those_of_chestxray14_and_are_not_cut(root: Path) -> None:
    cases = rsna_pneumonia.open(root)
    patient = {entry["subset_img_id"]: entry["img_id"][:8] for entry in mapping_of(root)}
    assert cases.frame["patient_id"].tolist() == [patient[image] for image in cases.frame["case_id"]]
    assert cases.patients_known
    assert cases.frame["patient_id"].value_counts().max() == 3
    assert cases.frame.groupby("patient_id")["split"].nunique().max() == 1
    assert cases.split_source == "ours"


def test_without_the_mapping_each_image_is_its_own_patient_and_the_table_says_so(root: Path) -> None:
    (root / MAPPING_NAME).unlink()
    cases = rsna_pneumonia.open(root)
    assert not cases.patients_known
    assert (cases.frame["patient_id"] == cases.frame["case_id"]).all()
    counts = cases.frame["split"].value_counts()
    assert counts.to_dict() == pytest.approx(
        {"train": 72 * 21_295 / 26_684, "val": 72 * 2_680 / 26_684, "test": 72 * 2_709 / 26_684}, abs=1.5
    )


def test_the_sample_shows_each_class_in_each_split_and_is_the_same_every_time(
    root: Path, tmp_path: Path
) -> None:
    cases = rsna_pneumonia.open(root)
    for split, least in (("train", 3), ("val", 2), ("test", 2)):
        assert np.bincount(cases.labels()[cases.indices(split)], minlength=3).min() >= least
    assert cases.opening_problems == ()
    assert rsna_pneumonia.write_sample is not None
    rsna_pneumonia.write_sample(tmp_path / "again")
    files = sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())
    assert len(files) == 72 + 2 + 3
    assert all((root / name).read_bytes() == (tmp_path / "again" / name).read_bytes() for name in files)


def test_pixels_are_those_stored(root: Path) -> None:
    cases = rsna_pneumonia.open(root)
    locator = cases.frame["image"].iloc[0]
    stored = pydicom.dcmread(root / locator).pixel_array
    read = cases.source.read_image(locator)
    assert read.shape == stored.shape == (64, 64)
    assert np.corrcoef(read.ravel(), stored.ravel())[0, 1] > 0.999


def test_the_split_does_not_depend_on_the_order_of_rows(root: Path) -> None:
    before = rsna_pneumonia.open(root).frame
    for name in (INFO, BOXES):
        lines = (root / name).read_text().splitlines(keepends=True)
        (root / name).write_text("".join([lines[0], *reversed(lines[1:])]))
    write_mapping(root, mapping_of(root)[::-1])
    assert rsna_pneumonia.open(root).frame.equals(before)


def test_the_official_totals_are_declared() -> None:
    assert rsna_pneumonia.expected is not None
    assert rsna_pneumonia.expected.variants == ({"train+val+test": 8851 + 11_821 + 6012},)
    assert rsna_pneumonia.expected.classes == {
        "train+val+test": {"Normal": 8851, "No Lung Opacity / Not Normal": 11_821, "Lung Opacity": 6012}
    }
    assert rsna_pneumonia.metrics[0] == "accuracy"


def image_of(root: Path, name: str) -> str:
    return next(row["patientId"] for row in rows_of(root, INFO) if row["class"] == name)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (INFO, "class\n", "Class\n", r"class_info\.csv.*'class'"),
        (BOXES, "Target", "target", r"train_labels\.csv.*'Target'"),
        (BOXES, "patientId", "patient", r"train_labels\.csv.*'patientId'"),
        (INFO, ",Normal\n", ",Fine\n", r"class_info\.csv: column 'class'.*line \d+: 'Fine'"),
        (BOXES, ",0\n", ",2\n", r"train_labels\.csv: column 'Target'.*line \d+: '2'"),
    ],
)
def test_a_bad_table_is_refused(root: Path, file: str, old: str, new: str, message: str) -> None:
    edit(root / file, old, new)
    with pytest.raises(DataError, match=message):
        rsna_pneumonia.open(root)


def test_rows_of_one_image_that_disagree_are_refused(root: Path) -> None:
    lines = (root / INFO).read_text().splitlines()
    image = image_of(root, "Normal")
    (root / INFO).write_text("\n".join([*lines, f"{image},Lung Opacity"]) + "\n")
    with pytest.raises(DataError, match=rf"class_info\.csv.*agree on class.*'{image}' on lines \d+, "):
        rsna_pneumonia.open(root)


def test_files_that_disagree_are_refused(root: Path) -> None:
    image = image_of(root, "Normal")
    edit(root / INFO, f"{image},Normal", f"{image},Lung Opacity")
    with pytest.raises(DataError, match=rf"Target 1 exactly where.*'{image}'"):
        rsna_pneumonia.open(root)


@pytest.mark.parametrize(("file", "other"), [(INFO, BOXES), (BOXES, INFO)])
def test_an_image_in_one_file_only_is_refused(root: Path, file: str, other: str) -> None:
    image = image_of(root, "Normal")
    lines = [line for line in (root / file).read_text().splitlines() if not line.startswith(image)]
    (root / file).write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=rf"the same images.*'{image}' only in {other}"):
        rsna_pneumonia.open(root)


def test_a_missing_image_and_a_path_for_an_identifier_are_refused(root: Path) -> None:
    image = image_of(root, "Normal")
    path = root / "stage_2_train_images" / f"{image}.dcm"
    path.rename(root / "x.dcm")
    with pytest.raises(DataError, match=rf"class_info\.csv.*line \d+: '{image}'"):
        rsna_pneumonia.open(root)
    edit(root / INFO, image, "../x")
    edit(root / BOXES, image, "../x")
    with pytest.raises(DataError, match=r"class_info\.csv.*line \d+: '\.\./x'"):
        rsna_pneumonia.open(root)


@pytest.mark.parametrize("gone", [INFO, BOXES])
def test_a_missing_table_is_named(root: Path, gone: str) -> None:
    (root / gone).unlink()
    with pytest.raises(DataError, match=gone):
        rsna_pneumonia.open(root)


def test_unlabelled_training_images_are_reported_and_those_of_the_challenge_test_are_not_used(
    root: Path,
) -> None:
    unlabelled = sorted((root / "stage_2_test_images").iterdir())
    assert len(unlabelled) == 2
    assert not {path.stem for path in unlabelled} & set(rsna_pneumonia.open(root).frame["case_id"])
    shutil.copy(unlabelled[0], root / "stage_2_train_images")
    (problem,) = rsna_pneumonia.open(root).opening_problems
    assert problem.what == "unlisted-image"
    assert unlabelled[0].stem in problem.found


def test_another_name_of_the_mapping_and_of_its_key_is_understood(root: Path) -> None:
    before = rsna_pneumonia.open(root).frame
    entries = [
        {"subset_img_id": entry["subset_img_id"], "orig_img_id": entry["img_id"]}
        for entry in mapping_of(root)
    ]
    (root / MAPPING_NAME).unlink()
    (root / "mappings.json").write_text(json.dumps(entries))
    assert rsna_pneumonia.open(root).frame.equals(before)
    shutil.copy(root / "mappings.json", root / MAPPING_NAME)
    with pytest.raises(DataError, match=r"one mapping.*mappings\.json"):
        rsna_pneumonia.open(root)


@pytest.mark.parametrize(
    "content", ["[", "[]", "{}", '["a"]', '[{"subset_img_id": "a"}]', '[{"img_id": "a"}]']
)
def test_a_mapping_that_is_none_is_refused(root: Path, content: str) -> None:
    (root / MAPPING_NAME).write_text(content)
    with pytest.raises(DataError, match=r"mappings_2018\.json.*expected a"):
        rsna_pneumonia.open(root)


def test_a_mapping_with_gaps_doubles_or_other_names_is_refused(root: Path) -> None:
    entries = mapping_of(root)
    image = entries[0]["subset_img_id"]
    write_mapping(root, entries[1:])
    with pytest.raises(DataError, match=rf"every labelled image.*none for '{image}'"):
        rsna_pneumonia.open(root)
    write_mapping(root, [*entries, entries[0] | {"img_id": "00000099_000.png"}])
    with pytest.raises(DataError, match=rf"one name for each image.*'{image}'"):
        rsna_pneumonia.open(root)
    write_mapping(root, [entries[0] | {"img_id": "99.png"}, *entries[1:]])
    with pytest.raises(DataError, match=rf"'99\.png' for '{image}'"):
        rsna_pneumonia.open(root)
    write_mapping(root, [*entries, entries[0]])
    assert len(rsna_pneumonia.open(root)) == 72
