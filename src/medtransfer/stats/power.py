"""How small a difference a comparison could have found."""

from __future__ import annotations

import math
from functools import lru_cache

from scipy import optimize, stats

from medtransfer.core.errors import ShapeError

POWER = 0.8
"""Chance of finding a difference that is called detectable."""


def minimum_detectable_difference(
    std: float, n_a: int, n_b: int | None = None, *, alpha: float = 0.05, power: float = POWER
) -> float:
    """Return the smallest true difference of two means that a two-sided t-test would mostly find.

    Args:
        std: Standard deviation within a group, in metric units.
        n_a: Runs in the first group, at least 2.
        n_b: Runs in the second group, at least 2; as many as in the first by default.
        alpha: Error rate of the test, in (0, 1).
        power: Wanted chance of a significant result, in (alpha, 1).

    Returns:
        Difference in metric units, at least 0.

    Raises:
        ShapeError: If a group has fewer than two runs, or an argument is out of range.

    Reference:
        Cohen, *Statistical Power Analysis for the Behavioral Sciences*, 2nd edition, 1988, chapter 2.

    Example:
        >>> round(minimum_detectable_difference(1.0, 5), 5)
        2.02444
    """
    n_b = n_a if n_b is None else n_b
    if min(n_a, n_b) < 2 or not (std >= 0 and math.isfinite(std)) or not 0 < alpha < power < 1:
        raise ShapeError(
            "detectable difference: expected std >= 0, at least 2 runs per group and 0 < alpha < power < 1, "
            f"got std={std!r}, n={n_a!r} and {n_b!r}, alpha={alpha!r}, power={power!r}."
        )
    return std * _detectable_effect(n_a, n_b, alpha, power)


def minimum_detectable_paired_difference(
    std: float, n: int, *, alpha: float = 0.05, power: float = POWER
) -> float:
    """Return the smallest true mean of paired differences that a two-sided t-test would mostly find.

    Args:
        std: Standard deviation of the differences, in metric units.
        n: Number of pairs, at least 2.
        alpha: Error rate of the test, in (0, 1).
        power: Wanted chance of a significant result, in (alpha, 1).

    Raises:
        ShapeError: If there are fewer than two pairs, or an argument is out of range.

    Example:
        >>> minimum_detectable_paired_difference(1.0, 10) < 1.0 < minimum_detectable_paired_difference(1.0, 9)
        True
    """
    if n < 2 or not (std >= 0 and math.isfinite(std)) or not 0 < alpha < power < 1:
        raise ShapeError(
            "detectable difference: expected std >= 0, at least 2 pairs and 0 < alpha < power < 1, "
            f"got std={std!r}, n={n!r}, alpha={alpha!r}, power={power!r}."
        )
    return std * _detectable_shift(n - 1, math.sqrt(n), alpha, power)


def detectable_from_standard_error(error: float, *, alpha: float = 0.05, power: float = POWER) -> float:
    """Return the smallest true difference that a two-sided normal test would mostly find.

    Args:
        error: Standard error of the difference, in metric units, such as the spread of its bootstrap draws.
        alpha: Error rate of the test, in (0, 1).
        power: Wanted chance of a significant result, in (alpha, 1).

    Example:
        >>> round(detectable_from_standard_error(1.0), 3)
        2.802
    """
    return float(stats.norm.isf(alpha / 2) + stats.norm.ppf(power)) * error


def _detectable_effect(n_a: int, n_b: int, alpha: float, power: float) -> float:
    """Return the detectable difference of two groups in units of their standard deviation."""
    return _detectable_shift(n_a + n_b - 2, math.sqrt(n_a * n_b / (n_a + n_b)), alpha, power)


@lru_cache(maxsize=4096)
def _detectable_shift(freedom: int, scale: float, alpha: float, power: float) -> float:
    """Return the effect at which a t-test reaches its power, ``scale`` times it being the noncentrality.

    statsmodels has the same number, but its solver stops at 10 without a word (2 runs, alpha 0.0017).
    """
    critical = stats.t.isf(alpha / 2, freedom)

    def shortfall(effect: float) -> float:
        shift = effect * scale
        upper, lower = stats.nct.sf(critical, freedom, shift), stats.nct.sf(critical, freedom, -shift)
        return float(upper + lower) - power

    highest = 1.0
    while shortfall(highest) < 0:
        highest *= 2
    return float(optimize.brentq(shortfall, 0.0, highest, xtol=1e-12))
