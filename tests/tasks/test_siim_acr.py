"""SIIM-ACR pneumothorax in its official layout: masks as relative run lengths beside a DICOM tree."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import pytest

from medtransfer.core.errors import BadImageError, DataError
from medtransfer.data.audit import audit_cases
from medtransfer.data.case_table import CaseTable
from medtransfer.tasks.sample_files import write_dicom
from medtransfer.tasks.siim_acr import siim_pneumothorax

Rows = list[list[str]]


@pytest.fixture(autouse=True)
def private_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("MEDTRANSFER_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    siim_pneumothorax.write_sample(tmp_path)  # type: ignore[misc]
    return tmp_path


def read(root: Path) -> Rows:
    with (root / "train-rle.csv").open(newline="") as stream:
        return list(csv.reader(stream))


def write(root: Path, rows: Rows) -> None:
    with (root / "train-rle.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)


def files(root: Path) -> dict[str, Path]:
    return {path.stem: path for path in (root / "dicom-images-train").rglob("*.dcm")}


def decoded(text: str, height: int, width: int) -> npt.NDArray[np.uint8]:
    """Walk down the columns: a gap, then a run, then a gap, …"""
    mask = np.zeros((height, width), np.uint8)
    place = 0
    numbers = [int(word) for word in text.split()] if text.strip() != "-1" else []
    for gap, length in zip(numbers[::2], numbers[1::2], strict=True):
        place += gap
        for pixel in range(place, place + length):
            mask[pixel % height, pixel // height] = 1
        place += length
    return mask


def mask_of(cases: CaseTable, image: str) -> npt.NDArray[np.uint8]:
    (locator,) = cases.frame.set_index("case_id").loc[image, "mask"]
    return cases.source.read_mask(locator)


def a_masked_image(root: Path, rows: int = 1) -> str:
    """An image with so many rows that hold a mask."""
    masked = [row[0] for row in read(root)[1:] if row[1].strip() != "-1"]
    return next(image for image in masked if masked.count(image) == rows)


def test_masks_are_the_union_of_all_rows_of_an_image(root: Path) -> None:
    cases = siim_pneumothorax.open(root)
    rows = read(root)[1:]
    several = [row[0] for row in rows]
    assert max(map(several.count, several)) == 2
    for image in set(several):
        parts = [decoded(row[1], 64, 64) for row in rows if row[0] == image]
        assert np.array_equal(mask_of(cases, image), np.maximum.reduce(parts))
    first, second = (decoded(row[1], 64, 64) for row in rows if row[0] == a_masked_image(root, rows=2))
    assert (first & second).any()
    assert (first != second).any()


def test_sizes_come_from_the_header_and_runs_go_down_the_columns(root: Path) -> None:
    image = a_masked_image(root)
    dataset = pydicom.dcmread(files(root)[image])
    tags = {name: dataset[name].value for name in ("SOPInstanceUID", "PatientID", "StudyInstanceUID")}
    write_dicom(files(root)[image], np.arange(40 * 24, dtype=np.uint16).reshape(40, 24), tags)
    text = "42 3 37 5"
    write(root, [row if row[0] != image else [image, text] for row in read(root)])
    mask = mask_of(siim_pneumothorax.open(root), image)
    expected = np.zeros((40, 24), np.uint8)
    expected[2:5, 1] = 1
    expected[2:7, 2] = 1
    assert np.array_equal(mask, expected)


def test_the_header_has_a_leading_blank_and_need_not(root: Path) -> None:
    rows = read(root)
    assert rows[0] == ["ImageId", " EncodedPixels"]
    before = siim_pneumothorax.open(root)
    image = a_masked_image(root)
    mask = mask_of(before, image)
    write(root, [[cell.strip() for cell in row] for row in rows])
    after = siim_pneumothorax.open(root)
    assert after.frame.equals(before.frame)
    assert np.array_equal(mask_of(after, image), mask)


def test_patients_come_from_the_headers_and_are_never_cut(root: Path) -> None:
    cases = siim_pneumothorax.open(root)
    patients = {image: pydicom.dcmread(path).PatientID for image, path in files(root).items()}
    frame = cases.frame
    assert frame["patient_id"].tolist() == [patients[image] for image in frame["case_id"]]
    assert frame["patient_id"].value_counts().max() == 2
    assert (frame.groupby("patient_id")["split"].nunique() == 1).all()
    assert cases.split_source == "ours"


def test_empty_and_other_images_are_in_every_split_alike(root: Path) -> None:
    frame = siim_pneumothorax.open(root).frame
    empty = {row[0] for row in read(root)[1:] if row[1].strip() == "-1"}
    shares = frame["case_id"].isin(empty).groupby(frame["split"]).mean()
    assert set(shares.index) == {"train", "val", "test"}
    assert shares.between(0.6, 0.72).all()
    assert frame["mask"].map(lambda mask: mask[0].startswith("empty:64x64:")).sum() == len(empty)


def test_air_is_dark_in_every_image(root: Path) -> None:
    cases = siim_pneumothorax.open(root)
    inverted = 0
    for image, path in files(root).items():
        dataset = pydicom.dcmread(path)
        stored = dataset.pixel_array
        if image not in set(cases.frame["case_id"]):
            continue
        shown = cases.source.read_image(path.relative_to(root).as_posix()).astype(int)
        if dataset.PhotometricInterpretation == "MONOCHROME1":
            inverted += 1
            stored = 255 - stored
        assert np.corrcoef(shown.ravel(), stored.ravel())[0, 1] > 0.99
    assert inverted == 1


def test_images_without_a_row_are_left_out_and_reported(root: Path) -> None:
    cases = siim_pneumothorax.open(root)
    (unlisted,) = set(files(root)) - {row[0] for row in read(root)[1:]}
    (problem,) = audit_cases(cases, expected=siim_pneumothorax.expected)
    assert problem.what == "unlisted-image"
    assert unlisted in problem.found
    assert problem.found.startswith("1 that")
    assert len(cases) == 59


def test_two_rows_without_a_mask_agree(root: Path) -> None:
    rows = read(root)
    empty = next(row for row in rows[1:] if row[1].strip() == "-1")
    write(root, [*rows, empty])
    assert not mask_of(siim_pneumothorax.open(root), empty[0]).any()


def test_an_image_both_empty_and_not_is_refused_with_its_lines(root: Path) -> None:
    rows = read(root)
    image = a_masked_image(root)
    line = [row[0] for row in rows].index(image) + 1
    write(root, [*rows, [image, "-1"]])
    with pytest.raises(DataError, match=rf"'{image}' both on lines {line}, {len(rows) + 1}\."):
        siim_pneumothorax.open(root)


def test_a_row_without_its_image_is_refused_with_its_line(root: Path) -> None:
    image = read(root)[3][0]
    files(root)[image].unlink()
    with pytest.raises(DataError, match=rf"for every row, got line 4: '{image}'"):
        siim_pneumothorax.open(root)


@pytest.mark.parametrize("text", ["", "1 2 3", "a b", "5 -1", "-1 3"])
def test_what_is_no_run_length_is_refused_with_its_line(root: Path, text: str) -> None:
    rows = read(root)
    rows[4][1] = text
    write(root, rows)
    with pytest.raises(DataError, match=r"'EncodedPixels': expected -1 or pairs.*got line 5"):
        siim_pneumothorax.open(root)


@pytest.mark.parametrize("name", ["../x", "", "/etc/passwd"])
def test_names_that_are_no_image_are_refused(root: Path, name: str) -> None:
    write(root, [*read(root), [name, "-1"]])
    with pytest.raises(DataError, match=rf"got line {len(read(root))}: '{name}'"):
        siim_pneumothorax.open(root)


def test_runs_that_leave_the_image_cannot_be_read(root: Path) -> None:
    image = a_masked_image(root)
    write(root, [row if row[0] != image else [image, "4000 90 10 10"] for row in read(root)])
    cases = siim_pneumothorax.open(root)
    with pytest.raises(BadImageError, match="Is this the mask of another image"):
        mask_of(cases, image)


def test_a_renamed_column_is_named(root: Path) -> None:
    rows = read(root)
    write(root, [["ImageId", "EncodedPixel"], *rows[1:]])
    with pytest.raises(DataError, match=r"expected the columns \['EncodedPixels'\].*Did you mean"):
        siim_pneumothorax.open(root)


def test_a_table_without_rows_is_refused(root: Path) -> None:
    write(root, read(root)[:1])
    with pytest.raises(DataError, match="expected a row per image, got none"):
        siim_pneumothorax.open(root)


def test_two_files_of_one_name_are_refused(root: Path) -> None:
    path = files(root)[read(root)[1][0]]
    (root / "dicom-images-train" / "copy").mkdir()
    (root / "dicom-images-train" / "copy" / path.name).write_bytes(path.read_bytes())
    with pytest.raises(DataError, match=r"one file per image, got 'dicom-images-train/.*' beside"):
        siim_pneumothorax.open(root)


@pytest.mark.parametrize(
    ("tag", "value", "named"),
    [
        ("SOPInstanceUID", "1.2.3", r"files named after their SOPInstanceUID, got .* of '1\.2\.3'"),
        ("PatientID", "", "a PatientID in every file"),
    ],
)
def test_headers_that_do_not_say_who_is_who_are_refused(root: Path, tag: str, value: str, named: str) -> None:
    path = files(root)[read(root)[1][0]]
    dataset = pydicom.dcmread(path)
    setattr(dataset, tag, value)
    dataset.save_as(path)
    with pytest.raises(DataError, match=named):
        siim_pneumothorax.open(root)


def test_the_sample_is_the_same_each_time(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    siim_pneumothorax.write_sample(other)  # type: ignore[misc]
    one, two = siim_pneumothorax.open(root), siim_pneumothorax.open(other)
    assert one.frame.equals(two.frame)
    assert one.content_hash() == two.content_hash()
