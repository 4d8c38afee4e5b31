"""Ridge regression on frozen features: what every case would be predicted without it, for all penalties at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import ShapeError
from medtransfer.transferability.class_coordinates import outside_of
from medtransfer.transferability.decomposition import Decomposition, checked_features, decompose

FloatArray = npt.NDArray[np.float64]


def ridge_left_out(
    features: npt.NDArray[np.floating],
    targets: npt.NDArray[np.floating],
    penalties: Sequence[float],
    decomposition: Decomposition | None = None,
) -> FloatArray:
    """Return the prediction of each case by the ridge regression fitted to all the others.

    The objective is ``|t - F w - b|^2 + p |w|^2`` with a free intercept b. Nothing is fitted again: the
    residual without a case is its residual over one minus its leverage, and one decomposition gives the
    residuals and leverages of all penalties and targets.

    Args:
        features: F, shape (N, D), of training cases only; N at least 2.
        targets: One target per column, such as 0/1 for each class, shape (N, C).
        penalties: Values of p, above 0, P of them.
        decomposition: That of ``features``, not centred, where it is known already.

    Returns:
        Predictions, shape (P, N, C).

    Raises:
        ShapeError: If features are not finite or fewer than two, targets do not fit, a penalty is not above
            0, or the decomposition is that of other features.

    Reference:
        Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning", 2009, section 7.10.1.
    """
    table, wanted = checked_features(features), np.asarray(targets, dtype=np.float64)
    cases = len(table)
    if cases < 2 or wanted.ndim != 2 or len(wanted) != cases:
        raise ShapeError(
            f"targets: expected one row for each of 2 or more cases, got {wanted.shape} for {cases}."
        )
    if not len(penalties) or not min(penalties) > 0:
        raise ShapeError(f"penalties: expected numbers above 0, got {list(penalties)!r}.")
    spectrum = decompose(table) if decomposition is None else decomposition
    spectrum.require_fit(table, "ridge")
    mean = wanted.mean(axis=0)
    along = spectrum.coordinates(table, np.column_stack([wanted - mean, np.ones(cases)]))
    along, constant = along[:, :-1], along[:, -1]
    outside = outside_of(constant, cases)
    shrunk = [_Shrunk(spectrum.energies, penalty, constant, outside, along) for penalty in penalties]
    found = np.empty((len(penalties), *wanted.shape))
    for rows, basis in spectrum.basis_blocks(table):
        centred = basis - constant / cases
        squares = np.square(centred)
        for number, of_penalty in enumerate(shrunk):
            found[number, rows] = of_penalty.left_out(centred, squares, wanted[rows], mean, cases)
    return found


class _Shrunk:
    """One penalty along the left singular vectors."""

    def __init__(
        self, energies: FloatArray, penalty: float, constant: FloatArray, outside: float, along: FloatArray
    ) -> None:
        self._gains = energies / (energies + penalty)
        left = outside + float((1 - self._gains) @ np.square(constant))
        self._tilt = self._gains * constant / np.sqrt(left)  # what centring changes in the inverse
        self._heads = self._gains[:, None] * along + np.outer(self._tilt, self._tilt @ along)

    def left_out(
        self, centred: FloatArray, squares: FloatArray, wanted: FloatArray, mean: FloatArray, cases: int
    ) -> FloatArray:
        """Return the predictions of some cases, given their rows of the centred basis, (n, C)."""
        leverage = 1 / cases + squares @ self._gains + np.square(centred @ self._tilt)
        residuals = wanted - mean - centred @ self._heads
        return np.asarray(wanted - residuals / (1 - leverage)[:, None])
