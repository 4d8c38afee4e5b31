"""The two ways to hold a linear head: by its weights, or by one coefficient per case when these are fewer."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.linalg import blas, lapack

FloatArray = npt.NDArray[np.float64]

BY_CASE_UP_TO = 1.25
"""Most cases per feature for heads that are held by case.

By case the products of the features are formed once, by feature again for every Hessian. Measured for ten strengths
with one thread of an AVX-512 CPU, by feature over by case, the products included: with 512 features 1.5 for 1.1
cases per feature, 1.2 for 1.3, 1.0 for 1.5 and 0.8 for 1.7; with 1,024 features 2.0, 1.3, 1.0 and 0.8; with 256
and fewer 0.8 to 1.1.
"""


class Factor(Protocol):
    """A factorised Hessian."""

    def direction(self, residual: FloatArray, intercept_gradient: float) -> tuple[FloatArray, float]:
        """Return the Newton direction of head and intercept for a gradient.

        Args:
            residual: Gradient of the head, as the geometry holds it.
            intercept_gradient: Gradient of the intercept.
        """


class Geometry(Protocol):
    """Linear algebra of one set of training features, in whichever form is smaller.

    A head is a vector ``v``; features, weights and scalar products are known to the geometry only.
    """

    cases: int
    """Number of training cases n."""
    size: int
    """Length of ``v``."""

    def margins(self, head: FloatArray) -> FloatArray:
        """Return what the head adds to the score of each training case, shape (n,)."""

    def product(self, first: FloatArray, second: FloatArray, second_margins: FloatArray) -> float:
        """Return the scalar product of the weights of two heads; the margins of the second are known."""

    def gradient(self, head: FloatArray, slopes: FloatArray) -> FloatArray:
        """Return the gradient of ``sum(loss) + |w|^2 / 2``, given the loss's slope at each case, (n,)."""

    def gradient_norm(self, gradient: FloatArray) -> float:
        """Return the Euclidean length of a gradient in the space of the weights."""

    def factorise(self, curvatures: FloatArray, precision: type[Any]) -> Factor | None:
        """Return the factorised Hessian, or None where rounding in this precision makes it indefinite.

        Args:
            curvatures: Second derivative of the loss at each case, shape (n,), non-negative.
            precision: ``np.float32`` or ``np.float64``.
        """

    def weights(self, heads: FloatArray) -> FloatArray:
        """Return the weights (H, d) of heads (H, size)."""


def build_geometry(features: FloatArray) -> Geometry:
    """Return the geometry of features (n, d): by case for up to :data:`BY_CASE_UP_TO` cases per feature."""
    cases, columns = features.shape
    return CaseGeometry(features) if cases <= BY_CASE_UP_TO * columns else FeatureGeometry(features)


class CaseGeometry:
    """Heads ``w = X^T a`` held by ``a`` (n,); everything goes through the Gram matrix ``X X^T``.

    Args:
        features: X, shape (n, d).

    Reference:
        Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, algorithm 3.1: the
        factorised matrix ``I + S K S`` has no eigenvalue below 1, however small the curvatures.
    """

    def __init__(self, features: FloatArray) -> None:
        self._features = features
        self._gram = features @ features.T
        self._rounded: dict[Any, npt.NDArray[Any]] = {np.float64: self._gram}
        self.cases = self.size = len(features)

    def margins(self, head: FloatArray) -> FloatArray:
        """See :class:`Geometry`."""
        return self._gram @ head

    def product(self, first: FloatArray, second: FloatArray, second_margins: FloatArray) -> float:
        """See :class:`Geometry`."""
        del second
        return float(first @ second_margins)

    def gradient(self, head: FloatArray, slopes: FloatArray) -> FloatArray:
        """See :class:`Geometry`."""
        return head + slopes

    def gradient_norm(self, gradient: FloatArray) -> float:
        """See :class:`Geometry`."""
        return float(np.sqrt(max(float(gradient @ self._gram @ gradient), 0.0)))

    def factorise(self, curvatures: FloatArray, precision: type[Any]) -> Factor | None:
        """See :class:`Geometry`."""
        if precision not in self._rounded:
            self._rounded[precision] = self._gram.astype(precision)
        roots = np.sqrt(curvatures)
        rounded = roots.astype(precision)
        matrix = self._rounded[precision] * rounded[:, None]
        matrix *= rounded
        matrix.ravel()[:: self.cases + 1] += 1
        cholesky = cholesky_of(matrix.T)
        return None if cholesky is None else _CaseFactor(self._gram, roots, cholesky)

    def weights(self, heads: FloatArray) -> FloatArray:
        """See :class:`Geometry`."""
        return heads @ self._features


class _CaseFactor:
    def __init__(self, gram: FloatArray, roots: FloatArray, cholesky: npt.NDArray[Any]) -> None:
        self._gram, self._roots, self._cholesky = gram, roots, cholesky
        self._of_ones = roots * _solve(cholesky, roots)

    def direction(self, residual: FloatArray, intercept_gradient: float) -> tuple[FloatArray, float]:
        removed = self._roots * _solve(self._cholesky, self._roots * (self._gram @ residual))
        intercept = float((removed.sum() - intercept_gradient) / self._of_ones.sum())
        return removed - residual - intercept * self._of_ones, intercept


class FeatureGeometry:
    """Heads held by their weights (d,).

    Args:
        features: X, shape (n, d).
    """

    def __init__(self, features: FloatArray) -> None:
        self.cases, self.size = features.shape
        self._features = features
        with_ones = np.column_stack([features, np.ones(self.cases)])
        self._rounded: dict[Any, npt.NDArray[Any]] = {np.float64: with_ones}

    def margins(self, head: FloatArray) -> FloatArray:
        """See :class:`Geometry`."""
        return self._features @ head

    def product(self, first: FloatArray, second: FloatArray, second_margins: FloatArray) -> float:
        """See :class:`Geometry`."""
        del second_margins
        return float(first @ second)

    def gradient(self, head: FloatArray, slopes: FloatArray) -> FloatArray:
        """See :class:`Geometry`."""
        return head + slopes @ self._features

    def gradient_norm(self, gradient: FloatArray) -> float:
        """See :class:`Geometry`."""
        return float(np.linalg.norm(gradient))

    def factorise(self, curvatures: FloatArray, precision: type[Any]) -> Factor | None:
        """See :class:`Geometry`."""
        if precision not in self._rounded:
            self._rounded[precision] = self._rounded[np.float64].astype(precision)
        scaled = self._rounded[precision] * np.sqrt(curvatures).astype(precision)[:, None]
        matrix = scaled.T @ scaled
        matrix.ravel()[: -1 : self.size + 2] += 1
        cholesky = cholesky_of(matrix.T)
        return None if cholesky is None else FeatureFactor(cholesky)

    def weights(self, heads: FloatArray) -> FloatArray:
        """See :class:`Geometry`."""
        return heads


class FeatureFactor:
    """A factorised Hessian in weights and intercept.

    Args:
        cholesky: Its factor, shape (d + 1, d + 1), the intercept last.
        shift: What the features it was made of lie above centred ones, shape (d,); None for nothing. A
            shift only moves the intercept, which has no penalty, so the direction is the same.
    """

    def __init__(self, cholesky: npt.NDArray[Any], shift: FloatArray | None = None) -> None:
        self._cholesky = cholesky
        self._shift = shift

    def direction(self, residual: FloatArray, intercept_gradient: float) -> tuple[FloatArray, float]:
        """See :class:`Factor`."""
        if self._shift is not None:
            residual = residual + intercept_gradient * self._shift
        step = -_solve(self._cholesky, np.append(residual, intercept_gradient))
        moved = 0.0 if self._shift is None else float(self._shift @ step[:-1])
        return step[:-1], float(step[-1]) + moved


def cholesky_of(matrix: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
    """Return the factor of a symmetric matrix, which is overwritten; None when it is not definite.

    Args:
        matrix: By columns (Fortran order); its upper triangle is not read.
    """
    factorise = lapack.spotrf if matrix.dtype == np.float32 else lapack.dpotrf
    factor, failed_at = factorise(matrix, lower=1, clean=0, overwrite_a=1)
    return None if failed_at else factor


def _solve(cholesky: npt.NDArray[Any], values: FloatArray) -> FloatArray:
    """Return the solution for one right-hand side.

    LAPACK's own function takes the way for many of them: with OpenBLAS and 600 cases it takes five times as long.
    """
    single = cholesky.dtype == np.float32
    solve = blas.strsv if single else blas.dtrsv
    halfway = solve(cholesky, values.astype(cholesky.dtype), lower=1, overwrite_x=1)
    solution = solve(cholesky, halfway, lower=1, trans=1, overwrite_x=1)
    return np.asarray(solution, dtype=np.float64)
