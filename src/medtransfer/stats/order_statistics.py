"""What can be said from the order of values alone: an interval of the median, runs far from the others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from medtransfer.core.errors import ShapeError
from medtransfer.stats.summaries import check_confidence

FAR_MADS = 5.0
"""Deviations, in units of the scaled median absolute deviation, beyond which a run is flagged."""
NORMAL_MAD = 1.4826
"""Standard deviation of a normal distribution in units of its median absolute deviation."""
LEAST_RUNS_FOR_FAR = 4
"""Runs below which none is called far from the others."""

_SAME_VALUE = 1e-9
"""Deviations up to this are rounding."""


@dataclass(frozen=True)
class MedianInterval:
    """The median of some values with an interval between two of them."""

    median: float
    """Median."""
    low: float | None
    """Lower end, one of the values; null where even the smallest and largest do not reach the level."""
    high: float | None
    """Upper end, one of the values."""
    ranks: tuple[int, int] | None
    """Ranks of the ends, from 1."""
    coverage: float | None
    """Exact chance that such an interval holds the median of a continuous distribution."""
    confidence: float
    """Level that was asked for; the coverage is at least this."""
    n: int
    """Number of values."""


def median_interval(values: Sequence[float], confidence: float = 0.95) -> MedianInterval:
    """Return the median over cases with the narrowest symmetric interval of order statistics.

    Args:
        values: Finite values, at least one; one per independent case.
        confidence: Level, in (0, 1).

    Raises:
        ShapeError: If there is no value, one is not finite, or the level is out of range.

    Example:
        >>> found = median_interval(range(1, 11))
        >>> found.ranks, found.coverage
        ((2, 9), 0.978515625)
    """
    check_confidence(confidence)
    ordered = np.sort(np.asarray(list(values), dtype=np.float64))
    n = len(ordered)
    if not n or not np.isfinite(ordered).all():
        raise ShapeError(f"median: expected finite values, got {list(values)!r:.80}.")
    lowest = np.arange(1, n // 2 + 1)
    coverage = 1 - 2 * stats.binom.cdf(lowest - 1, n, 0.5)
    wide_enough = np.flatnonzero(coverage >= confidence)
    median = float(np.median(ordered))
    if not len(wide_enough):
        return MedianInterval(median, None, None, None, None, confidence, n)
    j = int(lowest[wide_enough[-1]])
    return MedianInterval(
        median=median,
        low=float(ordered[j - 1]),
        high=float(ordered[n - j]),
        ranks=(j, n + 1 - j),
        coverage=float(coverage[j - 1]),
        confidence=confidence,
        n=n,
    )


def far_from_the_others(values: Sequence[float]) -> tuple[bool, ...]:
    """Return for each run whether it lies more than 5 scaled MAD from the median, of four runs at least.

    A single collapsed run hides in a standard deviation; it does not hide here. Where most runs have the
    same value, there is no deviation to measure by and none is flagged: a metric of few cases repeats itself.

    Args:
        values: One finite value per run.

    Raises:
        ShapeError: If a value is not finite.

    Example:
        >>> far_from_the_others([.81, .82, .80, .83, .20])
        (False, False, False, False, True)
    """
    if not all(math.isfinite(value) for value in values):
        raise ShapeError(f"runs: expected finite values, got {list(values)!r:.80}. Leave failed runs out.")
    if len(values) < LEAST_RUNS_FOR_FAR:
        return (False,) * len(values)
    numbers = np.asarray(values, dtype=np.float64)
    deviation = np.abs(numbers - np.median(numbers))
    typical = float(np.median(deviation))
    if typical <= _SAME_VALUE:
        return (False,) * len(values)
    return tuple((deviation > FAR_MADS * NORMAL_MAD * typical).tolist())
