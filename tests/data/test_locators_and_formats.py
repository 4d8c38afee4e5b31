"""Locators, raw films, arrays and painted masks, read through the one source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medtransfer.core.errors import BadImageError, UsageError
from medtransfer.data import locators
from medtransfer.data.file_source import FileSource
from medtransfer.data.intensity import VolumeRange, Window, to_grey_levels
from medtransfer.data.mask_rule import MaskColours


@pytest.mark.parametrize(
    ("locator", "files"),
    [
        ("a.png", ("a.png",)),
        ("odd:name.png", ("odd:name.png",)),
        (locators.slice_locator("v.nii", 3), ("v.nii",)),
        (locators.class_locator(locators.slice_locator("v.nii", 3), 2), ("v.nii",)),
        (locators.channels_locator("a.dcm", "b.dcm", "c.dcm"), ("a.dcm", "b.dcm", "c.dcm")),
        (locators.runs_locator("id", 2, 2), ()),
        (locators.class_locator(locators.empty_locator(2, 2), 1), ()),
        (locators.raw_locator("f.IMG"), ("f.IMG",)),
    ],
)
def test_locators_name_their_files(locator: str, files: tuple[str, ...]) -> None:
    assert locators.files_of(locator) == files


@pytest.mark.parametrize(
    "locator", ["../x.png", "slice:0:../v.nii", "channels:a.png|/etc/passwd|b.png", "raw:12:../f"]
)
def test_no_part_of_a_locator_leaves_the_folder(tmp_path: Path, locator: str) -> None:
    (tmp_path / "data").mkdir()
    for act in (FileSource(tmp_path / "data").read_image, FileSource(tmp_path / "data").content_hash):
        with pytest.raises(BadImageError):
            act(locator)


class TestRawFilms:
    def write(self, path: Path, values: np.ndarray) -> str:
        values.astype(">u2").tofile(path)
        return locators.raw_locator(path.name)

    def test_air_is_dark_and_bytes_are_big_endian(self, tmp_path: Path) -> None:
        locator = self.write(tmp_path / "a.IMG", np.array([[0, 4095], [2048, 1024]]))
        assert FileSource(tmp_path).read_image(locator).tolist() == [[255, 0], [127, 191]]

    def test_other_sizes_and_swapped_bytes_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "a.IMG").write_bytes(bytes(2 * 5))
        with pytest.raises(BadImageError, match="a square of 16-bit values"):
            FileSource(tmp_path).read_image("raw:12:a.IMG")
        np.full((4, 4), 300, dtype="<u2").tofile(tmp_path / "b.IMG")
        with pytest.raises(BadImageError, match="12 bits in big-endian order, got 11265"):
            FileSource(tmp_path).read_image("raw:12:b.IMG")
        with pytest.raises(BadImageError, match="No such file"):
            FileSource(tmp_path).read_image("raw:12:none.IMG")


class TestArrays:
    def test_bytes_are_kept_and_other_numbers_stretched(self, tmp_path: Path) -> None:
        image = np.random.default_rng(0).integers(0, 256, (5, 4, 3)).astype(np.uint8)
        np.save(tmp_path / "a.npy", image)
        np.save(tmp_path / "b.npy", np.array([[-1.0, 0.0], [1.0, 3.0]]))
        source = FileSource(tmp_path)
        np.testing.assert_array_equal(source.read_image("a.npy"), image)
        assert source.read_image("b.npy").tolist() == [[0, 64], [128, 255]]
        np.save(tmp_path / "m.npy", np.array([[0, 2], [2, 1]]))
        assert FileSource(tmp_path, {0: 0, 1: 2, 2: 1}).read_mask("m.npy").tolist() == [[0, 1], [1, 2]]

    @pytest.mark.parametrize(
        "array", [np.zeros(4), np.zeros((2, 2, 2)), np.array([[np.nan, 1]]), np.array([["a"]])]
    )
    def test_other_arrays_are_refused(self, tmp_path: Path, array: np.ndarray) -> None:
        np.save(tmp_path / "a.npy", array)
        with pytest.raises(BadImageError, match=r"a\.npy: expected"):
            FileSource(tmp_path).read_image("a.npy")

    def test_pickles_are_never_loaded(self, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", np.array([[{}]], dtype=object), allow_pickle=True)
        with pytest.raises(BadImageError, match=r"readable \.npy file"):
            FileSource(tmp_path).read_image("a.npy")


class TestPaintedMasks:
    RULE = MaskColours((("#ff0000", 1), ("#00FF00", 2)))

    def paint(self, path: Path, mode: str) -> None:
        pixels = np.array([[[0, 0, 0], [255, 0, 0]], [[0, 255, 0], [255, 0, 0]]], dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(path)

    @pytest.mark.parametrize("mode", ["RGB", "P", "RGBA"])
    def test_colours_are_classes_however_they_are_stored(self, tmp_path: Path, mode: str) -> None:
        self.paint(tmp_path / "m.png", mode)
        assert FileSource(tmp_path, self.RULE).read_mask("m.png").tolist() == [[0, 1], [2, 1]]

    def test_other_colours_are_refused_by_name(self, tmp_path: Path) -> None:
        self.paint(tmp_path / "m.png", "RGB")
        with pytest.raises(BadImageError, match=r"the mask colours \['#ff0000'\], got \['#00ff00'\]"):
            FileSource(tmp_path, MaskColours((("#ff0000", 1),))).read_mask("m.png")

    def test_the_meaning_of_colours_is_part_of_the_hash(self, tmp_path: Path) -> None:
        self.paint(tmp_path / "m.png", "RGB")
        rules = (self.RULE, MaskColours((("#ff0000", 2), ("#00ff00", 1))), "nonzero")
        assert len({FileSource(tmp_path, rule).content_hash("m.png") for rule in rules}) == 3

    @pytest.mark.parametrize("pairs", [(), (("red", 1),), (("#ff0000", 256),)])
    def test_wrong_colours_are_refused(self, pairs: tuple[tuple[str, int], ...]) -> None:
        with pytest.raises(UsageError, match="mask colours: expected colours such as"):
            MaskColours(pairs)


def test_grey_levels_are_exact_at_the_ends_and_halves() -> None:
    values = np.array([-1001, -1000, 0, 1000, 1001], dtype=np.int16)
    assert to_grey_levels(values, -1000, 1000).tolist() == [0, 0, 128, 255, 255]
    assert to_grey_levels(values.astype(np.float64), -1000, 1000).tolist() == [0, 0, 128, 255, 255]
    assert to_grey_levels(values, 5, 5).tolist() == [0] * 5


@pytest.mark.parametrize(
    "make",
    [
        lambda: Window(1, 1),
        lambda: Window(0, float("nan")),
        lambda: VolumeRange(60, 50),
        lambda: VolumeRange(-1, 50),
    ],
)
def test_ranges_that_show_nothing_are_refused(make: object) -> None:
    with pytest.raises(UsageError, match="expected"):
        make()  # type: ignore[operator]
