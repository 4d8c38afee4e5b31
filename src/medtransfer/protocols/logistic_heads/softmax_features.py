"""Training features as a softmax solver sees them: uncorrelated directions, and a column of ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import scipy.linalg

from medtransfer.features.row_blocks import double_blocks, row_slices
from medtransfer.protocols.logistic_heads.blocked_geometry import weighted_gram
from medtransfer.protocols.logistic_heads.standardisation import Standardisation

FloatArray = npt.NDArray[np.float64]

NEGLIGIBLE_EIGENVALUE = 1e-12
"""Directions in which the features have less than this share of their greatest spread are left out."""


class SoftmaxFeatures(Protocol):
    """Standardised features of n cases along r eigenvectors of their Gram matrix."""

    cases: int
    """Number of training cases n."""
    eigenvalues: FloatArray
    """Sum of squares along each direction, shape (r,)."""
    parts: tuple[slice, ...]
    """Cases that are looked at together, in order."""

    def scores(self, heads: FloatArray) -> FloatArray:
        """Return the scores (A, K, n) of heads (A, K, r + 1), the intercept last."""

    def gradient(self, slopes: Callable[[slice], FloatArray]) -> FloatArray:
        """Return the sum over all cases of slope times feature, shape (A, K, r + 1).

        Args:
            slopes: From the cases of a part to the slopes of their scores, shape (A, K, part); called
                once per part, in order.
        """

    def weights(self, heads: FloatArray) -> FloatArray:
        """Return the weights (A, K, d) for standardised features of heads (A, K, r)."""


class HeldSoftmaxFeatures:
    """Features that are few enough to be held along their directions.

    Args:
        features: Standardised, shape (n, d).
    """

    def __init__(self, features: FloatArray) -> None:
        self.cases = len(features)
        self.parts: tuple[slice, ...] = (slice(0, self.cases),)
        self._basis, self.eigenvalues = _eigenbasis(features)
        self._inputs = np.column_stack([features @ self._basis, np.ones(self.cases)])

    def scores(self, heads: FloatArray) -> FloatArray:
        """See :class:`SoftmaxFeatures`."""
        return np.asarray(heads @ self._inputs.T)

    def gradient(self, slopes: Callable[[slice], FloatArray]) -> FloatArray:
        """See :class:`SoftmaxFeatures`."""
        return np.asarray(slopes(self.parts[0]) @ self._inputs)

    def weights(self, heads: FloatArray) -> FloatArray:
        """See :class:`SoftmaxFeatures`."""
        return np.asarray(heads @ self._basis.T)


class BlockedSoftmaxFeatures:
    """Features of which no copy is held: the directions, mean and scale go into heads and sums.

    Args:
        features: Raw, shape (n, d), more cases than columns, all of which vary.
        standardisation: Of these d columns.
    """

    def __init__(self, features: npt.NDArray[Any], standardisation: Standardisation) -> None:
        self.cases, columns = features.shape
        self.parts: tuple[slice, ...] = tuple(row_slices(self.cases, columns, wide=True))
        self._features = features
        self._mean, self._scale = standardisation.mean, standardisation.scale
        gram, _ = weighted_gram(features, self._mean, self._scale, np.ones(self.cases))
        self._basis, self.eigenvalues = _directions(gram)

    def scores(self, heads: FloatArray) -> FloatArray:
        """See :class:`SoftmaxFeatures`."""
        raw = (self.weights(heads[:, :, :-1]) / self._scale).reshape(-1, len(self._scale))
        offsets = heads[:, :, -1].reshape(-1, 1) - (raw @ self._mean)[:, None]
        found = np.empty((len(raw), self.cases))
        for part, block in double_blocks(self._features, wide=True):
            np.add(raw @ block.T, offsets, out=found[:, part])
        return found.reshape(*heads.shape[:2], self.cases)

    def gradient(self, slopes: Callable[[slice], FloatArray]) -> FloatArray:
        """See :class:`SoftmaxFeatures`."""
        sums: FloatArray = np.zeros((0, 0))
        total: FloatArray = np.zeros((0, 0))
        for part, block in double_blocks(self._features, wide=True):
            of_part = slopes(part)
            flat = of_part.reshape(-1, of_part.shape[-1])
            first = part.start == 0
            total = flat @ block if first else total + flat @ block
            sums = of_part.sum(axis=2) if first else sums + of_part.sum(axis=2)
        centred = (total - sums.reshape(-1, 1) * self._mean) / self._scale
        return np.concatenate([(centred @ self._basis).reshape(*sums.shape, -1), sums[:, :, None]], axis=2)

    def weights(self, heads: FloatArray) -> FloatArray:
        """See :class:`SoftmaxFeatures`."""
        return np.asarray(heads @ self._basis.T)


def _eigenbasis(features: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return directions (d, r) in which the features are uncorrelated, and their sums of squares (r,)."""
    cases, columns = features.shape
    if columns == 0:
        return np.zeros((0, 0)), np.zeros(0)
    by_case = cases < columns
    vectors, eigenvalues = _directions(features @ features.T if by_case else features.T @ features)
    return features.T @ (vectors / np.sqrt(eigenvalues)) if by_case else vectors, eigenvalues


def _directions(gram: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the eigenvectors of a Gram matrix, given by its lower triangle, that are not negligible."""
    eigenvalues, vectors = scipy.linalg.eigh(gram, driver="evd", check_finite=False)
    kept = eigenvalues > NEGLIGIBLE_EIGENVALUE * eigenvalues[-1]
    return vectors[:, kept], eigenvalues[kept]
