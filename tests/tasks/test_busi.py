"""BUSI: classes from folders, masks united, look-alikes in one split."""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import combinations
from pathlib import Path

import imagehash
import numpy as np
import pytest
from PIL import Image

from medtransfer.core.errors import BadImageError, DataError
from medtransfer.data.audit import audit_cases
from medtransfer.tasks.busi import busi, busi_lesion
from medtransfer.tasks.target_task import TargetTask

BOTH = pytest.mark.parametrize("task", [busi, busi_lesion], ids=lambda task: task.name)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDTRANSFER_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    assert busi.write_sample is not None
    busi.write_sample(tmp_path / "set")
    return tmp_path / "set"


def images(root: Path) -> list[str]:
    return sorted(
        f"{path.parent.name}/{path.name}" for path in root.rglob("*.png") if "_mask" not in path.name
    )


def stored(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image.convert("L"))


def look_alikes(root: Path) -> list[set[str]]:
    """Groups of images whose hashes, as imagehash gives them, are linked by at most eight bits."""
    groups = {name: {name} for name in images(root)}
    hashes = {}
    for name in groups:
        with Image.open(root / name) as image:
            hashes[name] = imagehash.phash(image)
    for one, other in combinations(groups, 2):
        if hashes[one] - hashes[other] <= 8 and groups[one] is not groups[other]:
            groups[one] |= groups[other]
            for name in groups[other]:
                groups[name] = groups[one]
    return [group for name, group in groups.items() if name == min(group)]


def test_folders_give_classes(root: Path) -> None:
    cases = busi.open(root)
    assert cases.classes == ("benign", "malignant", "normal")
    assert sorted(cases.frame["image"]) == images(root)
    assert [cases.classes[label] for label in cases.frame["label"]] == [
        name.split("/")[0] for name in cases.frame["image"]
    ]
    assert cases.frame["case_id"].tolist() == sorted(cases.frame["case_id"])


def test_all_masks_of_a_lesion_image_are_united_and_normal_images_left_out(root: Path) -> None:
    cases = busi_lesion.open(root)
    assert sorted(cases.frame["image"]) == [name for name in images(root) if not name.startswith("normal")]
    several = 0
    for row in cases.frame.to_dict("records"):
        stem = row["image"].removesuffix(".png")
        files = [path for path in root.rglob("*_mask*") if str(path).startswith(f"{root / stem}_mask")]
        assert {str(root / locator) for locator in row["mask"]} == {str(path) for path in files}
        union = np.logical_or.reduce([stored(path) > 0 for path in files])
        seen = np.maximum.reduce([cases.source.read_mask(locator) for locator in row["mask"]])
        assert np.array_equal(seen, union.astype(np.uint8))
        assert union.any()
        several += len(files) > 1
    assert several == 3


def test_masks_stored_in_colour_count_like_others(root: Path) -> None:
    path = root / "benign" / "benign (5)_mask.png"
    with Image.open(path) as image:
        assert image.mode == "RGB"
    with Image.open(root / "benign" / "benign (6)_mask.png") as image:
        assert image.mode == "1"
    seen = busi_lesion.open(root).source.read_mask("benign/benign (5)_mask.png")
    assert np.array_equal(seen, (stored(path) > 0).astype(np.uint8))


@BOTH
def test_look_alikes_are_one_group_in_one_split(task: TargetTask, root: Path) -> None:
    cases = task.open(root)
    frame = cases.frame.set_index("image")
    found = defaultdict(set)
    for name, group in frame["patient_id"].items():
        found[group].add(name)
    expected = [group & set(frame.index) for group in look_alikes(root)]
    assert sorted(map(sorted, found.values())) == sorted(sorted(group) for group in expected if group)
    assert (frame.groupby("patient_id")["split"].nunique() == 1).all()
    assert not cases.patients_known
    if task is busi:
        copies = frame.loc[["benign/benign (8).png", "malignant/malignant (7).png"]]
        assert copies["patient_id"].nunique() == copies["split"].nunique() == 1


def test_a_chain_of_look_alikes_is_kept_together(root: Path) -> None:
    """Copies that differ more and more: the first and the last are no look-alikes, but each next pair is."""
    with Image.open(root / "benign" / "benign (1).png") as image:
        first = np.array(image, dtype=float)
    with Image.open(root / "benign" / "benign (2).png") as image:
        other = np.array(image.resize((first.shape[1], first.shape[0])), dtype=float)
    for step in range(24):
        mixed = Image.fromarray((first + (other - first) * step / 23).astype(np.uint8))
        mixed.save(root / "normal" / f"normal ({100 + step}).png")
    expected = [group for group in look_alikes(root) if any("normal (1" in name for name in group)]
    largest = max(expected, key=len)
    with Image.open(root / min(largest)) as one, Image.open(root / max(largest)) as two:
        assert imagehash.phash(one) - imagehash.phash(two) > 4
    groups = busi.open(root).frame.set_index("image")["patient_id"]
    assert groups[sorted(largest)].nunique() == 1
    assert (groups == groups[min(largest)]).sum() == len(largest)


def test_both_tasks_share_their_split(root: Path) -> None:
    classes = busi.open(root).frame.set_index("case_id")["split"]
    lesions = busi_lesion.open(root).frame.set_index("case_id")["split"]
    assert classes[lesions.index].equals(lesions)


@BOTH
def test_every_class_is_in_every_split(task: TargetTask, root: Path) -> None:
    cases = task.open(root)
    kinds = cases.frame["image"].str.split("/").str[0]
    counts = cases.frame.groupby(["split", kinds]).size()
    assert len(counts) == 3 * kinds.nunique()
    assert counts["train"].min() >= 3
    assert counts.min() >= 2
    assert audit_cases(cases) == []
    assert task.open(root).frame.equals(cases.frame)


def test_the_official_numbers_are_declared() -> None:
    assert busi.expected is not None
    assert busi.expected.variants == ({"train+val+test": 780},)
    assert busi.expected.classes == {"train+val+test": {"benign": 437, "malignant": 210, "normal": 133}}
    assert busi_lesion.expected is not None
    assert busi_lesion.expected.variants == ({"train+val+test": 437 + 210},)


@BOTH
@pytest.mark.parametrize("folder", ["benign", "normal"])
def test_a_missing_folder_is_named(task: TargetTask, folder: str, root: Path) -> None:
    (root / folder).rename(root / "elsewhere")
    with pytest.raises(DataError, match=f"task {task.name!r}: expected a folder {folder!r}"):
        task.open(root)


@pytest.mark.parametrize(
    ("folder", "name", "message"),
    [
        ("benign", "benign1.png", "named like 'benign (1).png', got 'benign1.png'"),
        ("benign", "benign (1) (copy).png", "named like 'benign (1).png', got 'benign (1) (copy).png'"),
        ("benign", "malignant (99).png", "named like 'benign (1).png', got 'malignant (99).png'"),
        (
            "normal",
            "normal (99)_mask.png",
            "expected masks of images that are there, got 'normal (99)_mask.png'",
        ),
        (
            "benign",
            "benign (99)_mask_1.png",
            "expected masks of images that are there, got 'benign (99)_mask_1.png'",
        ),
    ],
)
def test_files_out_of_place_are_refused(root: Path, folder: str, name: str, message: str) -> None:
    (root / folder / name).write_bytes((root / "benign" / "benign (1).png").read_bytes())
    for task in (busi, busi_lesion):
        with pytest.raises(DataError, match=re.escape(message)):
            task.open(root)


def test_a_lesion_image_without_a_mask_is_refused(root: Path) -> None:
    (root / "malignant" / "malignant (3)_mask.png").unlink()
    with pytest.raises(
        DataError, match=r"expected a mask for every image, got 'malignant/malignant \(3\)\.png'"
    ):
        busi_lesion.open(root)
    assert len(busi.open(root)) == 74


def test_an_image_that_cannot_be_read_is_named(root: Path) -> None:
    (root / "benign" / "benign (1).png").write_bytes(b"no image")
    with pytest.raises(BadImageError, match=r"benign \(1\)\.png"):
        busi.open(root)


def test_the_sample_is_the_same_each_time(root: Path, tmp_path: Path) -> None:
    assert busi_lesion.write_sample is not None
    busi_lesion.write_sample(tmp_path / "again")
    files = list(root.rglob("*.png"))
    assert len(files) == 74 * 2 + 4
    for path in files:
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(root)).read_bytes()
    assert not any(stored(path).any() for path in (root / "normal").glob("*_mask.png"))
