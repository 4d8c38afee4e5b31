"""ChestX-ray14 in its official layout, in the layout of the small sample, and with lists that are not right."""

from __future__ import annotations

import csv
import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medtransfer.core.errors import DataError
from medtransfer.data.case_table import CaseTable
from medtransfer.tasks import chest_xray14 as module
from medtransfer.tasks.chest_xray14 import (
    FINDINGS,
    OUTPUTS_OF_STUDY_C,
    chestxray14,
    chestxray14_15,
    read_chestxray14_labels,
)
from medtransfer.tasks.target_task import TargetTask

LABELS = "Data_Entry_2017_v2020.csv"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    assert chestxray14.write_sample is not None
    chestxray14.write_sample(folder)
    return folder


@pytest.fixture
def root(sample: Path, tmp_path: Path) -> Path:
    return shutil.copytree(sample, tmp_path / "chestxray14")


def rows_of(root: Path, name: str = LABELS) -> list[dict[str, str]]:
    with (root / name).open(newline="") as stream:
        return list(csv.DictReader(stream))


def write_rows(root: Path, name: str, header: str, rows: list[list[Any]]) -> None:
    lines = [header, *(",".join(map(str, row)) for row in rows)]
    (root / name).write_text("".join(f"{line}\n" for line in lines))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def lines_of(root: Path, name: str) -> list[str]:
    return (root / name).read_text().split()


def labels_by_hand(root: Path, classes: tuple[str, ...]) -> dict[str, list[int]]:
    found = {row["Image Index"]: row["Finding Labels"].split("|") for row in rows_of(root)}
    return {image: [int(name in names) for name in classes] for image, names in found.items()}


def splits(cases: CaseTable) -> dict[str, str]:
    return dict(zip(cases.frame["case_id"], cases.frame["split"], strict=True))


@pytest.mark.parametrize("task", [chestxray14, chestxray14_15], ids=lambda task: task.name)
def test_every_label_is_that_of_the_file(root: Path, task: TargetTask) -> None:
    cases = task.open(root)
    by_hand = labels_by_hand(root, task.classes)
    assert cases.frame["case_id"].tolist() == sorted(by_hand)
    assert cases.labels().tolist() == [by_hand[image] for image in sorted(by_hand)]
    patients = {row["Image Index"]: f"{int(row['Patient ID']):08d}" for row in rows_of(root)}
    assert cases.frame["patient_id"].tolist() == [patients[image] for image in sorted(by_hand)]
    assert all((root / path).name == image for path, image in cases.frame[["image", "case_id"]].to_numpy())


def test_the_sample_shows_each_class_in_each_split(root: Path) -> None:
    cases = chestxray14_15.open(root)
    for split, least in (("train", 3), ("val", 2), ("test", 2)):
        assert cases.labels()[cases.indices(split)].sum(axis=0).min() >= least
    assert cases.frame["patient_id"].value_counts().max() > 1
    assert cases.opening_problems == ()


def test_the_sample_is_the_same_every_time(root: Path, tmp_path: Path) -> None:
    assert chestxray14.write_sample is not None
    chestxray14.write_sample(tmp_path / "again")
    files = sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())
    assert len(files) == 72 + 3
    assert all((root / name).read_bytes() == (tmp_path / "again" / name).read_bytes() for name in files)


def test_the_official_test_list_is_the_test_split_and_patients_are_not_cut(root: Path) -> None:
    cases = chestxray14.open(root)
    by_split = {
        split: set(cases.frame["case_id"][cases.indices(split)]) for split in ("train", "val", "test")
    }
    assert by_split["test"] == set(lines_of(root, "test_list.txt"))
    assert by_split["train"] | by_split["val"] == set(lines_of(root, "train_val_list.txt"))
    assert cases.frame.groupby("patient_id")["split"].nunique().max() == 1
    held_out = len(by_split["val"]) / (len(by_split["train"]) + len(by_split["val"]))
    assert held_out == pytest.approx(11_212 / 86_524, abs=0.03)
    assert cases.split_source == "official"


def test_both_tasks_share_one_split_that_does_not_depend_on_the_order_of_rows(root: Path) -> None:
    first = splits(chestxray14.open(root))
    assert splits(chestxray14_15.open(root)) == first
    lines = (root / LABELS).read_text().splitlines(keepends=True)
    (root / LABELS).write_text("".join([lines[0], *reversed(lines[1:])]))
    assert splits(chestxray14.open(root)) == first


def test_study_c_has_the_absence_of_findings_as_an_output_of_its_own(root: Path) -> None:
    cases = chestxray14_15.open(root)
    assert cases.classes == OUTPUTS_OF_STUDY_C
    assert cases.classes.index("No Finding") == 3
    assert set(cases.scored) == set(FINDINGS)
    assert len(cases.scored) == 14
    assert dict(cases.class_weights) == {"No Finding": 0.001}
    findings = cases.frame[[f"label:{name}" for name in FINDINGS]].sum(axis=1)
    assert (cases.frame["label:No Finding"] == (findings == 0)).all()
    plain = chestxray14.open(root)
    assert plain.scored == ()
    assert dict(plain.class_weights) == {}


def test_the_official_counts_are_those_of_the_studies() -> None:
    train = [7205, 1501, 7649, 12036, 3574, 4060, 770, 2244, 2480, 1210, 1250, 1083, 1927, 126]
    val = [1075, 206, 1010, 1746, 460, 648, 106, 393, 372, 168, 173, 168, 315, 15]
    expected = chestxray14.expected
    assert expected is not None
    assert expected.classes is not None
    assert list(expected.classes["train+val"].values()) == [a + b for a, b in zip(train, val, strict=True)]
    assert list(expected.classes["train+val"]) == list(FINDINGS)
    assert expected.variants == ({"train+val": 75_312 + 11_212, "test": 25_596},)
    fifteen = chestxray14_15.expected
    assert fifteen is not None
    assert fifteen.classes is not None
    assert fifteen.classes["test"]["No Finding"] == 9_861
    assert fifteen.classes["train+val"]["No Finding"] == 43_886 + 6_614


def test_brackets_with_commas_a_trailing_comma_and_moved_columns_change_nothing(root: Path) -> None:
    before = chestxray14.open(root).frame
    rows = rows_of(root)
    (root / LABELS).unlink()
    header = (
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
        "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
    )
    cells = [[*list(row.values())[:7], 2500, 2048, 0.168, 0.168, ""] for row in rows]
    write_rows(root, "Data_Entry_2017.csv", header, cells)
    pd.testing.assert_frame_equal(chestxray14.open(root).frame, before)
    moved = [[row["Patient ID"], row["Finding Labels"], "x", row["Image Index"]] for row in rows]
    write_rows(root, "Data_Entry_2017.csv", "Patient ID,Finding Labels,Other,Image Index", moved)
    pd.testing.assert_frame_equal(chestxray14.open(root).frame, before)


def test_the_later_label_file_is_read_when_both_are_there(root: Path) -> None:
    shutil.copy(root / LABELS, root / "Data_Entry_2017.csv")
    edit(root / LABELS, "00000001_000.png,", "00000001_000.png,Hernia|")
    rows = {row["Image Index"]: row["Finding Labels"] for row in rows_of(root)}
    assert rows["00000001_000.png"].startswith("Hernia|")
    frame = chestxray14.open(root).frame.set_index("case_id")
    assert frame.loc["00000001_000.png", "label:Hernia"] == 1


def test_the_small_sample_passes_over_what_the_lists_have_more(root: Path) -> None:
    everywhere = splits(chestxray14.open(root))
    header = (
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
        "OriginalImageWidth,OriginalImageHeight,OriginalImagePixelSpacing_x,OriginalImagePixelSpacing_y"
    )
    rows = rows_of(root)
    (root / LABELS).unlink()
    (root / "images").mkdir()
    for path in sorted(root.glob("images_*/images/*.png")):
        path.rename(root / "images" / path.name)
    kept = [row for number, row in enumerate(rows) if number % 4]
    for row in rows[::4]:
        (root / "images" / row["Image Index"]).unlink()
    write_rows(root, "sample_labels.csv", header, [[*list(row.values())[:7], 1, 1, 0.1, 0.1] for row in kept])
    cases = chestxray14.open(root)
    assert cases.frame["case_id"].tolist() == [row["Image Index"] for row in kept]
    assert cases.frame["image"].tolist() == [f"images/{row['Image Index']}" for row in kept]
    test = {image for image, split in splits(cases).items() if split == "test"}
    assert test == {row["Image Index"] for row in kept if everywhere[row["Image Index"]] == "test"}
    assert cases.opening_problems == ()


def test_four_channels_become_three(root: Path) -> None:
    cases = chestxray14.open(root)
    seen = 0
    for locator in cases.frame["image"]:
        with Image.open(root / locator) as image:
            stored = np.asarray(image)
        seen += stored.ndim == 3
        expected = stored[..., :3] if stored.ndim == 3 else stored
        np.testing.assert_array_equal(cases.source.read_image(locator), expected)
    assert seen == 5


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Finding Labels", "Findings", r"Data_Entry_2017_v2020\.csv.*'Finding Labels'"),
        ("Image Index", "Index", r"Data_Entry_2017_v2020\.csv.*'Image Index'"),
        ("Patient ID", "Patient", r"Data_Entry_2017_v2020\.csv.*'Patient ID'"),
        ("\n00000001_000.png,", "\n00000001_000.png,Pneumonja|", r"line 2: 'Pneumonja\|"),
        ("\n00000001_000.png,", "\n00000001_000.png,No Finding|", r"line 2: 'No Finding\|"),
        ("\n00000001_000.png,", "\n../x.png,", r"'Image Index'.*line 2: '\.\./x\.png'"),
        ("\n00000001_000.png,", "\n00000001_009.png,", r"line 2: '00000001_009\.png'"),
        (",0,2,22,", ",0,3,22,", r"'Patient ID'.*first 8 digits.*line 4: '3'"),
        (",0,2,22,", ",0,2;22,", r"11 cells in every row.*line 4"),
    ],
)
def test_a_bad_label_file_is_refused_with_file_and_line(root: Path, old: str, new: str, message: str) -> None:
    edit(root / LABELS, old, new)
    with pytest.raises(DataError, match=message):
        chestxray14.open(root)


def test_an_empty_label_is_refused(root: Path) -> None:
    first = rows_of(root)[0]["Finding Labels"]
    edit(root / LABELS, f"00000001_000.png,{first},", "00000001_000.png,,")
    with pytest.raises(DataError, match=r"'Finding Labels'.*line 2: ''"):
        chestxray14.open(root)


def test_rows_of_one_image_may_repeat_but_not_disagree(root: Path) -> None:
    before = chestxray14.open(root).frame
    line = (root / LABELS).read_text().splitlines()[3]
    with (root / LABELS).open("a") as stream:
        stream.write(f"{line}\n")
    pd.testing.assert_frame_equal(chestxray14.open(root).frame, before)
    with (root / LABELS).open("a") as stream:
        stream.write(line.replace(line.split(",")[1], "Hernia") + "\n")
    image = line.split(",", maxsplit=1)[0]
    with pytest.raises(DataError, match=rf"{LABELS}.*'{image}' on lines 4, 74, 75"):
        chestxray14.open(root)


def test_a_labelled_image_that_is_missing_is_refused(root: Path) -> None:
    (gone,) = root.glob("images_*/images/00000004_001.png")
    gone.unlink()
    with pytest.raises(DataError, match=r"v2020\.csv.*line \d+: '00000004_001\.png'"):
        chestxray14.open(root)


def test_an_image_in_two_folders_is_refused(root: Path) -> None:
    (root / "images").mkdir()
    shutil.copy(root / "images_001" / "images" / "00000001_000.png", root / "images")
    with pytest.raises(DataError, match=r"one folder.*images_001/images/00000001_000\.png"):
        chestxray14.open(root)


@pytest.mark.parametrize("gone", [LABELS, "train_val_list.txt", "test_list.txt"])
def test_a_file_that_is_missing_is_named(root: Path, gone: str) -> None:
    (root / gone).unlink()
    with pytest.raises(DataError, match=gone):
        chestxray14.open(root)


def test_images_without_label_and_labels_in_no_list_are_reported(root: Path) -> None:
    shutil.copy(root / "images_001/images/00000001_000.png", root / "images_002/images/00009999_000.png")
    edit(root / "test_list.txt", "00000005_000.png\n", "")
    cases = chestxray14.open(root)
    found = {problem.where: problem for problem in cases.opening_problems}
    assert {problem.what for problem in cases.opening_problems} == {"unlisted-image"}
    assert "'00009999_000.png'" in found[LABELS].found
    assert "'00000005_000.png'" in found["split lists"].found
    assert "00000005_000.png" not in set(cases.frame["case_id"])
    assert len(cases) == 71


def test_lists_that_cannot_be_right_are_refused(root: Path) -> None:
    both = root / "test_list.txt"
    text = both.read_text()
    both.write_text(text + "00000001_000.png\n")
    with pytest.raises(DataError, match=r"each image once.*'00000001_000\.png' in train and test"):
        chestxray14.open(root)
    both.write_text(text + "00077777_000.png\n")
    with pytest.raises(DataError, match=r"only images that Data_Entry.*'00077777_000\.png'"):
        chestxray14.open(root)
    both.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"test_list\.txt.*UTF-8"):
        chestxray14.open(root)


def publish_lists(root: Path, monkeypatch: pytest.MonkeyPatch, wrong: str = "") -> dict[str, str]:
    """Write lists of another division in the studies' format, and make them the published ones."""
    by_hand = labels_by_hand(root, FINDINGS)
    if wrong:
        by_hand[wrong] = [1 - value for value in by_hand[wrong]]
    wanted = {image: ("train", "val", "test")[int(image[:8]) % 3] for image in by_hand}
    starts = {}
    (root / "splits").mkdir()
    for split in ("train", "val", "test"):
        path = root / "splits" / f"list of {split}.txt"
        path.write_text(
            "".join(
                f"{image} {' '.join(map(str, values))}\n"
                for image, values in by_hand.items()
                if wanted[image] == split
            )
        )
        starts[split] = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    monkeypatch.setattr(module, "PUBLISHED_LISTS", starts)
    return wanted


def test_the_lists_of_the_studies_are_taken_as_they_are(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = publish_lists(root, monkeypatch)
    (root / "test_list.txt").unlink()
    cases = chestxray14.open(root)
    assert splits(cases) == wanted
    assert cases.split_source == "published-list"


def test_lists_with_other_labels_than_the_label_file_are_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_lists(root, monkeypatch, wrong="00000002_000.png")
    with pytest.raises(DataError, match=r"labels of the label file.*'00000002_000\.png'"):
        chestxray14.open(root)


def test_a_list_that_is_not_a_published_one_is_refused(root: Path) -> None:
    (root / "splits").mkdir()
    (root / "splits" / "train.txt").write_text("00000001_000.png 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n")
    with pytest.raises(DataError, match=r"train\.txt.*60cc170f"):
        chestxray14.open(root)


def test_the_reader_of_label_files_needs_no_images(root: Path) -> None:
    for folder in root.glob("images_*"):
        shutil.rmtree(folder)
    table = read_chestxray14_labels(root, LABELS)
    rows = rows_of(root)
    assert table.index.tolist() == list(range(2, len(rows) + 2))
    assert table["image"].tolist() == [row["Image Index"] for row in rows]
    assert table[list(FINDINGS)].to_numpy().tolist() == list(labels_by_hand(root, FINDINGS).values())
    with pytest.raises(DataError, match=r"outside|leaves"):
        read_chestxray14_labels(root, "../elsewhere.csv")
