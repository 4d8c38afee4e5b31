"""LiTS 2017 as NIfTI volumes and as an export in PNG: slices, masks and splits by volume."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from medtransfer.core.errors import BadImageError, DataError
from medtransfer.data.audit import audit_cases
from medtransfer.data.case_table import CaseTable
from medtransfer.tasks.lits import lits


@pytest.fixture(autouse=True)
def private_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("MEDTRANSFER_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    lits.write_sample(tmp_path)  # type: ignore[misc]
    return tmp_path


def volumes(root: Path, what: str = "volume") -> dict[int, Path]:
    return {int(path.name.split("-")[1].split(".")[0]): path for path in root.rglob(f"{what}-*.nii*")}


def slices(path: Path) -> npt.NDArray[np.float64]:
    """(Z, H, W) as looked at: from inferior, anterior row first, the patient's right first."""
    voxels = np.asarray(nib.as_closest_canonical(nib.load(path)).dataobj, dtype=float)
    return voxels[::-1, ::-1].transpose(2, 1, 0)


def export(root: Path, to: Path) -> Path:
    """Write the PNG export of a folder of volumes: the liver mask covers the lesions too."""
    for number, path in volumes(root).items():
        labels = slices(volumes(root, "segmentation")[number])
        for index, values in enumerate(slices(path)):
            grey = np.clip((values + 100) / 2, 0, 255).astype(np.uint8)
            pictures = {
                f"volumes/volume-{number}_{index}.png": grey,
                f"segmentations/segmentation-{number}_livermask_{index}.png": 255 * (labels[index] > 0),
                f"segmentations/segmentation-{number}_lesionmask_{index}.png": 255 * (labels[index] == 2),
            }
            for name, pixels in pictures.items():
                (to / name).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels.astype(np.uint8)).save(to / name)
    return to


def mask_of(cases: CaseTable, case_id: str) -> npt.NDArray[np.uint8]:
    locators = cases.frame.set_index("case_id").loc[case_id, "mask"]
    return np.asarray(np.maximum.reduce([cases.source.read_mask(locator) for locator in locators]))


def test_cases_are_the_axial_slices_shown_from_minus_100_to_400_hu(root: Path) -> None:
    cases = lits.open(root)
    frame = cases.frame.set_index("case_id")
    assert len(frame) == sum(nib.load(path).shape[2] for path in volumes(root).values()) == 60
    for number, path in volumes(root).items():
        labels = slices(volumes(root, "segmentation")[number])
        for index, values in enumerate(slices(path)):
            name = f"volume-{number:03}-slice-{index:04}"
            shown = np.floor(np.clip((values + 100) / 500, 0, 1) * 255 + 0.5)
            assert np.abs(cases.source.read_image(frame.loc[name, "image"]) - shown).max() <= 1
            assert np.array_equal(mask_of(cases, name), labels[index])
            assert frame.loc[name, "volume_id"] == frame.loc[name, "patient_id"] == f"volume-{number:03}"


def test_the_sample_has_volumes_of_either_direction_packed_and_not(root: Path) -> None:
    paths = volumes(root).values()
    assert {nib.aff2axcodes(nib.load(path).affine) for path in paths} == {("R", "A", "S"), ("L", "P", "S")}
    assert {path.suffix for path in paths} == {".nii", ".gz"}
    assert {path.parent.name for path in paths} == {"Training Batch 1", "Training Batch 2"}


def test_volumes_are_never_cut_and_every_split_has_both_classes(root: Path) -> None:
    cases = lits.open(root)
    assert (cases.frame.groupby("volume_id")["split"].nunique() == 1).all()
    for _, part in cases.frame.groupby("split"):
        shown = [set(np.unique(mask_of(cases, name))) for name in part["case_id"]]
        assert min(sum(k in ids for ids in shown) for k in (1, 2)) >= 2
    assert cases.split_source == "ours"
    assert cases.classes == ("liver", "lesion")


def test_files_may_lie_in_one_folder(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    flat = tmp_path_factory.mktemp("flat")
    for path in root.rglob("*.nii*"):
        shutil.copy(path, flat)
    columns = ["case_id", "patient_id", "split"]
    assert lits.open(flat).frame[columns].equals(lits.open(root).frame[columns])


def test_the_png_export_gives_the_same_cases_masks_and_splits(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    volumes_, pictures = lits.open(root), lits.open(export(root, tmp_path_factory.mktemp("png")))
    columns = ["case_id", "patient_id", "volume_id", "split"]
    assert pictures.frame[columns].equals(volumes_.frame[columns])
    shown = set()
    for name, locator in pictures.frame[["case_id", "image"]].itertuples(index=False):
        mask = mask_of(pictures, name)
        shown |= set(np.unique(mask))
        assert np.array_equal(mask, mask_of(volumes_, name))
        with Image.open(pictures.source.root / locator) as stored:  # type: ignore[attr-defined]
            assert np.array_equal(pictures.source.read_image(locator), np.asarray(stored))
    assert shown == {0, 1, 2}


def test_the_split_of_a_volume_does_not_depend_on_its_number_of_slices(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = export(root, tmp_path_factory.mktemp("png"))
    for number in (1, 28, 130):
        for index in (0, 1, 4, 5):
            for path in folder.rglob(f"*-{number}_*{index}.png"):
                path.unlink()
    splits = lits.open(root).frame.groupby("volume_id")["split"].first()
    cases = lits.open(folder)
    assert cases.frame.groupby("volume_id")["split"].first().equals(splits)
    assert cases.frame["volume_id"].value_counts().min() == 2


def test_what_is_no_case_is_reported(root: Path) -> None:
    shutil.copy(root / "Training Batch 1" / "volume-0.nii", root / "test-volume-7.nii")
    (root / "Training Batch 1" / "._volume-0.nii").write_bytes(b"left by a file manager")
    problems = {problem.what: problem for problem in audit_cases(lits.open(root))}
    assert set(problems) == {"unexpected-count", "unlisted-image"}
    assert problems["unlisted-image"].found == "1 that no case is made from, first ['test-volume-7.nii']"
    assert problems["unexpected-count"].expected == "131 volumes with masks"
    assert problems["unexpected-count"].found == "10"


def test_image_and_mask_of_other_length_are_refused_naming_both(root: Path) -> None:
    path = root / "Training Batch 1" / "segmentation-2.nii"
    image = nib.load(path)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj).copy()[:, :, :5], image.affine), path)
    with pytest.raises(
        DataError,
        match=r"slices in Training Batch 1/segmentation-2\.nii as the 6 of Training Batch 1/volume-2\.nii, got 5",
    ):
        lits.open(root)


@pytest.mark.parametrize(
    ("gone", "named"),
    [
        ("segmentation-2.nii", r"a file segmentation-N\.nii.*got none for 'Training Batch 1/volume-2\.nii'"),
        ("volume-2.nii", r"a file volume-N\.nii.*got none for 'Training Batch 1/segmentation-2\.nii'"),
    ],
)
def test_volumes_without_partner_are_refused(root: Path, gone: str, named: str) -> None:
    (root / "Training Batch 1" / gone).unlink()
    with pytest.raises(DataError, match=named):
        lits.open(root)


@pytest.mark.parametrize("copy", ["volume-2.nii.gz", "../volume-002.nii"])
def test_two_files_of_one_volume_are_refused(root: Path, copy: str) -> None:
    first = root / "Training Batch 1" / "volume-2.nii"
    shutil.copy(first, first.parent / copy)
    with pytest.raises(DataError, match=r"one file of a name, got '[^']*volume-0*2\.nii.*' beside '"):
        lits.open(root)


def test_a_mask_value_that_is_not_declared_is_refused_when_read(root: Path) -> None:
    path = root / "Training Batch 1" / "segmentation-2.nii"
    image = nib.load(path)
    values = np.asarray(image.dataobj).copy()
    values[3, 3, 4] = 3
    nib.save(nib.Nifti1Image(values, image.affine), path)
    with pytest.raises(BadImageError, match=r"segmentation-2\.nii slice 4: expected mask values among"):
        mask_of(lits.open(root), "volume-002-slice-0004")


@pytest.mark.parametrize(
    ("gone", "named"),
    [
        (
            "segmentations/segmentation-1_livermask_2.png",
            r"segmentation-N_livermask_S\.png.*none for 'volumes/volume-1_2",
        ),
        ("segmentations/segmentation-1_lesionmask_2.png", r"segmentation-N_lesionmask_S\.png.*none for"),
        (
            "volumes/volume-1_2.png",
            r"a file volume-N_S\.png.*none for 'segmentations/segmentation-1_livermask_2",
        ),
    ],
)
def test_pictures_without_partner_are_refused(
    root: Path, tmp_path_factory: pytest.TempPathFactory, gone: str, named: str
) -> None:
    folder = export(root, tmp_path_factory.mktemp("png"))
    (folder / gone).unlink()
    with pytest.raises(DataError, match=named):
        lits.open(folder)


def test_pictures_of_other_names_are_reported(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = export(root, tmp_path_factory.mktemp("png"))
    others = ["segmentations/segmentation-1_2.png", "volumes/volume-1_livermask_2.png", "volumes/x.png"]
    for name in others:
        shutil.copy(folder / "volumes" / "volume-1_2.png", folder / name)
    problem = lits.open(folder).opening_problems[-1]
    assert (problem.what, problem.found) == (
        "unlisted-image",
        f"3 that no case is made from, first {others!r}",
    )


def test_either_form_but_not_both_and_not_none(root: Path, tmp_path: Path) -> None:
    export(root, root)
    with pytest.raises(DataError, match=r"expected either .* got both"):
        lits.open(root)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"expected either .* got neither"):
        lits.open(tmp_path / "empty")


def test_the_sample_is_the_same_each_time(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    lits.write_sample(other)  # type: ignore[misc]
    assert lits.open(root).content_hash() == lits.open(other).content_hash()


def test_the_score_is_per_volume_and_the_batch_dice_only_stands_beside() -> None:
    assert lits.primary_metric == "dice-volume"
    assert lits.metrics[-1] == "dice-batch128-compat"
