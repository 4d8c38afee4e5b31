"""Real volumes, read again with plain pydicom and nibabel: order, values, windows, masks, Dice per volume."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pydicom
import pytest
from pydicom.pixels import apply_modality_lut

import medtransfer as mt
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import CaseTable
from medtransfer.data.dicom_pixels import read_dicom_frame
from medtransfer.data.dicom_series import dicom_files, find_series
from medtransfer.data.file_source import FileSource
from medtransfer.data.intensity import WINDOWS
from medtransfer.data.locators import slice_locator
from medtransfer.tasks.own_data import open_own_data

pytestmark = pytest.mark.real

HIPPOCAMPUS = {
    "root": "hippocampus_mr",
    "images": "TrainingSet/images",
    "masks": "TrainingSet/labels",
    "mask_values": {1: "anterior", 2: "posterior"},
    "manifest": "splits.csv",
    "columns": {"image": "volume", "split": "split"},
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDTRANSFER_CACHE", str(tmp_path / "cache"))


def test_both_mr_series_are_in_anatomical_order_with_pydicoms_values(shared_data: Path) -> None:
    root = shared_data / "dicom_mr"
    series = find_series(root, dicom_files(root))
    assert sorted(len(one.slices) for one in series) == [22, 40]
    assert all(one.ordered_by == "position" for one in series)
    names = [part.locator for one in series for part in one.slices]
    assert names != sorted(names), "file order is not slice order"
    for one in series:
        datasets = [pydicom.dcmread(root / part.locator) for part in one.slices]
        row, column = np.array(datasets[0].ImageOrientationPatient, dtype=float).reshape(2, 3)
        places = [
            np.dot(np.cross(row, column), np.array(d.ImagePositionPatient, dtype=float)) for d in datasets
        ]
        steps = np.diff(places)
        assert (steps > 0).all()
        np.testing.assert_allclose(steps, steps[0], atol=0.05)
        assert len({d.SeriesInstanceUID for d in datasets}) == 1
        for part, dataset in zip(one.slices, datasets, strict=True):
            expected = apply_modality_lut(dataset.pixel_array, dataset)
            frame = read_dicom_frame(root / part.locator, part.locator)
            np.testing.assert_array_equal(frame.values, expected)


def test_the_ct_volume_keeps_its_hounsfield_units_under_every_window(shared_data: Path) -> None:
    path = shared_data / "nifti_ct" / "example_ct_sm.nii.gz"
    image = nib.as_closest_canonical(nib.load(path))
    voxels = np.asarray(image.dataobj)
    assert voxels.dtype == np.int16
    assert voxels.min() < -900
    for window in WINDOWS.values():
        source = FileSource(path.parent, intensity=window)
        for index in (0, 14, 29):
            values = voxels[::-1, ::-1, index].T.astype(float)
            expected = np.clip((values - window.low) / (window.high - window.low), 0, 1) * 255
            shown = source.read_image(slice_locator(path.name, index))
            np.testing.assert_allclose(shown, expected, atol=0.51)


def opened(shared_data: Path) -> CaseTable:
    task, cases = open_own_data("hippocampus", HIPPOCAMPUS, shared_data / "hippocampus_mr")
    assert task.metrics[0] == "dice-volume"
    return cases


def test_hippocampus_slices_are_nibabels_and_their_masks_lie_on_them(shared_data: Path) -> None:
    root, cases = shared_data / "hippocampus_mr", opened(shared_data)
    listed = pd.read_csv(root / "splits.csv").set_index("volume")["split"]
    assert cases.kind is TaskKind.SEGMENTATION
    assert cases.frame.groupby("split")["volume_id"].nunique().to_dict() == {
        "test": 12,
        "train": 28,
        "val": 8,
    }
    slices = 0
    for volume, rows in cases.frame.groupby("volume_id"):
        name = Path(str(volume)).name
        assert set(rows["split"]) == {listed[name]}
        image = np.asarray(nib.as_closest_canonical(nib.load(root / str(volume))).dataobj, dtype=float)
        labels = nib.as_closest_canonical(nib.load(root / "TrainingSet" / "labels" / name)).get_fdata()
        low, high = np.percentile(image, (0.5, 99.5))
        assert len(rows) == image.shape[2]
        slices += len(rows)
        for index in (0, len(rows) // 2):
            row = rows.iloc[index]
            assert row["image"] == slice_locator(str(volume), index)
            (mask,) = row["mask"]
            expected = np.clip((image[::-1, ::-1, index].T - low) / (high - low), 0, 1) * 255
            np.testing.assert_allclose(cases.source.read_image(row["image"]), expected, atol=0.51)
            np.testing.assert_array_equal(cases.source.read_mask(mask), labels[::-1, ::-1, index].T)
    assert slices == len(cases) == 1728


def test_dice_per_volume_of_a_trained_network_is_that_of_its_pixels(
    shared_data: Path, tmp_path: Path
) -> None:
    done = mt.run(
        mt.Study(
            "hippocampus",
            tasks=[{"hippocampus": HIPPOCAMPUS}],
            models=["test_resnet.random"],
            protocols=[{"finetune": {"epochs": 1, "image_size": 32}}],
            seeds=1,
        ),
        store=tmp_path / "store",
        data=shared_data,
        cache=tmp_path / "cache",
    )
    (row,) = done.table().to_dict("records")
    (file,) = (tmp_path / "store").rglob("*.parquet")
    frame = pd.read_parquet(file)
    test = frame[(frame["split"] == "test") & (frame["checkpoint"] == "best")]
    pixels = test.groupby(["class", "volume_id"])[["true_positive", "false_positive", "false_negative"]].sum()
    dice = (
        2
        * pixels["true_positive"]
        / (2 * pixels["true_positive"] + pixels["false_positive"] + pixels["false_negative"])
    )
    assert dice.groupby("class").size().to_dict() == {"anterior": 12, "posterior": 12}
    assert row["test.best.dice-volume"] == pytest.approx(dice.groupby("class").mean().mean())
    assert row["test.best.dice-volume"] != pytest.approx(row["test.best.dice"])
