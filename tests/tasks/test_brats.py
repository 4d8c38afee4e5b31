"""BraTS 2020 in its official layout: three sequences as channels, stored labels 1, 2 and 4, regions."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest

from medtransfer.core.errors import BadImageError, DataError
from medtransfer.data.audit import audit_cases
from medtransfer.data.case_table import CaseTable
from medtransfer.tasks.brats import brats

CASE = "BraTS20_Training_017"


@pytest.fixture(autouse=True)
def private_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("MEDTRANSFER_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    brats.write_sample(tmp_path)  # type: ignore[misc]
    return tmp_path


def cases_in(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def voxels(root: Path, case: str, what: str) -> npt.NDArray[np.float64]:
    """(Z, H, W) as looked at: from inferior, anterior row first, the patient's right first."""
    image = nib.load(root / case / f"{case}_{what}.nii.gz")
    values = np.asarray(nib.as_closest_canonical(image).dataobj, dtype=float)
    return values[::-1, ::-1].transpose(2, 1, 0)


def rewrite(
    root: Path, what: str, values: npt.NDArray[np.generic] | None = None, depth: int | None = None
) -> None:
    """Replace the voxels of a file of one case, or keep only its lowest slices."""
    path = root / CASE / f"{CASE}_{what}.nii.gz"
    image = nib.load(path)
    stored = np.asarray(image.dataobj).copy() if values is None else values
    nib.save(nib.Nifti1Image(stored[:, :, :depth], image.affine), path)


def mask_of(cases: CaseTable, case_id: str) -> npt.NDArray[np.uint8]:
    (locator,) = cases.frame.set_index("case_id").loc[case_id, "mask"]
    return cases.source.read_mask(locator)


def test_every_axial_slice_is_a_case_with_t1_t1ce_and_flair_as_channels(root: Path) -> None:
    cases = brats.open(root)
    frame = cases.frame.set_index("case_id")
    assert len(frame) == 12 * 6
    for case in cases_in(root)[:4]:
        for channel, what in enumerate(("t1", "t1ce", "flair")):
            values = voxels(root, case, what)
            low, high = np.percentile(values, (0.5, 99.5))
            shown = np.floor(np.clip((values - low) / (high - low), 0, 1) * 255 + 0.5)
            for index in range(6):
                image = cases.source.read_image(frame.loc[f"{case}-slice-{index:03}", "image"])
                assert np.abs(image[..., channel] - shown[index]).max() <= 1


def test_stored_labels_1_2_4_become_the_classes_in_this_order(root: Path) -> None:
    cases = brats.open(root)
    assert cases.classes == ("necrosis", "edema", "enhancing")
    shown = set()
    for case in cases_in(root):
        labels = voxels(root, case, "seg")
        shown |= set(np.unique(labels))
        for index in range(6):
            expected = np.where(labels[index] == 4, 3, labels[index])
            assert np.array_equal(mask_of(cases, f"{case}-slice-{index:03}"), expected)
    assert shown == {0, 1, 2, 4}


def test_regions_are_unions_of_stored_labels(root: Path) -> None:
    stored = {1: 1, 2: 2, 3: 4}  # class id to stored label
    regions = brats.open(root).scored_structures()
    assert {name: {stored[k] for k in ids} for name, ids in regions.items()} == {
        "ET": {4},
        "WT": {1, 2, 4},
        "TC": {1, 4},
    }


def test_cases_are_never_cut_and_every_split_has_all_classes(root: Path) -> None:
    cases = brats.open(root)
    frame = cases.frame
    assert frame["patient_id"].tolist() == [name.rsplit("-slice", 1)[0] for name in frame["case_id"]]
    assert frame["volume_id"].equals(frame["patient_id"].rename("volume_id"))
    assert (frame.groupby("volume_id")["split"].nunique() == 1).all()
    for _, part in frame.groupby("split"):
        shown = [set(np.unique(mask_of(cases, name))) for name in part["case_id"]]
        assert min(sum(k in ids for ids in shown) for k in (1, 2, 3)) >= 2
    assert cases.split_source == "ours"


def test_a_stored_label_3_is_refused_when_read(root: Path) -> None:
    values = np.asarray(nib.load(root / CASE / f"{CASE}_seg.nii.gz").dataobj).copy()
    values[20, 20, 2] = 3
    rewrite(root, "seg", values)
    with pytest.raises(BadImageError, match=rf"{CASE}_seg\.nii\.gz slice 2: .*got \[3\]"):
        mask_of(brats.open(root), f"{CASE}-slice-002")


@pytest.mark.parametrize("what", ["t1", "t1ce", "flair", "seg"])
def test_files_of_other_length_are_refused_naming_both(root: Path, what: str) -> None:
    rewrite(root, what, depth=4)
    other = "t1ce" if what == "t1" else "t1"
    with pytest.raises(DataError, match="axial slices in") as caught:
        brats.open(root)
    assert f"{CASE}_{what}.nii.gz" in str(caught.value)
    assert f"{CASE}_{other}.nii.gz" in str(caught.value)


@pytest.mark.parametrize("what", ["t1", "t1ce", "flair", "seg"])
def test_a_missing_file_is_named(root: Path, what: str) -> None:
    (root / CASE / f"{CASE}_{what}.nii.gz").unlink()
    with pytest.raises(DataError, match=rf"got none for {CASE}_{what}\. Correct"):
        brats.open(root)


def test_t2_is_not_needed_and_not_reported(root: Path) -> None:
    before = brats.open(root)
    (root / CASE / f"{CASE}_t2.nii.gz").unlink()
    after = brats.open(root)
    assert after.frame.equals(before.frame)
    assert [problem.what for problem in after.opening_problems] == ["unexpected-count"]


def test_a_mask_of_another_name_is_pointed_at(root: Path) -> None:
    case = "BraTS20_Training_355"
    (root / case / f"{case}_seg.nii.gz").rename(root / case / "W39_1998.09.19_Segm.nii")
    with pytest.raises(DataError, match=rf"none for {case}_seg, but \['W39_1998\.09\.19_Segm\.nii'\]"):
        brats.open(root)


def test_folders_may_lie_deeper_and_files_need_not_be_packed(root: Path) -> None:
    before = brats.open(root)
    deeper = root / "MICCAI_BraTS2020_TrainingData"
    deeper.mkdir()
    for case in cases_in(root):
        if case != deeper.name:
            (root / case).rename(deeper / case)
    for path in (deeper / CASE).iterdir():
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    after = brats.open(root)
    columns = ["case_id", "patient_id", "split"]
    assert after.frame[columns].equals(before.frame[columns])
    name = f"{CASE}-slice-003"
    assert mask_of(after, name).any()
    assert np.array_equal(mask_of(after, name), mask_of(before := brats.open(root), name))
    assert before.source.read_image(before.frame.set_index("case_id").loc[name, "image"]).any()


def test_cases_without_masks_are_left_out_and_reported(root: Path) -> None:
    case = "BraTS20_Validation_001"
    (root / case).mkdir()
    shutil.copy(root / CASE / f"{CASE}_t1.nii.gz", root / case / f"{case}_t1.nii.gz")
    cases = brats.open(root)
    problem = next(found for found in cases.opening_problems if found.what == "unlisted-image")
    assert f"{case}/{case}_t1.nii.gz" in problem.found
    assert not cases.frame["case_id"].str.contains("Validation").any()


def test_a_file_packed_and_not_is_refused(root: Path) -> None:
    shutil.copy(root / CASE / f"{CASE}_t1.nii.gz", root / CASE / f"{CASE}_t1.nii")
    with pytest.raises(DataError, match=rf"each file once, got '{CASE}/{CASE}_t1\.nii\.gz' beside"):
        brats.open(root)


def test_a_folder_without_cases_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected folders such as BraTS20_Training_001"):
        brats.open(tmp_path)


def test_the_audit_finds_the_total_and_bears_the_black_slices(root: Path) -> None:
    (problem,) = audit_cases(brats.open(root), expected=brats.expected)
    assert (problem.what, problem.expected, problem.found) == ("unexpected-count", "369 training cases", "12")
    assert sum(not voxels(root, case, "t1")[0].any() for case in cases_in(root)) == 12


def test_the_sample_is_the_same_each_time(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    brats.write_sample(other)  # type: ignore[misc]
    assert brats.open(root).content_hash() == brats.open(other).content_hash()


def test_the_page_says_how_the_columns_of_study_c_are_named() -> None:
    assert brats.page is not None
    text = " ".join(brats.page.traps)
    assert "class_1 ET, class_2 WT and class_3 TC" in text
    assert "names of class_2 and class_3 the wrong way round" in text
