"""A folder as image source: what it reads, what it refuses, and when its hashes change."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medtransfer.core.errors import BadImageError, UsageError
from medtransfer.core.fingerprints import hash_file
from medtransfer.data.file_source import FileSource

PIXELS = np.arange(12, dtype=np.uint8).reshape(3, 4)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDTRANSFER_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    Image.fromarray(PIXELS).save(folder / "images" / "a.png")
    Image.fromarray(PIXELS).save(tmp_path / "secret.png")
    return folder


def test_images_masks_and_names(root: Path) -> None:
    source = FileSource(root)
    np.testing.assert_array_equal(source.read_image("images/a.png"), PIXELS)
    np.testing.assert_array_equal(source.read_image("images/../images/a.png"), PIXELS)
    np.testing.assert_array_equal(source.read_mask("images/a.png"), PIXELS > 0)
    assert source.describe("images/a.png") == "images/a.png"
    assert source.content_hash("images/a.png") == hash_file(root / "images" / "a.png")


def test_the_mask_rule_is_used_checked_and_part_of_the_hash(root: Path) -> None:
    plain, mapped = FileSource(root), FileSource(root, mask_rule={value: value % 3 for value in range(12)})
    np.testing.assert_array_equal(mapped.read_mask("images/a.png"), PIXELS % 3)
    other = FileSource(root, mask_rule={value: value % 4 for value in range(12)})
    assert len({source.content_hash("images/a.png") for source in (plain, mapped, other)}) == 3
    for rule in ("above", {}, {0: 300}, {"0": 1}):
        with pytest.raises(UsageError, match="mask rule"):
            FileSource(root, mask_rule=rule)  # type: ignore[arg-type]


def test_a_source_survives_pickling(root: Path) -> None:
    source = FileSource(root, mask_rule=dict.fromkeys(range(12), 1))
    copy = pickle.loads(pickle.dumps(source))
    assert copy == source
    np.testing.assert_array_equal(copy.read_mask("images/a.png"), np.ones((3, 4)))


@pytest.mark.parametrize(
    "locator",
    [
        "../secret.png",
        "images/../../secret.png",
        "images/a.png\0",
        "loop/a.png",
        "out.png",
        "folder/secret.png",
    ],
)
def test_locators_that_leave_the_root_are_refused(root: Path, locator: str) -> None:
    (root / "out.png").symlink_to(root.parent / "secret.png")
    (root / "folder").symlink_to(root.parent)
    (root / "loop").symlink_to("loop")
    source = FileSource(root)
    for act in (source.read_image, source.read_mask, source.content_hash):
        with pytest.raises(BadImageError):
            act(locator)


def test_absolute_locators_are_refused_even_inside(root: Path) -> None:
    source = FileSource(root)
    for act in (source.read_image, source.read_mask, source.content_hash):
        with pytest.raises(BadImageError, match="absolute"):
            act(str(root / "images" / "a.png"))


@pytest.mark.parametrize(
    "locator", ["images/none.png", "images", "", "x" * 5000, "C:\\a.png", "\\\\host\\a.png"]
)
def test_what_is_no_file_is_refused(root: Path, locator: str) -> None:
    source = FileSource(root)
    for act in (source.read_image, source.read_mask, source.content_hash):
        with pytest.raises(BadImageError):
            act(locator)


def test_a_root_behind_a_link_and_links_inside_it_are_fine(root: Path) -> None:
    (root / "again.png").symlink_to("images/a.png")
    (root.parent / "link").symlink_to(root)
    source = FileSource(root.parent / "link")
    np.testing.assert_array_equal(source.read_image("again.png"), PIXELS)
