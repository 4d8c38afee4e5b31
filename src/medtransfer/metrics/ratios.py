"""Division that says undefined instead of warning, and weighted sums that do not depend on thread count."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Return ``numerator / denominator``, NaN where the denominator is 0; shapes broadcast."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    undefined = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=undefined, where=denominator != 0)
    return undefined


def weighted_sums(weights: FloatArray, values: FloatArray | npt.NDArray[np.bool_]) -> FloatArray:
    """Return the weighted sums of each column of ``values``.

    Summed without BLAS, so that the last digit does not depend on the number of threads.

    Args:
        weights: Weight of each case in each draw, shape (B, N), non-negative.
        values: One number per case and column, shape (N, K).

    Returns:
        Sums, shape (B, K).
    """
    columns = np.ascontiguousarray(values.T, dtype=np.float64)
    sums: FloatArray = np.einsum("bn,kn->bk", weights, columns, optimize=False)
    return sums
