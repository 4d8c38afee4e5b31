"""MIMIC-CXR-JPG in its official layout: packed tables, labels in alphabetical order, studies with several images."""

from __future__ import annotations

import csv
import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest

from medtransfer.core.errors import DataError
from medtransfer.tasks.chexpert import CLASSES as CHEXPERT_CLASSES
from medtransfer.tasks.mimic_cxr import CLASSES, mimic_cxr

LABELS = "mimic-cxr-2.0.0-chexpert.csv"
SPLIT = "mimic-cxr-2.0.0-split.csv"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    assert mimic_cxr.write_sample is not None
    mimic_cxr.write_sample(folder)
    return folder


@pytest.fixture
def root(sample: Path, tmp_path: Path) -> Path:
    return shutil.copytree(sample, tmp_path / "mimic-cxr")


def text_of(root: Path, name: str) -> str:
    return gzip.decompress((root / f"{name}.gz").read_bytes()).decode()


def rows_of(root: Path, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text_of(root, name).splitlines()))


def rewrite(root: Path, name: str, text: str) -> None:
    (root / f"{name}.gz").write_bytes(gzip.compress(text.encode()))


def edit(root: Path, name: str, old: str, new: str) -> None:
    text = text_of(root, name)
    assert old in text
    rewrite(root, name, text.replace(old, new, 1))


def test_labels_splits_and_patients_are_those_of_the_files(root: Path) -> None:
    cases = mimic_cxr.open(root)
    studies = {row["study_id"]: row for row in rows_of(root, LABELS)}
    images = {row["dicom_id"]: row for row in rows_of(root, SPLIT)}
    assert cases.frame["case_id"].tolist() == sorted(images)
    meaning = {"1.0": 1.0, "0.0": 0.0, "": 0.0, "-1.0": np.nan}
    for case, labels in zip(cases.frame.to_dict("records"), cases.labels(), strict=True):
        row = images[case["case_id"]]
        study = studies[row["study_id"]]
        np.testing.assert_array_equal(labels, [meaning[study[name]] for name in CLASSES])
        subject = row["subject_id"]
        assert case["patient_id"] == f"p{subject}"
        assert case["image"] == f"files/p{subject[:2]}/p{subject}/s{row['study_id']}/{case['case_id']}.jpg"
        assert case["split"] == {"train": "train", "validate": "val", "test": "test"}[row["split"]]
    assert {cell for row in studies.values() for cell in list(row.values())[2:]} == set(meaning)
    assert cases.split_source == "official"


def test_labels_are_matched_by_name_not_by_the_order_of_chexpert(root: Path) -> None:
    assert list(CLASSES) == sorted(CLASSES)
    assert set(CLASSES) == set(CHEXPERT_CLASSES)
    assert CLASSES != CHEXPERT_CLASSES
    before = mimic_cxr.open(root).frame
    rows = rows_of(root, LABELS)
    order = [*CHEXPERT_CLASSES, "study_id", "subject_id"]
    lines = [",".join(order), *(",".join(row[name] for name in order) for row in rows)]
    rewrite(root, LABELS, "\n".join(lines) + "\n")
    assert mimic_cxr.open(root).frame.equals(before)


def test_studies_share_labels_and_the_sample_shows_each_class(root: Path, tmp_path: Path) -> None:
    cases = mimic_cxr.open(root)
    for split, least in (("train", 3), ("val", 2), ("test", 2)):
        assert (cases.labels()[cases.indices(split)] == 1).sum(axis=0).min() >= least
    assert cases.opening_problems == ()
    assert cases.frame["patient_id"].value_counts().max() > 1
    assert cases.frame.groupby("patient_id")["split"].nunique().max() == 1
    assert cases.frame["image"].str.rsplit("/", n=1).str[0].value_counts().max() == 2
    assert mimic_cxr.write_sample is not None
    mimic_cxr.write_sample(tmp_path / "again")
    files = sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())
    assert len(files) == len(cases) + 2
    assert all((root / name).read_bytes() == (tmp_path / "again" / name).read_bytes() for name in files)


def test_it_is_a_source_of_pretraining() -> None:
    assert mimic_cxr.purpose == "pretraining"
    assert mimic_cxr.image_sets == ("mimic-cxr",)
    assert mimic_cxr.expected is not None
    assert mimic_cxr.expected.variants == ({"val": 2991, "test": 5159},)


def test_unpacked_tables_are_read_too(root: Path) -> None:
    before = mimic_cxr.open(root).frame
    for name in (LABELS, SPLIT):
        (root / name).write_text(text_of(root, name))
        (root / f"{name}.gz").unlink()
    assert mimic_cxr.open(root).frame.equals(before)


def test_studies_without_labels_are_left_out_and_reported(root: Path) -> None:
    whole = mimic_cxr.open(root)
    lines = text_of(root, LABELS).splitlines(keepends=True)
    study = lines[1].split(",")[1]
    rewrite(root, LABELS, "".join([lines[0], *lines[2:]]))
    cases = mimic_cxr.open(root)
    (problem,) = cases.opening_problems
    assert problem.what == "dropped-rows"
    assert f"1 studies with 2 images, first '{study}'" in problem.found
    assert len(cases) == len(whole) - 2
    assert not cases.frame["image"].str.contains(f"/s{study}/").any()


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (LABELS, "Lung Opacity", "Opacity", r"chexpert\.csv\.gz.*'Lung Opacity'"),
        (SPLIT, "dicom_id", "dicom", r"split\.csv\.gz.*'dicom_id'"),
        (SPLIT, ",validate\n", ",val\n", r"split\.csv\.gz: column 'split'.*line \d+: 'val'"),
        (LABELS, ",1.0", ",0.7", r"chexpert\.csv\.gz: column .*line \d+: '0\.7'"),
    ],
)
def test_a_bad_table_is_refused(root: Path, file: str, old: str, new: str, message: str) -> None:
    edit(root, file, old, new)
    with pytest.raises(DataError, match=message):
        mimic_cxr.open(root)


@pytest.mark.parametrize("gone", [LABELS, SPLIT])
def test_a_missing_table_is_named(root: Path, gone: str) -> None:
    (root / f"{gone}.gz").unlink()
    with pytest.raises(DataError, match=f"{gone}.gz"):
        mimic_cxr.open(root)


def test_a_missing_image_and_a_path_for_an_identifier_are_refused(root: Path) -> None:
    image = rows_of(root, SPLIT)[3]["dicom_id"]
    (path,) = root.rglob(f"{image}.jpg")
    path.rename(path.parent.parent / "x.jpg")
    with pytest.raises(DataError, match=rf"split\.csv\.gz.*line 5: 'files/.*{image}\.jpg'"):
        mimic_cxr.open(root)
    edit(root, SPLIT, image, "../x")
    with pytest.raises(DataError, match=r"split\.csv\.gz.*line 5: 'files/.*\.\./x\.jpg'"):
        mimic_cxr.open(root)


def test_rows_may_repeat_but_not_disagree(root: Path) -> None:
    before = mimic_cxr.open(root).frame
    for name in (SPLIT, LABELS):
        text = text_of(root, name)
        rewrite(root, name, text + text.splitlines()[2] + "\n")
    assert mimic_cxr.open(root).frame.equals(before)
    line = text_of(root, LABELS).splitlines()[2]
    other = line.rsplit(",", maxsplit=1)[0] + (",0.0" if line.endswith("1.0") else ",1.0")
    rewrite(root, LABELS, text_of(root, LABELS) + other + "\n")
    with pytest.raises(DataError, match=r"chexpert\.csv\.gz.*study_id.*on lines 3, "):
        mimic_cxr.open(root)


def test_an_image_in_two_splits_is_refused(root: Path) -> None:
    text = text_of(root, SPLIT)
    rewrite(root, SPLIT, text + text.splitlines()[2].replace(",train", ",test") + "\n")
    with pytest.raises(DataError, match=r"split\.csv\.gz.*dicom_id.*on lines 3, "):
        mimic_cxr.open(root)


def test_a_study_of_another_subject_is_refused(root: Path) -> None:
    row = rows_of(root, LABELS)[0]
    edit(root, LABELS, f"{row['subject_id']},{row['study_id']}", f"10999999,{row['study_id']}")
    with pytest.raises(DataError, match=rf"subject_id.*another for study {row['study_id']}"):
        mimic_cxr.open(root)


def test_images_in_no_table_are_reported(root: Path) -> None:
    first = min(root.rglob("*.jpg"))
    shutil.copy(first, first.with_name("extra.jpg"))
    (problem,) = mimic_cxr.open(root).opening_problems
    assert problem.what == "unlisted-image"
    assert "extra.jpg" in problem.found
