"""Adjusted p-values of a family of tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import ShapeError

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class AdjustedPValues:
    """The p-values of a family after correction."""

    method: str
    """``Holm``, ``Bonferroni``, ``Benjamini-Hochberg`` or ``Benjamini-Yekutieli``."""
    values: tuple[float | None, ...]
    """Adjusted p-values in [0, 1], in the order given; null stays null."""
    tests: int
    """Number of tests the correction counts."""
    without_p: int
    """Number of comparisons that have no p-value and are not counted."""


def holm(p_values: Sequence[float | None]) -> AdjustedPValues:
    """Adjust for the chance of any false claim in the family; for claims.

    Args:
        p_values: Raw p-values in [0, 1]; null where a comparison has none.

    Raises:
        ShapeError: If a p-value is outside [0, 1].

    Reference:
        Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
        Statistics 6, 1979.

    Example:
        >>> [round(p, 3) for p in holm([.01, .04, .03, .005]).values]
        [0.03, 0.06, 0.06, 0.02]
    """
    return _adjust(p_values, "Holm", _holm)


def benjamini_hochberg(p_values: Sequence[float | None]) -> AdjustedPValues:
    """Adjust for the expected share of false claims among the claims; for screening.

    Args:
        p_values: Raw p-values in [0, 1]; null where a comparison has none.

    Raises:
        ShapeError: If a p-value is outside [0, 1].

    Reference:
        Benjamini and Hochberg, "Controlling the false discovery rate", Journal of the Royal
        Statistical Society B 57, 1995.
    """
    return _adjust(p_values, "Benjamini-Hochberg", _benjamini_hochberg)


def bonferroni(p_values: Sequence[float | None]) -> AdjustedPValues:
    """Adjust for any false claim by the number of tests alone; for reading tables that did so.

    Holm's procedure holds the same error rate and never gives a larger p-value.

    Args:
        p_values: Raw p-values in [0, 1]; null where a comparison has none.

    Raises:
        ShapeError: If a p-value is outside [0, 1].
    """
    return _adjust(p_values, "Bonferroni", lambda ascending: np.minimum(1, len(ascending) * ascending))


def benjamini_yekutieli(p_values: Sequence[float | None]) -> AdjustedPValues:
    """Adjust for the expected share of false claims, however the tests depend on each other.

    Args:
        p_values: Raw p-values in [0, 1]; null where a comparison has none.

    Raises:
        ShapeError: If a p-value is outside [0, 1].

    Reference:
        Benjamini and Yekutieli, "The control of the false discovery rate in multiple testing under
        dependency", Annals of Statistics 29, 2001.
    """
    return _adjust(p_values, "Benjamini-Yekutieli", _benjamini_yekutieli)


def _holm(ascending: FloatArray) -> FloatArray:
    tests = len(ascending)
    return np.maximum.accumulate(np.minimum(1, (tests - np.arange(tests)) * ascending))


def _benjamini_hochberg(ascending: FloatArray) -> FloatArray:
    tests = len(ascending)
    inflated = np.minimum(1, ascending * (tests / np.arange(1, tests + 1)))  # a factor of at least 1
    return np.minimum.accumulate(inflated[::-1])[::-1]


def _benjamini_yekutieli(ascending: FloatArray) -> FloatArray:
    tests = np.arange(1, len(ascending) + 1)
    inflated = np.minimum(1, ascending * ((1 / tests).sum() * len(ascending) / tests))
    return np.minimum.accumulate(inflated[::-1])[::-1]


def _adjust(
    p_values: Sequence[float | None], title: str, adjust: Callable[[FloatArray], FloatArray]
) -> AdjustedPValues:
    """Adjust the p-values that are there; statsmodels collects garbage at every call, which a report feels."""
    present = np.array([p for p in p_values if p is not None], dtype=np.float64)
    if not ((present >= 0) & (present <= 1)).all():
        raise ShapeError(f"p-values: expected numbers in [0, 1] or null, got {list(p_values)!r}.")
    order = np.argsort(present, kind="stable")
    adjusted = np.empty_like(present)
    adjusted[order] = np.maximum(adjust(present[order]), present[order])  # rounding never lowers a p
    values = iter(adjusted.tolist())
    return AdjustedPValues(
        method=title,
        values=tuple(None if p is None else next(values) for p in p_values),
        tests=len(present),
        without_p=len(p_values) - len(present),
    )
