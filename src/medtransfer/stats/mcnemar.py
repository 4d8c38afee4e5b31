"""McNemar's test: two classifiers on the same cases, by the cases only one of them got right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from medtransfer.core.errors import ShapeError


@dataclass(frozen=True)
class McNemar:
    """Whether two classifiers err equally often, from the cases on which they disagree."""

    only_a: int
    """Cases that only the first got right."""
    only_b: int
    """Cases that only the second got right."""
    p: float
    """Exact two-sided p-value; 1 where they never disagree."""
    chi_square: float | None
    """Statistic with continuity correction; null where they never disagree."""
    chi_square_p: float | None
    """Its p-value with one degree of freedom; to be read from about 25 disagreements on."""

    @property
    def floor(self) -> float:
        """Smallest exact p-value that so many disagreements can give."""
        return min(1.0, 2.0 ** (1 - self.only_a - self.only_b))


def mcnemar(only_a: int, only_b: int) -> McNemar:
    """Test the numbers of cases that only one of two classifiers got right.

    Cases must be independent: one case per patient, else compare over patients.

    Args:
        only_a: Cases that only the first got right, at least 0.
        only_b: Cases that only the second got right, at least 0.

    Raises:
        ShapeError: If a number is negative.

    Reference:
        McNemar, "Note on the sampling error of the difference between correlated proportions or
        percentages", Psychometrika 12, 1947.

    Example:
        >>> found = mcnemar(2, 10)
        >>> round(found.p, 6), round(found.chi_square, 6)
        (0.038574, 4.083333)
    """
    if min(only_a, only_b) < 0:
        raise ShapeError(f"McNemar: expected numbers of cases of at least 0, got {only_a} and {only_b}.")
    differ = only_a + only_b
    if not differ:
        return McNemar(0, 0, 1.0, None, None)
    chi = max(0, abs(only_a - only_b) - 1) ** 2 / differ
    p = min(1.0, 2 * float(stats.binom.cdf(min(only_a, only_b), differ, 0.5)))
    return McNemar(only_a, only_b, p, chi, float(stats.chi2.sf(chi, 1)))


def mcnemar_of_cases(
    right_a: Sequence[bool] | npt.NDArray[Any], right_b: Sequence[bool] | npt.NDArray[Any]
) -> McNemar:
    """Test two classifiers from which cases each got right.

    Args:
        right_a: Whether the first is right, shape (N,).
        right_b: Whether the second is right on the same cases, shape (N,).

    Raises:
        ShapeError: If the numbers of cases differ.
    """
    a, b = np.asarray(right_a, dtype=bool), np.asarray(right_b, dtype=bool)
    if a.shape != b.shape or a.ndim != 1:
        raise ShapeError(f"McNemar: expected the same cases for both, got shapes {a.shape} and {b.shape}.")
    return mcnemar(int((a & ~b).sum()), int((b & ~a).sum()))
