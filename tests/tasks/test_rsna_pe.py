"""RSNA-STR pulmonary embolism in its official layout: neighbours by position, labels by header."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from medtransfer.core.errors import DataError
from medtransfer.data.audit import audit_cases
from medtransfer.data.intensity import WINDOWS
from medtransfer.tasks.rsna_pe import rsna_pe

Rows = list[dict[str, str]]


@pytest.fixture(autouse=True)
def private_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("MEDTRANSFER_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rsna_pe.write_sample(tmp_path)  # type: ignore[misc]
    return tmp_path


def read(root: Path) -> Rows:
    with (root / "train.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def write(root: Path, rows: Rows) -> None:
    with (root / "train.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def file_of(row: dict[str, str]) -> str:
    return f"train/{row['StudyInstanceUID']}/{row['SeriesInstanceUID']}/{row['SOPInstanceUID']}.dcm"


def by_height(root: Path, study: str) -> list[str]:
    """Files of an exam from the lowest to the highest slice."""
    files = [path.relative_to(root).as_posix() for path in (root / "train" / study).rglob("*.dcm")]
    return sorted(files, key=lambda file: float(pydicom.dcmread(root / file).ImagePositionPatient[2]))


def test_labels_and_exams_are_those_of_the_table(root: Path) -> None:
    frame = rsna_pe.open(root).frame.set_index("case_id")
    rows = read(root)
    assert len(frame) == len(rows) == 72
    for row in rows:
        case = frame.loc[file_of(row).removeprefix("train/").removesuffix(".dcm")]
        assert case["label"] == int(row["pe_present_on_image"])
        assert case["patient_id"] == case["volume_id"] == row["StudyInstanceUID"]
    assert frame.index.is_monotonic_increasing


def test_channels_are_the_neighbours_by_position_and_edges_are_repeated(root: Path) -> None:
    frame = rsna_pe.open(root).frame
    images = frame["image"].tolist()
    orders = {study: by_height(root, study) for study in frame["volume_id"].unique()}
    assert any(order != sorted(order) for order in orders.values())
    for order in orders.values():
        assert f"channels:{order[0]}|{order[0]}|{order[1]}" in images
        assert f"channels:{order[1]}|{order[2]}|{order[3]}" in images
        assert f"channels:{order[2]}|{order[3]}|{order[3]}" in images
    assert len(set(images)) == len(images)


def test_each_case_is_the_middle_channel_shown_from_minus_250_to_450_hu(root: Path) -> None:
    cases = rsna_pe.open(root)
    row = cases.frame.iloc[5]
    own = f"train/{row['case_id']}.dcm"
    order = by_height(root, row["volume_id"])
    place = order.index(own)
    names = [order[max(place - 1, 0)], own, order[min(place + 1, len(order) - 1)]]
    image = cases.source.read_image(row["image"])
    for channel, name in enumerate(names):
        hounsfield = pydicom.dcmread(root / name).pixel_array.astype(float) - 1024
        shown = np.floor(np.clip((hounsfield + 250) / 700, 0, 1) * 255 + 0.5)
        assert np.abs(image[..., channel] - shown).max() <= 1
    assert (WINDOWS["pulmonary-embolism"].low, WINDOWS["pulmonary-embolism"].high) == (-250, 450)


def test_no_exam_is_cut_and_every_split_has_exams_of_both_kinds(root: Path) -> None:
    cases = rsna_pe.open(root)
    negative = {row["StudyInstanceUID"]: row["negative_exam_for_pe"] for row in read(root)}
    assert (cases.frame.groupby("volume_id")["split"].nunique() == 1).all()
    for _, part in cases.frame.groupby("split"):
        assert {negative[study] for study in part["volume_id"]} == {"0", "1"}
        assert part["label"].value_counts().min() >= 2
    assert cases.split_source == "ours"


def test_an_indeterminate_exam_is_not_negative_and_has_no_positive_slice(root: Path) -> None:
    frame = rsna_pe.open(root).frame
    (study,) = {row["StudyInstanceUID"] for row in read(root) if row["indeterminate"] == "1"}
    assert frame.loc[frame["volume_id"] == study, "label"].tolist() == [0, 0, 0, 0]


def test_neither_the_order_of_columns_nor_that_of_rows_matters(root: Path) -> None:
    before = rsna_pe.open(root).frame
    rows = [dict(reversed(row.items())) for row in reversed(read(root))]
    write(root, rows)
    assert rsna_pe.open(root).frame.equals(before)


def test_the_sample_is_the_same_each_time_and_sound(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    rsna_pe.write_sample(other)  # type: ignore[misc]
    cases, again = rsna_pe.open(root), rsna_pe.open(other)
    assert cases.content_hash() == again.content_hash()
    (problem,) = audit_cases(cases, expected=rsna_pe.expected)
    assert (problem.what, problem.expected, problem.found) == ("unexpected-count", "7279 exams", "18")


def test_slices_that_no_row_names_are_reported_and_are_nobodys_neighbour(root: Path) -> None:
    rows = read(root)
    order = by_height(root, rows[0]["StudyInstanceUID"])
    write(root, [row for row in rows if file_of(row) != order[1]])
    cases = rsna_pe.open(root)
    problem = next(found for found in cases.opening_problems if found.what == "unlisted-image")
    assert order[1] in problem.found
    assert f"channels:{order[0]}|{order[0]}|{order[2]}" in cases.frame["image"].tolist()


def test_slices_of_another_orientation_are_no_neighbours(root: Path) -> None:
    order = by_height(root, read(root)[0]["StudyInstanceUID"])
    dataset = pydicom.dcmread(root / order[1])
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    dataset.save_as(root / order[1])
    images = rsna_pe.open(root).frame["image"].tolist()
    assert f"channels:{order[1]}|{order[1]}|{order[1]}" in images
    assert f"channels:{order[0]}|{order[0]}|{order[2]}" in images


def test_a_repeated_row_that_agrees_counts_once(root: Path) -> None:
    rows = read(root)
    before = rsna_pe.open(root).frame
    write(root, [*rows, rows[3]])
    assert rsna_pe.open(root).frame.equals(before)


def _rename(rows: Rows) -> Rows:
    return [{("pe_present" if k == "pe_present_on_image" else k): v for k, v in row.items()} for row in rows]


def _set(line: int, **values: str) -> Callable[[Rows], Rows]:
    def edit(rows: Rows) -> Rows:
        rows[line - 2] |= values
        return rows

    return edit


def _contradict(rows: Rows) -> Rows:
    sick = next(row for row in rows if row["pe_present_on_image"] == "1")
    return [
        row | {"negative_exam_for_pe": "1"} if row["StudyInstanceUID"] == sick["StudyInstanceUID"] else row
        for row in rows
    ]


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (_rename, r"expected the columns \['pe_present_on_image'\].*Did you mean"),
        (_set(4, pe_present_on_image="2"), r"'pe_present_on_image': expected 0 or 1, got line 4: '2'"),
        (_set(4, pe_present_on_image=""), r"expected 0 or 1, got line 4: ''"),
        (_set(4, negative_exam_for_pe="yes"), r"'negative_exam_for_pe': expected 0 or 1, got line 4: 'yes'"),
        (
            _set(7, SOPInstanceUID="abc"),
            r"train\.csv: expected a file for every row, got line 7: 'train/.*abc",
        ),
        (_set(7, SOPInstanceUID="../x"), r"'SOPInstanceUID': expected letters and digits.*line 7: '\.\./x'"),
        (_set(7, StudyInstanceUID=".."), r"'StudyInstanceUID': expected letters and digits.*line 7: '\.\.'"),
        (lambda rows: [*rows, rows[0] | {"pe_present_on_image": "x"}], r"line 74: 'x'"),
        (
            lambda rows: [*rows, rows[0] | {"SeriesInstanceUID": "other"}],
            r"rows of one SOPInstanceUID to agree on.*on lines 2, 74",
        ),
        (
            lambda rows: [
                rows[0] | {"negative_exam_for_pe": "01"[rows[0]["negative_exam_for_pe"] == "0"]},
                *rows[1:],
            ],
            r"rows of one StudyInstanceUID to agree on negative_exam_for_pe, got '\w+' on lines 2, 3\.",
        ),
        (_contradict, r"expected no slice with an embolism where negative_exam_for_pe is 1, got line"),
    ],
)
def test_bad_tables_are_refused(root: Path, edit: Callable[[Rows], Rows], named: str) -> None:
    write(root, edit(read(root)))
    with pytest.raises(DataError, match=named):
        rsna_pe.open(root)


def test_a_table_without_rows_is_refused(root: Path) -> None:
    header = (root / "train.csv").read_text().split("\n", 1)[0]
    (root / "train.csv").write_text(header + "\n")
    with pytest.raises(DataError, match="expected a row per slice, got none"):
        rsna_pe.open(root)


def test_a_missing_slice_is_named_with_its_line(root: Path) -> None:
    (root / file_of(read(root)[10])).unlink()
    with pytest.raises(DataError, match=rf"got line 12: '{file_of(read(root)[10])}'"):
        rsna_pe.open(root)


def test_slices_without_a_position_are_refused_though_they_have_instance_numbers(root: Path) -> None:
    for file in by_height(root, read(root)[0]["StudyInstanceUID"]):
        dataset = pydicom.dcmread(root / file)
        del dataset.ImagePositionPatient
        dataset.save_as(root / file)
    with pytest.raises(DataError, match="expected ImagePositionPatient and ImageOrientationPatient"):
        rsna_pe.open(root)


def test_a_missing_folder_is_named(root: Path) -> None:
    (root / "train").rename(root / "training")
    with pytest.raises(DataError, match="expected the folder 'train'"):
        rsna_pe.open(root)
