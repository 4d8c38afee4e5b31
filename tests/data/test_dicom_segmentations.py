"""DICOM segmentation objects as masks of a series: the right frame on the right slice, whatever the order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels import pack_bits
from pydicom.sequence import Sequence

from medtransfer.core.errors import BadImageError, DataError
from medtransfer.data.dicom_segmentations import SEGMENTATION_STORAGE, SegmentFrame, read_segment_frames
from medtransfer.tasks.own_data import open_own_data
from medtransfer.tasks.sample_files import sample_uid, write_dicom

SIDE = 8
DECLARATION = {
    "root": ".",
    "kind": "segmentation",
    "manifest": "list.csv",
    "columns": {"image": "series", "mask": "mask", "patient": "patient"},
    "mask_values": {1: "liver", 2: "lesion"},
}


def drawn(series: int, place: int, segment: int) -> np.ndarray:
    return np.random.default_rng([series, place, segment]).integers(0, 2, (SIDE, SIDE)).astype(np.uint8)


def item(**elements: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def write_segmentation(path: Path, parts: list[tuple[int, int, str, np.ndarray]]) -> None:
    """Write frames of (segment, place, slice, mask), packed to single bits as scanners' software does."""
    groups = [
        item(
            SegmentIdentificationSequence=Sequence([item(ReferencedSegmentNumber=segment)]),
            DerivationImageSequence=Sequence(
                [item(SourceImageSequence=Sequence([item(ReferencedSOPInstanceUID=uid)]))]
            ),
        )
        for segment, _, uid, _ in parts
    ]
    stored = np.stack([mask for *_, mask in parts])
    write_dicom(
        path,
        stored,
        {"SOPClassUID": SEGMENTATION_STORAGE, "PerFrameFunctionalGroupsSequence": Sequence(groups)},
    )

    dataset = pydicom.dcmread(path)
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = 0
    dataset.PixelData = pack_bits(stored)
    dataset.save_as(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    lines = ["series,mask,patient"]
    for series in range(5):
        parts = []
        for place in (2, 0, 1, 3):
            uid = sample_uid("slice", series, place)
            tags = {
                "SOPInstanceUID": uid,
                "SeriesInstanceUID": sample_uid("series", series),
                "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
                "ImagePositionPatient": [0, 0, place],
            }
            image = np.random.default_rng([9, series, place]).integers(0, 999, (SIDE, SIDE)).astype(np.uint16)
            write_dicom(tmp_path / f"s{series}" / f"{(place * 7) % 5}.dcm", image, tags)
            if place:  # the lowest slice has no mask at all
                parts += [(segment, place, uid, drawn(series, place, segment)) for segment in (2, 1)]
        write_segmentation(tmp_path / f"m{series}.dcm", parts[::-1])
        lines.append(f"s{series},m{series}.dcm,P{series}")
    (tmp_path / "list.csv").write_text("\n".join(lines))
    return tmp_path


def test_frames_know_their_segment_and_slice(root: Path) -> None:
    frames = read_segment_frames(root, "m1.dcm")
    assert len(frames) == 6
    assert frames[0] == SegmentFrame(0, 1, sample_uid("slice", 1, 3))


def test_masks_lie_on_their_slices_and_lesions_win(root: Path) -> None:
    task, cases = open_own_data("mine", DECLARATION, root)
    assert (len(cases), cases.classes, task.metrics[0]) == (20, ("liver", "lesion"), "dice-volume")
    for row in cases.frame.to_dict("records"):
        series = int(str(row["case_id"])[1])
        place = {(p * 7) % 5: p for p in range(4)}[int(Path(row["image"]).stem)]
        found = np.maximum.reduce([cases.source.read_mask(part) for part in row["mask"]])
        expected = (
            np.maximum(drawn(series, place, 1), 2 * drawn(series, place, 2))
            if place
            else np.zeros((SIDE, SIDE))
        )
        np.testing.assert_array_equal(found, expected)


def test_segments_and_slices_nobody_declared_are_refused(root: Path) -> None:
    with pytest.raises(DataError, match=r"m0\.dcm: expected segments among \[1\], got 2"):
        open_own_data("mine", DECLARATION | {"mask_values": {1: "liver"}}, root)
    (root / "list.csv").write_text("series,mask,patient\ns0,m1.dcm,P0\ns1,m0.dcm,P1\ns2,m2.dcm,P2\n")
    with pytest.raises(DataError, match=r"m1\.dcm: expected masks of slices of s0, got 3 of other images"):
        open_own_data("mine", DECLARATION, root)


def test_a_damaged_slice_is_named_where_its_mask_finds_no_image(root: Path) -> None:
    (root / "s2" / "2.dcm").write_bytes(b"")
    with pytest.raises(
        DataError,
        match=r"got 1 of other images\. The series has files .* like DICOM: s2/2\.dcm: replace them\.",
    ):
        open_own_data("mine", DECLARATION, root)


def test_other_files_are_no_segmentation_of_a_series(root: Path) -> None:
    with pytest.raises(BadImageError, match="expected a DICOM segmentation object"):
        read_segment_frames(root, "s0/0.dcm")
    write_dicom(root / "bare.dcm", drawn(0, 0, 0), {"SOPClassUID": SEGMENTATION_STORAGE})
    with pytest.raises(BadImageError, match="frames that name their segment and their slice"):
        read_segment_frames(root, "bare.dcm")
