"""Archives of arrays as image source."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from medtransfer.core.errors import BadImageError, DataError
from medtransfer.data import npz_source
from medtransfer.data.npz_source import NpzSource, read_npz_arrays

GENERATOR = np.random.default_rng(3)
GREY = GENERATOR.integers(0, 256, (4, 6, 5), dtype=np.uint8)
COLOUR = GENERATOR.integers(0, 256, (2, 6, 5, 3), dtype=np.uint8)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "set.npz"
    np.savez_compressed(
        path,
        train_images=GREY,
        test_images=COLOUR,
        val_images=GREY[..., None],
        labels=np.array([[1], [0]]),
        masks=(GREY > 99).astype(np.int16),
        floats=GREY / 255.0,
    )
    return path


def test_rows_are_images(archive: Path) -> None:
    source = NpzSource(archive)
    np.testing.assert_array_equal(source.read_image("train_images/3"), GREY[3])
    np.testing.assert_array_equal(source.read_image("test_images/1"), COLOUR[1])
    np.testing.assert_array_equal(source.read_image("val_images/2"), GREY[2])
    np.testing.assert_array_equal(source.read_mask("masks/1"), GREY[1] > 99)
    assert source.describe("test_images/1") == "set.npz:test_images/1"


def test_an_image_may_be_changed_without_changing_the_source(archive: Path) -> None:
    source = NpzSource(archive)
    source.read_image("train_images/0")[:] = 0
    np.testing.assert_array_equal(source.read_image("train_images/0"), GREY[0])


def test_hashes_follow_the_row_and_the_rule(archive: Path) -> None:
    source = NpzSource(archive)
    hashes = [source.content_hash(f"train_images/{row}") for row in range(4)]
    assert len(set(hashes)) == 4
    assert hashes[2] == source.content_hash("val_images/2")
    assert NpzSource(archive, mask_rule={0: 0, 1: 1}).content_hash("masks/0") != source.content_hash(
        "masks/0"
    )


@pytest.mark.parametrize(
    "locator",
    [
        "train_images/4",
        "train_images/-1",
        "train_images/x",
        "train_images",
        "none/0",
        "labels/0",
        "floats/0",
        "/1",
    ],
)
def test_what_is_no_image_is_refused(archive: Path, locator: str) -> None:
    with pytest.raises(BadImageError):
        NpzSource(archive).read_image(locator)


def test_a_colour_row_is_no_mask(archive: Path) -> None:
    with pytest.raises(BadImageError, match="mask"):
        NpzSource(archive).read_mask("test_images/0")


def test_each_array_is_loaded_once_and_again_when_the_file_changes(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = []
    real_load = np.load
    monkeypatch.setattr(np, "load", lambda *args, **kwargs: loads.append(args) or real_load(*args, **kwargs))
    source = NpzSource(archive)
    for row in range(4):
        source.read_image(f"train_images/{row}")
    assert len(loads) == 1
    np.savez_compressed(archive, train_images=GREY[::-1], more=np.zeros(9))
    np.testing.assert_array_equal(source.read_image("train_images/0"), GREY[3])


def test_pickles_hold_no_arrays(archive: Path) -> None:
    source = NpzSource(archive)
    source.read_image("train_images/0")
    assert len(pickle.dumps(source)) < 1000
    assert pickle.loads(pickle.dumps(source)) == source


def test_arrays_by_name(archive: Path) -> None:
    arrays = read_npz_arrays(archive, ["labels", "train_images"])
    np.testing.assert_array_equal(arrays["labels"], [[1], [0]])
    assert not arrays["labels"].flags.writeable
    with pytest.raises(DataError, match=r"set\.npz: expected an array 'val_labels'"):
        read_npz_arrays(archive, ["val_labels"])


def test_archives_that_cannot_be_trusted_are_refused(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(tmp_path / "objects.npz", evil=np.array([{}], dtype=object))
    (tmp_path / "page.npz").write_text("<html>")
    (tmp_path / "cut.npz").write_bytes(archive.read_bytes()[:300])
    for name, array in (("objects", "evil"), ("page", "x"), ("cut", "x"), ("none", "x")):
        with pytest.raises(DataError, match=rf"{name}\.npz"):
            read_npz_arrays(tmp_path / f"{name}.npz", [array])
    monkeypatch.setattr(npz_source, "MAX_BYTES", 100)
    npz_source._read_array.cache_clear()
    with pytest.raises(DataError, match="at most 100 bytes"):
        read_npz_arrays(archive, ["labels"])
