"""Products of large matrices in blocks of rows, against numpy's of the whole."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from medtransfer.features import row_blocks

SHAPES = [(1, 1), (7, 3), (50, 9), (64, 64), (9, 50)]


@pytest.fixture
def tiny_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("HELD_VALUES", 0),
        ("BLOCK_VALUES", 20),
        ("WIDE_BLOCK_VALUES", 40),
        ("GRAM_ROWS", 7),
    ):
        monkeypatch.setattr(row_blocks, name, value)


def draw(cases: int, columns: int, dtype: type = np.float32) -> np.ndarray:
    return np.random.default_rng(cases * columns).standard_normal((cases, columns)).astype(dtype)


@pytest.mark.usefixtures("tiny_blocks")
@pytest.mark.parametrize(("cases", "columns"), SHAPES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_products_are_those_of_the_whole_in_double_precision(cases: int, columns: int, dtype: type) -> None:
    features = draw(cases, columns, dtype)
    double = features.astype(np.float64)
    right, left = draw(columns, 4, np.float64), draw(cases, 4, np.float64)
    np.testing.assert_allclose(row_blocks.times(features, right), double @ right, atol=1e-12)
    np.testing.assert_allclose(row_blocks.transposed_times(features, left), double.T @ left, atol=1e-12)
    lower = np.tril(double.T @ double)
    np.testing.assert_allclose(np.tril(row_blocks.gram(features)), lower, atol=1e-12)
    of_cases = np.tril(double @ double.T)
    np.testing.assert_allclose(np.tril(row_blocks.gram(features.T)), of_cases, atol=1e-12)


@pytest.mark.usefixtures("tiny_blocks")
@pytest.mark.parametrize("wide", [False, True])
def test_blocks_are_every_row_once_and_no_larger_than_they_may_be(wide: bool) -> None:
    features = draw(50, 9)
    blocks = [(rows, block.copy()) for rows, block in row_blocks.double_blocks(features, wide=wide)]
    assert len(blocks) == (13 if wide else 25)
    np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), features)
    np.testing.assert_array_equal(np.concatenate([np.arange(50)[rows] for rows, _ in blocks]), np.arange(50))
    assert [rows.stop - rows.start for rows in row_blocks.row_slices(3, 1000, wide=wide)] == [1, 1, 1]


def test_a_small_matrix_is_one_block_and_not_copied_if_double() -> None:
    features = draw(50, 9, np.float64)
    ((rows, block),) = row_blocks.double_blocks(features)
    assert rows == slice(0, 50)
    assert block is features
    assert list(row_blocks.row_slices(50, 9)) == [slice(0, 50)]
    np.testing.assert_array_equal(row_blocks.gram(features), features.T @ features)


def test_nothing_has_no_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(row_blocks.row_slices(0, 3)) == []
    assert [rows for rows, _ in row_blocks.double_blocks(np.zeros((4, 0)))] == [slice(0, 4)]
    monkeypatch.setattr(row_blocks, "HELD_VALUES", -1)
    assert row_blocks.times(np.zeros((4, 0)), np.zeros((0, 2))).tolist() == [[0.0, 0.0]] * 4


def test_no_copy_of_a_large_matrix_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_blocks, "HELD_VALUES", 2**19)
    monkeypatch.setattr(row_blocks, "BLOCK_VALUES", 2**14)
    monkeypatch.setattr(row_blocks, "WIDE_BLOCK_VALUES", 2**14)
    features = draw(16_384, 64)
    right, left = np.ones((64, 1)), np.ones((16_384, 1))
    tracemalloc.start()
    try:
        row_blocks.times(features, right)
        row_blocks.transposed_times(features, left)
        row_blocks.gram(features)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < features.nbytes / 4
