"""Run lengths: both conventions against a loop, tables with several rows per image, damaged text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medtransfer.core.errors import BadImageError
from medtransfer.data.file_source import FileSource
from medtransfer.data.locators import empty_locator, runs_locator
from medtransfer.data.run_lengths import RunLengthTable, decode_runs, encode_runs

masks = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 1))


def painted(text: str, height: int, width: int, *, relative: bool) -> np.ndarray:
    """Paint pixel after pixel down the columns, as the competition describes it."""
    mask = np.zeros((height, width), dtype=np.uint8)
    numbers = [int(word) for word in text.split()]
    place = 0
    for start, length in zip(numbers[::2], numbers[1::2], strict=True):
        place = place + start if relative else start - 1
        for _ in range(length):
            mask[place % height, place // height] = 1
            place += 1
    return mask


@given(mask=masks, relative=st.booleans())
def test_decoding_undoes_encoding_and_is_the_painted_mask(mask: np.ndarray, relative: bool) -> None:
    text = encode_runs(mask, relative=relative)
    found = decode_runs(text, *mask.shape, relative=relative)
    np.testing.assert_array_equal(found, mask)
    if text != "-1":
        np.testing.assert_array_equal(painted(text, *mask.shape, relative=relative), mask)


def test_the_two_conventions_differ() -> None:
    relative, absolute = (decode_runs("3 2 6 1", 4, 4, relative=flag) for flag in (True, False))
    assert relative.T.ravel().nonzero()[0].tolist() == [3, 4, 11]
    assert absolute.T.ravel().nonzero()[0].tolist() == [2, 3, 5]
    with pytest.raises(BadImageError, match="one after another"):
        decode_runs("5 2 4 1", 4, 4, relative=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3", "pairs of start and length"),
        ("a b", "pairs of start and length"),
        ("-3 2", "pairs of start and length"),
        ("10 9", "inside 4 x 4 pixels.*ends at 19 of 16"),
        ("1 0", "one after another"),
        ("99999999999999999999 1", "pairs of start and length"),
    ],
)
def test_damaged_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(BadImageError, match=message):
        decode_runs(text, 4, 4, relative=True)


class TestTable:
    @pytest.fixture
    def source(self, tmp_path: Path) -> FileSource:
        lines = ["ImageId, EncodedPixels", "a,0 2", "a, 8 2", "b, -1", "c,3 1"]
        (tmp_path / "train-rle.csv").write_text("\n".join(lines))
        table = RunLengthTable("train-rle.csv", "ImageId", "EncodedPixels", relative=True)
        return FileSource(tmp_path, run_lengths=table)

    def test_several_rows_of_one_image_are_united(self, source: FileSource) -> None:
        mask = source.read_mask(runs_locator("a", 4, 3))
        assert mask.T.ravel().nonzero()[0].tolist() == [0, 1, 8, 9]
        assert mask.shape == (4, 3)

    def test_minus_one_is_empty_and_so_is_an_empty_locator(self, source: FileSource) -> None:
        assert not source.read_mask(runs_locator("b", 4, 3)).any()
        assert source.read_mask(empty_locator(2, 5)).tolist() == [[0] * 5] * 2

    def test_hashes_follow_the_rows_of_the_image(self, source: FileSource) -> None:
        before = {name: source.content_hash(runs_locator(name, 4, 3)) for name in "abc"}
        path = source.root / "train-rle.csv"
        path.write_text(path.read_text().replace("c,3 1", "c,3 2"))
        after = {name: source.content_hash(runs_locator(name, 4, 3)) for name in "abc"}
        assert {name for name in "abc" if before[name] != after[name]} == {"c"}

    def test_missing_rows_columns_and_tables_are_named(self, source: FileSource) -> None:
        with pytest.raises(BadImageError, match=r"a row whose ImageId is 'z', got none"):
            source.read_mask(runs_locator("z", 4, 3))
        with pytest.raises(BadImageError, match="a table of run lengths, got none declared"):
            FileSource(source.root).read_mask(runs_locator("a", 4, 3))
        with pytest.raises(BadImageError, match=r"the columns \['Pixels'\]"):
            RunLengthTable("train-rle.csv", "ImageId", "Pixels", relative=True).texts(source.root)
        (source.root / "train-rle.csv").write_text("ImageId,EncodedPixels\na,1,2\n")
        with pytest.raises(BadImageError, match="line 2: expected 2 cells, got 3"):
            source.read_mask(runs_locator("a", 4, 3))

    @pytest.mark.parametrize("size", ["4", "4x", "0x3", "ax3"])
    def test_sizes_must_be_numbers(self, source: FileSource, size: str) -> None:
        with pytest.raises(BadImageError, match="a size such as"):
            source.read_mask(f"runs:{size}:a")
