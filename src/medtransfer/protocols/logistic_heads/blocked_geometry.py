"""Heads of training sets too large for a second copy: features are standardised while they are read."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from medtransfer.features.row_blocks import add_gram, double_blocks, gram_slices, small_slices
from medtransfer.protocols.logistic_heads.geometry import Factor, FeatureFactor, cholesky_of
from medtransfer.protocols.logistic_heads.standardisation import Standardisation

FloatArray = npt.NDArray[np.float64]


class BlockedGeometry:
    """Heads held by their weights (d,), of features that are not standardised.

    Mean and scale go into weights and sums, so products read the features as they are. Hessians are those
    of standardised features, which are rounded to their precision a block at a time.

    Args:
        features: Raw features, shape (n, d), all of whose columns vary.
        standardisation: Of these d columns.
    """

    def __init__(self, features: npt.NDArray[Any], standardisation: Standardisation) -> None:
        self.cases, self.size = features.shape
        self._features = features
        self._mean, self._scale = standardisation.mean, standardisation.scale

    def margins(self, head: FloatArray) -> FloatArray:
        """See :class:`~medtransfer.protocols.logistic_heads.geometry.Geometry`."""
        weights = head / self._scale
        margins = np.empty(self.cases)
        for rows, block in double_blocks(self._features):
            np.dot(block, weights, out=margins[rows])
        margins -= weights @ self._mean
        return margins

    def product(self, first: FloatArray, second: FloatArray, second_margins: FloatArray) -> float:
        """See :class:`~medtransfer.protocols.logistic_heads.geometry.Geometry`."""
        del second_margins
        return float(first @ second)

    def gradient(self, head: FloatArray, slopes: FloatArray) -> FloatArray:
        """See :class:`~medtransfer.protocols.logistic_heads.geometry.Geometry`."""
        total = -slopes.sum() * self._mean
        for rows, block in double_blocks(self._features):
            total += slopes[rows] @ block
        return np.asarray(head + total / self._scale)

    def gradient_norm(self, gradient: FloatArray) -> float:
        """See :class:`~medtransfer.protocols.logistic_heads.geometry.Geometry`."""
        return float(np.linalg.norm(gradient))

    def factorise(self, curvatures: FloatArray, precision: type[Any]) -> Factor | None:
        """See :class:`~medtransfer.protocols.logistic_heads.geometry.Geometry`."""
        centre = self._mean.astype(precision)
        products, sums = weighted_gram(self._features, centre, self._scale, curvatures)
        hessian: npt.NDArray[Any] = np.empty((self.size + 1, self.size + 1), precision, order="F")
        hessian[:-1, :-1], hessian[-1, :-1], hessian[-1, -1] = products, sums, curvatures.sum()
        hessian[np.arange(self.size), np.arange(self.size)] += 1
        cholesky = cholesky_of(hessian)
        if cholesky is None:
            return None
        return FeatureFactor(cholesky, (self._mean - centre.astype(np.float64)) / self._scale)

    def weights(self, heads: FloatArray) -> FloatArray:
        """See :class:`~medtransfer.protocols.logistic_heads.geometry.Geometry`."""
        return heads


def weighted_gram(
    features: npt.NDArray[Any], centre: npt.NDArray[Any], scale: FloatArray, counts: FloatArray
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the Gram matrix of standardised features and their sums, over cases that count unlike.

    Args:
        features: Raw, shape (n, d).
        centre: What is subtracted, shape (d,), in the precision of the result.
        scale: What is divided by, shape (d,).
        counts: How much each case counts, shape (n,), non-negative.

    Returns:
        The matrix's lower triangle, shape (d, d), by columns, and the sums, shape (d,).
    """
    cases, columns = features.shape
    precision = centre.dtype
    roots, factors = np.sqrt(counts).astype(precision), (1 / scale).astype(precision)
    products: npt.NDArray[Any] = np.zeros((columns, columns), precision, order="F")
    sums = np.zeros(columns, precision)
    memory: npt.NDArray[Any] | None = None
    for part in gram_slices(cases):
        length = part.stop - part.start
        memory = np.empty((length, columns), precision) if memory is None else memory
        rounded = memory[:length]
        _standardise(features[part], centre, factors, roots[part], rounded)
        products = add_gram(products, rounded)
        sums += roots[part] @ rounded
    return products, sums


def _standardise(
    features: npt.NDArray[Any],
    centre: npt.NDArray[Any],
    factors: npt.NDArray[Any],
    roots: npt.NDArray[Any],
    out: npt.NDArray[Any],
) -> None:
    for rows in small_slices(*features.shape):
        np.subtract(features[rows], centre, out=out[rows], casting="same_kind")
        out[rows] *= factors
        out[rows] *= roots[rows, None]
