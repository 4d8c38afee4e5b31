"""Montgomery: the lungs are the union of two masks of the image's name."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medtransfer.core.errors import DataError
from medtransfer.data.audit import audit_cases
from medtransfer.tasks.montgomery import montgomery_lung

PARTS = ("CXR_png", "ManualMask/leftMask", "ManualMask/rightMask")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    assert montgomery_lung.write_sample is not None
    montgomery_lung.write_sample(tmp_path / "set")
    return tmp_path / "set"


def stored(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image)


def test_the_lungs_are_left_or_right(root: Path) -> None:
    cases = montgomery_lung.open(root)
    assert len(cases) == len(list((root / "CXR_png").iterdir())) == 48
    for row in cases.frame.to_dict("records"):
        name = f"{row['case_id']}.png"
        assert row["image"] == f"CXR_png/{name}"
        left, right = (stored(root / part / name) > 0 for part in PARTS[1:])
        union = np.zeros(left.shape, bool)
        for locator in row["mask"]:
            union |= cases.source.read_mask(locator) == 1
        assert np.array_equal(union, left | right)
        assert left.any()
        assert right.any()
        assert not (left & right).any()
        assert np.argwhere(right)[:, 1].mean() < np.argwhere(left)[:, 1].mean()
    assert audit_cases(cases) == []


def test_any_value_above_zero_is_lung(root: Path) -> None:
    path = root / "ManualMask/leftMask/MCUCXR_0001_0.png"
    mask = stored(path) > 0
    Image.fromarray(np.where(mask, 7, 0).astype(np.uint8)).save(path)
    seen = montgomery_lung.open(root).source.read_mask("ManualMask/leftMask/MCUCXR_0001_0.png")
    assert np.array_equal(seen, mask.astype(np.uint8))


@pytest.mark.parametrize("seed", range(3))
def test_138_images_are_divided_into_92_15_and_31(tmp_path: Path, seed: int) -> None:
    numbers = np.random.default_rng(seed).permutation(500)[:138]
    for part in PARTS:
        (tmp_path / part).mkdir(parents=True)
        for position, number in enumerate(numbers):
            (tmp_path / part / f"MCUCXR_{number:04}_{int(position >= 80)}.png").touch()
    frame = montgomery_lung.open(tmp_path).frame
    assert Counter(frame["split"]) == {"train": 92, "val": 15, "test": 31}
    expected = montgomery_lung.expected
    assert expected is not None
    assert expected.variants == ({"train": 92, "val": 15, "test": 31},)
    ill = frame[frame["case_id"].str.endswith("_1")]["split"].value_counts()
    assert ill.to_dict() == {"train": 39, "test": 13, "val": 6}


@pytest.mark.parametrize("side", ["leftMask", "rightMask"])
def test_an_image_without_one_of_its_masks_is_refused(root: Path, side: str) -> None:
    (root / "ManualMask" / side / "MCUCXR_0003_0.png").unlink()
    with pytest.raises(
        DataError,
        match=re.escape(f"ManualMask/{side}: expected a mask for every image, got 'MCUCXR_0003_0.png'"),
    ):
        montgomery_lung.open(root)


def test_a_mask_without_its_image_is_refused(root: Path) -> None:
    (root / "CXR_png" / "MCUCXR_0003_0.png").unlink()
    with pytest.raises(DataError, match=r"expected masks of images in CXR_png, got 'MCUCXR_0003_0\.png'"):
        montgomery_lung.open(root)


@pytest.mark.parametrize("part", PARTS)
def test_a_missing_folder_is_named(root: Path, part: str) -> None:
    (root / part).rename(root / "elsewhere")
    with pytest.raises(DataError, match=re.escape(f"expected a folder {part!r}")):
        montgomery_lung.open(root)


def test_an_image_of_another_name_is_refused(root: Path) -> None:
    (root / "CXR_png" / "MCUCXR_0001.png").touch()
    with pytest.raises(DataError, match=r"named like 'MCUCXR_0001_0\.png', got 'MCUCXR_0001\.png'"):
        montgomery_lung.open(root)


def test_a_mask_of_another_size_is_found(root: Path) -> None:
    path = root / "ManualMask/rightMask/MCUCXR_0001_0.png"
    Image.fromarray(stored(path)[:-2]).save(path)
    (problem,) = audit_cases(montgomery_lung.open(root))
    assert (problem.what, "MCUCXR_0001_0.png" in problem.found) == ("mask-size", True)


def test_the_sample_is_the_same_each_time_and_of_two_formats(root: Path, tmp_path: Path) -> None:
    assert montgomery_lung.write_sample is not None
    montgomery_lung.write_sample(tmp_path / "again")
    for path in root.rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(root)).read_bytes()
    assert {stored(path).shape for path in (root / "CXR_png").iterdir()} == {(60, 50), (50, 60)}
    frame = montgomery_lung.open(root).frame
    counts = frame.groupby(["split", frame["case_id"].str[-1]]).size()
    assert len(counts) == 6
    assert counts.min() >= 2
