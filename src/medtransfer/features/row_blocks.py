"""Sums and products over large feature matrices in double precision, a block of rows at a time.

A matrix of single precision stays the only copy there is: its rows become double where they are used, in a
block that fits the processor's cache, which costs no more than reading a copy twice as large.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import blas

AnyArray = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float64]

HELD_VALUES = 2**23
"""Matrices of at most this many values are held in double precision as a whole (64 MiB)."""
BLOCK_VALUES = 2**16
"""Values of a block that is multiplied by a vector."""
WIDE_BLOCK_VALUES = 2**18
"""Values of a block that is multiplied by a matrix."""
GRAM_ROWS = 1024
"""Rows added to a Gram matrix at a time; with few, the matrix itself would be read and written too often."""


def is_large(cases: int, columns: int) -> bool:
    """Return whether a matrix of this shape is read in blocks."""
    return cases * columns > HELD_VALUES


def row_slices(cases: int, columns: int, *, wide: bool = False) -> Iterator[slice]:
    """Yield the rows of each block, in order; all rows at once unless the matrix is large.

    Args:
        cases: N.
        columns: F.
        wide: Whether the blocks are multiplied by matrices, which pays with more rows than by vectors.

    Example:
        >>> list(row_slices(5, 2))
        [slice(0, 5, None)]
    """
    large = is_large(cases, columns)
    yield from _slices(cases, _block_rows(columns, wide=wide) if large else max(cases, 1))


def gram_slices(cases: int) -> Iterator[slice]:
    """Yield the rows that are added to a Gram matrix at a time."""
    return _slices(cases, GRAM_ROWS)


def small_slices(cases: int, columns: int) -> Iterator[slice]:
    """Yield the rows of blocks that fit the processor's cache, whether the matrix is large or not."""
    return _slices(cases, _block_rows(columns, wide=False))


def double_blocks(features: AnyArray, *, wide: bool = False) -> Iterator[tuple[slice, FloatArray]]:
    """Yield blocks of rows in double precision.

    Args:
        features: Shape (N, F).
        wide: As in :func:`row_slices`.

    Yields:
        The rows, and their features; those of a large matrix are overwritten by the next block.
    """
    if not is_large(*features.shape):
        yield slice(0, len(features)), np.asarray(features, dtype=np.float64)
        return
    yield from _converted(features, row_slices(*features.shape, wide=wide))


def times(features: AnyArray, matrix: FloatArray) -> FloatArray:
    """Return ``F M`` in double precision, shape (N, C), for M of shape (F, C)."""
    found = np.empty((len(features), matrix.shape[1]))
    for rows, block in double_blocks(features, wide=True):
        found[rows] = block @ matrix
    return found


def transposed_times(features: AnyArray, matrix: FloatArray) -> FloatArray:
    """Return ``F' M`` in double precision, shape (F, C), for M of shape (N, C)."""
    found = np.zeros((features.shape[1], matrix.shape[1]))
    for rows, block in double_blocks(features, wide=True):
        found += block.T @ matrix[rows]
    return found


def gram(features: AnyArray) -> FloatArray:
    """Return ``F' F`` in double precision, shape (F, F); of a large matrix the lower triangle, zeros above."""
    cases, columns = features.shape
    if not is_large(cases, columns):
        values = np.asarray(features, dtype=np.float64)
        return np.asarray(values.T @ values)
    found: AnyArray = np.zeros((columns, columns), order="F")
    for _, block in _converted(features, gram_slices(cases)):
        found = add_gram(found, block)
    return found


def add_gram(lower: AnyArray, rows: AnyArray) -> AnyArray:
    """Return a matrix plus ``R' R``, in its memory and its precision; only the lower triangle counts.

    Args:
        lower: Shape (F, F), by columns (Fortran order).
        rows: R, shape (n, F), by rows (C order), in the precision of the matrix.
    """
    add = blas.ssyrk if lower.dtype == np.float32 else blas.dsyrk
    return np.asarray(add(1.0, rows.T, beta=1.0, c=lower, trans=0, lower=1, overwrite_c=1))


def _converted(features: AnyArray, parts: Iterable[slice]) -> Iterator[tuple[slice, FloatArray]]:
    memory = np.empty((0, features.shape[1]))
    for rows in parts:
        length = rows.stop - rows.start
        if len(memory) < length:
            memory = np.empty((length, features.shape[1]))
        memory[:length] = features[rows]
        yield rows, memory[:length]


def _block_rows(columns: int, *, wide: bool) -> int:
    return max((WIDE_BLOCK_VALUES if wide else BLOCK_VALUES) // max(columns, 1), 1)


def _slices(cases: int, rows: int) -> Iterator[slice]:
    for start in range(0, cases, rows):
        yield slice(start, min(start + rows, cases))
