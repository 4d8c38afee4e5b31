"""LogME: how well a Bayesian linear model on frozen features explains the labels, for every N and D."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize

from medtransfer.core.errors import ShapeError
from medtransfer.transferability.decomposition import Decomposition, checked_features, decompose, one_hot

FloatArray = npt.NDArray[np.float64]

GRID = np.linspace(-30.0, 30.0, 121)
"""Values of ``ln(prior precision / noise precision)`` that are tried first; there may be several minima."""


@dataclass(frozen=True)
class LogMe:
    """A score and how it came about."""

    value: float
    """Mean over classes of the log evidence per case; higher promises more."""
    by_class: tuple[float, ...]
    """Log evidence per case of each class that was used, in the order of the class numbers."""
    skipped: int
    """Classes that no case or every case has; they say nothing."""
    at_edge: int
    """Classes whose best precision ratio lies at the end of the grid."""


def logme(
    features: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    decomposition: Decomposition | None = None,
) -> LogMe:
    """Score features by the evidence of a linear model, maximised over both precisions for each class.

    With ``t`` the 0/1 target of a class, the evidence of ``t ~ N(0, I/b + F F'/a)`` depends on the ratio
    ``r = a/b`` alone once ``b`` is at its best, so one spectrum serves all classes and the maximum is
    found in one dimension. There is no intercept: shifting the features changes the score.

    Args:
        features: F, shape (N, D), of training cases only.
        labels: Class numbers (N,), or zeros and ones (N, C).
        decomposition: That of ``features`` where it is known already.

    Raises:
        ShapeError: If features are not finite, labels do not fit, or no class varies.

    Reference:
        You et al., "LogME: Practical Assessment of Pre-trained Models for Transfer Learning", ICML 2021;
        maximised here in closed form instead of by a fixed point, which is wrong for N < D.
    """
    table = checked_features(features)
    spectrum = decompose(table) if decomposition is None else decomposition
    spectrum.require_fit(table, "LogME")
    targets = one_hot(labels, len(table))
    varying = targets.any(axis=0) & ~targets.all(axis=0)
    declared = targets.shape[1] if np.ndim(labels) == 1 else np.shape(labels)[1]
    if not varying.any():
        raise ShapeError("LogME: expected labels that vary, got one class only. Give cases of two classes.")
    targets = targets[:, varying]
    profiles = _Profiles(spectrum, spectrum.projections(table, targets), targets.sum(axis=0))
    lowest, at_edge = profiles.minima()
    values = -lowest / len(table)
    return LogMe(
        value=float(values.mean()),
        by_class=tuple(float(value) for value in values),
        skipped=int(declared - varying.sum()),
        at_edge=int(at_edge.sum()),
    )


class _Profiles:
    """Minus the log evidence of each class as a function of ``ln r``.

    Args:
        spectrum: Of the features.
        along: Squared projections of the targets, shape (K, C).
        total: Squared lengths of the targets, shape (C,).
    """

    def __init__(self, spectrum: Decomposition, along: FloatArray, total: FloatArray) -> None:
        self._energies = spectrum.energies
        self._along = np.ascontiguousarray(along.T)
        self._rest = np.maximum(total - along.sum(axis=0), 0.0)
        self._cases = spectrum.cases

    def minima(self) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Return the lowest value of each class, and whether it lies at an end of the grid."""
        on_grid = self._at(GRID)
        best = on_grid.argmin(axis=1)
        lowest = on_grid[np.arange(len(best)), best]
        for number, place in enumerate(best):
            around = (GRID[max(place - 1, 0)], GRID[min(place + 1, len(GRID) - 1)])
            found = optimize.minimize_scalar(
                self._of_class, bounds=around, args=(number,), method="bounded", options={"xatol": 1e-9}
            )
            lowest[number] = min(lowest[number], float(found.fun))
        return lowest, (best == 0) | (best == len(GRID) - 1)

    def _at(self, logarithms: FloatArray) -> FloatArray:
        """Return the profiles at several places, shape (C, places)."""
        ratios = np.exp(logarithms)
        shares = ratios / (ratios + self._energies[:, None])
        residual = self._rest[:, None] + self._along @ shares
        return self._value(residual, np.log1p(self._energies[:, None] / ratios).sum(axis=0))

    def _of_class(self, logarithm: float, number: int) -> float:
        ratio = np.exp(logarithm)
        residual = self._rest[number] + self._along[number] @ (ratio / (ratio + self._energies))
        return float(self._value(residual, np.log1p(self._energies / ratio).sum()))

    def _value(self, residual: npt.ArrayLike, volume: npt.ArrayLike) -> FloatArray:
        per_case = np.maximum(np.asarray(residual), np.finfo(np.float64).tiny) / self._cases
        half = self._cases / 2
        return np.asarray(half * np.log(2 * np.pi * per_case) + half + np.asarray(volume) / 2)
