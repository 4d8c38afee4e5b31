"""The spectrum of a feature matrix, computed once for all classes and all scores that need it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import linalg

from medtransfer.core.errors import ShapeError
from medtransfer.features.row_blocks import (
    double_blocks,
    gram,
    is_large,
    row_slices,
    small_slices,
    times,
    transposed_times,
)

AnyArray = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Decomposition:
    """What LogME and ridge need of features F: ``F = U diag(s) V'`` without its null directions.

    Only one of the two sets of directions is kept, the one of the smaller side; the other follows.
    """

    energies: FloatArray
    """Squared singular values ``l = s²``, shape (K,), falling, all positive."""
    directions: FloatArray
    """``V`` (D, K) when there are at least as many cases as features, else ``U`` (N, K)."""
    of_features: bool
    """Whether the directions are those of the features."""
    cases: int
    """N."""
    features: int
    """D."""

    def projections(self, features: AnyArray, targets: FloatArray) -> FloatArray:
        """Return the squared lengths of targets along the left singular vectors, ``(U' t)²``.

        Args:
            features: F, shape (N, D), the same as was decomposed.
            targets: One target per column, shape (N, C).

        Returns:
            Shape (K, C).
        """
        if not self.of_features:
            return np.square(self.directions.T @ targets)
        along = self.directions.T @ transposed_times(features, targets)
        return np.square(along) / self.energies[:, None]

    def coordinates(self, features: AnyArray, targets: FloatArray) -> FloatArray:
        """Return targets in the basis of the left singular vectors, ``U' t``, shape (K, C).

        Args:
            features: F, shape (N, D), the same as was decomposed.
            targets: One target per column, shape (N, C).
        """
        if not self.of_features:
            return np.asarray(self.directions.T @ targets)
        along = self.directions.T @ transposed_times(features, targets)
        return np.asarray(along / np.sqrt(self.energies)[:, None])

    def basis(self, features: AnyArray) -> FloatArray:
        """Return the left singular vectors ``U``, shape (N, K).

        Args:
            features: F, shape (N, D), the same as was decomposed.
        """
        if not self.of_features:
            return self.directions
        return np.asarray(times(features, self.directions) / np.sqrt(self.energies))

    def basis_blocks(self, features: AnyArray) -> Iterator[tuple[slice, FloatArray]]:
        """Yield the left singular vectors of a few cases after the other, as :meth:`basis` has them.

        Args:
            features: F, shape (N, D), the same as was decomposed.

        Yields:
            The cases, and their rows of ``U``.
        """
        if not self.of_features:
            for rows in row_slices(*self.directions.shape, wide=True):
                yield rows, self.directions[rows]
            return
        roots = np.sqrt(self.energies)
        for rows, block in double_blocks(features, wide=True):
            yield rows, block @ self.directions / roots

    def require_fit(self, features: AnyArray, score: str) -> None:
        """Raise unless this can be the decomposition of these features.

        Raises:
            ShapeError: If their shape is another.
        """
        if (self.cases, self.features) != features.shape:
            raise ShapeError(
                f"{score}: expected the decomposition of features {features.shape}, got one of "
                f"{(self.cases, self.features)}."
            )


def decompose(features: npt.NDArray[np.floating]) -> Decomposition:
    """Return the decomposition of features through the smaller of their two Gram matrices.

    Eigenvalues below what rounding leaves of the largest are null directions: their share of a
    target belongs to the residual. Large features are read in blocks: no copy of them is made.

    Args:
        features: F, shape (N, D), finite, not all zero.

    Raises:
        ShapeError: If there is no case or no feature, or a value is not finite, or all are zero.
    """
    table = checked_features(features)
    cases, columns = table.shape
    of_features = cases >= columns
    products = gram(table if of_features else table.T)
    energies, directions = linalg.eigh(products, overwrite_a=True, check_finite=False, driver="evd")
    smallest = max(cases, columns) * np.finfo(np.float64).eps * max(float(energies[-1]), 0.0)
    kept = energies > smallest
    if not kept.any():
        raise ShapeError("features: expected a value other than zero, got zeros only. Check the network.")
    return Decomposition(
        energies=np.ascontiguousarray(energies[kept][::-1]),
        directions=np.ascontiguousarray(directions[:, kept][:, ::-1]),
        of_features=of_features,
        cases=cases,
        features=columns,
    )


def checked_features(features: npt.NDArray[np.floating]) -> AnyArray:
    """Return features, refused where no score could mean anything.

    Raises:
        ShapeError: If they are not a finite matrix with a case and a feature.
    """
    table = np.asarray(features)
    if not np.issubdtype(table.dtype, np.floating):
        table = np.asarray(features, dtype=np.float64)
    if table.ndim != 2 or 0 in table.shape:
        raise ShapeError(f"features: expected shape (cases, features), got {table.shape}.")
    finite = [np.isfinite(table[rows]).all(axis=1) for rows in small_slices(*table.shape)]
    bad = np.flatnonzero(~np.concatenate(finite))
    if len(bad):
        raise ShapeError(
            f"features: expected finite values, got NaN or infinity in {len(bad)} of {len(table)} cases, "
            f"first in row {bad[0]}. Check the network and its weights."
        )
    return table if is_large(*table.shape) else np.asarray(table, dtype=np.float64)


def one_hot(labels: npt.NDArray[np.integer], cases: int) -> FloatArray:
    """Return one column per class that occurs, in the order of the class numbers, shape (N, C).

    Args:
        labels: Class numbers, shape (N,), or a matrix of zeros and ones, shape (N, C), for labels that do
            not exclude each other; columns without both values are left out.
        cases: N.

    Raises:
        ShapeError: If labels and cases disagree, or a matrix holds other values.
    """
    given = np.asarray(labels)
    if given.shape[:1] != (cases,) or given.ndim not in (1, 2):
        raise ShapeError(f"labels: expected one row for each of {cases} cases, got shape {given.shape}.")
    if given.ndim == 2:
        if not np.isin(given, (0, 1)).all():
            raise ShapeError("labels: expected zeros and ones, got other values.")
        shares = given.mean(axis=0)
        return np.asarray(given[:, (shares > 0) & (shares < 1)], dtype=np.float64)
    classes = np.unique(given)
    return np.asarray(given[:, None] == classes, dtype=np.float64)
