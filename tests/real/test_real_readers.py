"""Readers and audit on the real images, against plain Pillow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medtransfer.core.task_kind import TaskKind
from medtransfer.data.audit import ExpectedCounts, audit_cases
from medtransfer.data.case_table import CaseTable
from medtransfer.data.file_source import FileSource
from medtransfer.data.npz_source import NpzSource, read_npz_arrays
from medtransfer.data.readers import read_image, read_mask

pytestmark = pytest.mark.real


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDTRANSFER_CACHE", str(tmp_path / "cache"))


def with_pillow(path: Path) -> np.ndarray:
    """What plain Pillow gives, alpha cut off."""
    with Image.open(path) as image:
        pixels = np.asarray(image)
    return pixels[..., :3] if pixels.ndim == 3 else pixels


def test_covid_ct_reads_as_pillow_reads_it_also_where_the_name_lies(shared_data: Path) -> None:
    root = shared_data / "covid_ct" / "Images-processed"
    disguised = shapes = 0
    for path in sorted(root.rglob("*.*")):
        read = read_image(path, root=root)
        np.testing.assert_array_equal(read, with_pillow(path), err_msg=path.name)
        disguised += path.suffix == ".png" and path.read_bytes()[:3] == b"\xff\xd8\xff"
        shapes += read.ndim == 2
    assert (disguised, shapes) == (34, 380)


def test_drive_images_vessels_and_fields_of_view(shared_data: Path) -> None:
    source = FileSource(shared_data / "drive" / "DRIVE")
    for number in range(1, 41):
        part = "test" if number <= 20 else "training"
        image = source.read_image(f"{part}/images/{number:02d}_{part}.tif")
        np.testing.assert_array_equal(
            image, with_pillow(source.root / part / "images" / f"{number:02d}_{part}.tif")
        )
        assert image.shape == (584, 565, 3)
        for locator in (f"1st_manual/{number:02d}_manual1.gif", f"mask/{number:02d}_{part}_mask.gif"):
            mask, stored = source.read_mask(f"{part}/{locator}"), with_pillow(source.root / part / locator)
            assert set(np.unique(stored)) == {0, 255}
            np.testing.assert_array_equal(mask, stored == 255)


def test_one_bit_masks_of_the_chest_images(shared_data: Path) -> None:
    folder = shared_data / "cxr_covid_seg"
    for path in sorted(folder.glob("lung_masks/*.png"))[::5]:
        np.testing.assert_array_equal(read_mask(path), with_pillow(path))
    for path in sorted(folder.glob("images/*"))[::10]:
        np.testing.assert_array_equal(read_image(path), with_pillow(path))


def medmnist(path: Path) -> CaseTable:
    parts = []
    for split in ("train", "val", "test"):
        labels = read_npz_arrays(path, [f"{split}_labels"])[f"{split}_labels"].ravel()
        names = [f"{split}_images/{row}" for row in range(len(labels))]
        parts.append(pd.DataFrame({"case_id": names, "split": split, "image": names, "label": labels}))
    frame = pd.concat(parts, ignore_index=True)
    frame["patient_id"] = frame["case_id"]
    return CaseTable(frame, TaskKind.BINARY, ("0", "1"), NpzSource(path), "official", patients_known=False)


def test_breastmnist_has_one_image_in_train_and_test(shared_data: Path) -> None:
    cases = medmnist(shared_data / "medmnist" / "breastmnist.npz")
    problems = audit_cases(cases, expected=ExpectedCounts(({"train": 546, "val": 78, "test": 156},)))
    assert [(problem.what, problem.where) for problem in problems] == [
        ("duplicate-image", "train and test splits")
    ]
    assert "train_images/115 = breastmnist.npz:test_images/76" in problems[0].found


def test_the_short_pneumoniamnist_says_so_with_both_numbers(shared_data: Path) -> None:
    cases = medmnist(shared_data / "medmnist" / "pneumoniamnist.npz")
    problems = audit_cases(cases, expected=ExpectedCounts(({"train": 4708, "val": 524, "test": 624},)))
    assert {problem.what for problem in problems} == {"unexpected-count", "duplicate-image"}
    counts = next(problem for problem in problems if problem.what == "unexpected-count")
    assert (counts.where, counts.expected, counts.found) == ("train split", "4708 cases", "3882")


def test_covid_ct_passes_the_audit_and_again_from_memory(shared_data: Path, tmp_path: Path) -> None:
    listed = pd.read_csv(shared_data / "covid_ct" / "splits_by_source.csv", dtype=str)
    frame = pd.DataFrame(
        {"case_id": listed["path"], "patient_id": listed["source_group"], "split": listed["split"]}
    )
    frame["image"], frame["label"] = listed["path"], (listed["label"] == "CT_COVID").astype(int)
    source = FileSource(shared_data / "covid_ct" / "Images-processed")
    cases = CaseTable(frame, TaskKind.BINARY, ("non-covid", "covid"), source, "ours")
    assert audit_cases(cases, cache_folder=tmp_path / "cache") == []
    assert audit_cases(cases, cache_folder=tmp_path / "cache") == []
    assert len(list((tmp_path / "cache" / "audits").iterdir())) == 1
