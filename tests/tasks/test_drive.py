"""DRIVE in its official layout: TIFF images, GIF vessel masks and fields of view."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medtransfer.core.errors import DataError
from medtransfer.data.audit import audit_cases
from medtransfer.tasks.drive import drive_vessel


@pytest.fixture
def root(tmp_path: Path) -> Path:
    draw = np.random.default_rng(3)
    for part, numbers in (("training", range(21, 41)), ("test", range(1, 21))):
        for folder in ("images", "1st_manual", "mask"):
            (tmp_path / part / folder).mkdir(parents=True)
        for number in numbers:
            name = f"{number:02}"
            image = draw.integers(0, 256, (18, 17, 3), dtype=np.uint8)
            Image.fromarray(image).save(tmp_path / part / "images" / f"{name}_{part}.tif")
            vessels = np.where(draw.random((18, 17)) < 0.2, 255, 0).astype(np.uint8)
            Image.fromarray(vessels).save(tmp_path / part / "1st_manual" / f"{name}_manual1.gif")
            view = np.zeros((18, 17), np.uint8)
            view[4:14, 4:13] = 255
            Image.fromarray(view).save(tmp_path / part / "mask" / f"{name}_{part}_mask.gif")
    return tmp_path


def test_the_official_parts_are_kept_and_validation_comes_from_training(root: Path) -> None:
    cases = drive_vessel.open(root)
    splits = cases.frame.set_index("case_id")["split"]
    assert {case for case in splits.index if splits[case] == "test"} == {f"{n:02}" for n in range(1, 21)}
    assert splits.value_counts().to_dict() == {"test": 20, "train": 16, "val": 4}
    assert drive_vessel.open(root).frame.equals(cases.frame)
    assert audit_cases(cases, expected=drive_vessel.expected) == []


def test_masks_are_vessels_and_the_field_of_view_is_its_own(root: Path) -> None:
    cases = drive_vessel.open(root)
    row = cases.frame.set_index("case_id").loc["07"]
    assert row["mask"] == ("test/1st_manual/07_manual1.gif",)
    vessels = cases.source.read_mask(row["mask"][0])
    assert set(np.unique(vessels)) == {0, 1}
    assert 0.05 < vessels.mean() < 0.4
    assert cases.source.read_mask(row["field_of_view"]).sum() == 90


def test_both_scores_are_declared() -> None:
    assert {"dice", "dice-fov", "dice-pooled", "dice-pooled-fov"} == set(drive_vessel.metrics)


@pytest.mark.parametrize(
    ("gone", "named"),
    [
        ("test/1st_manual/03_manual1.gif", "withhold the test masks"),
        ("training/1st_manual/22_manual1.gif", "vessel mask training/1st_manual/22_manual1.gif"),
        ("training/mask/22_training_mask.gif", "field-of-view mask"),
    ],
)
def test_a_missing_mask_is_named(root: Path, gone: str, named: str) -> None:
    (root / gone).unlink()
    with pytest.raises(DataError, match=named):
        drive_vessel.open(root)


def test_an_empty_folder_is_refused(root: Path) -> None:
    for path in (root / "test" / "images").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"expected \.tif images in .*test/images"):
        drive_vessel.open(root)


def test_the_sample_is_the_whole_data_set_in_small(tmp_path: Path) -> None:
    assert drive_vessel.write_sample is not None
    drive_vessel.write_sample(tmp_path / "a")
    drive_vessel.write_sample(tmp_path / "b")
    files = {path.relative_to(tmp_path / "a").as_posix(): path for path in (tmp_path / "a").rglob("*.*")}
    assert all(path.read_bytes() == (tmp_path / "b" / name).read_bytes() for name, path in files.items())
    expected = set()
    for part, numbers in (("training", range(21, 41)), ("test", range(1, 21))):
        for number in numbers:
            expected |= {
                f"{part}/images/{number:02}_{part}.tif",
                f"{part}/1st_manual/{number:02}_manual1.gif",
                f"{part}/mask/{number:02}_{part}_mask.gif",
            }
    assert set(files) == expected
    cases = drive_vessel.open(tmp_path / "a")
    assert audit_cases(cases, expected=drive_vessel.expected) == []
    for row in cases.frame.to_dict("records"):
        for locator in (*row["mask"], row["field_of_view"]):
            with Image.open(files[locator]) as stored:
                assert (stored.format, stored.mode) == ("GIF", "L")
                values = np.array(stored)
            assert set(np.unique(values)) == {0, 255}
            assert np.array_equal(cases.source.read_mask(locator), values // 255)
        image = cases.source.read_image(row["image"])
        view = cases.source.read_mask(row["field_of_view"]) > 0
        vessels = cases.source.read_mask(row["mask"][0]) > 0
        assert image.shape == (58, 57, 3)
        assert not vessels[~view].any()
        assert image[~view].max() == 0
        assert image[vessels].mean() < image[view & ~vessels].mean()


def test_the_page_says_what_to_do_about_withheld_masks() -> None:
    page = drive_vessel.page
    assert page is not None
    assert "withheld" in page.layout
    assert any("field of view" in trap for trap in page.traps)
