"""Bootstrap draws moved away from the point by t / z: a few units say little about their own spread."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import special

from medtransfer.stats.t_distribution import t_quantile

FloatArray = npt.NDArray[np.float64]


def stretched_interval(draws: FloatArray, point: float, df: float, confidence: float) -> tuple[float, float]:
    """Return the percentile interval of draws, each end moved away from the point by t / z.

    Args:
        draws: Finite values, shape (B,), at least one.
        point: Value on all cases.
        df: Degrees of freedom of the spread of the draws, positive.
        confidence: Level, in (0, 1).

    Example:
        >>> draws = np.linspace(0.7, 0.9, 101)
        >>> [round(end, 3) for end in stretched_interval(draws, 0.8, 5, 0.9)]
        [0.69, 0.91]
    """
    level = (1 + confidence) / 2
    factor = t_quantile(level, df) / float(special.ndtri(level))
    low, high = np.quantile(draws, [1 - level, level])
    return point - factor * (point - float(low)), point + factor * (float(high) - point)


def stretched_draws(draws: FloatArray, point: float, df: float) -> FloatArray:
    """Return the draws in rising order, each moved away from the point by t / z of its own rank.

    Their share beyond a value is the error rate at which an end of :func:`stretched_interval` touches
    that value, but for one draw: what normal draws with that many degrees of freedom give is the
    p-value of the t-test.

    Args:
        draws: Finite values, shape (B,), at least one.
        point: Value on all cases.
        df: Degrees of freedom of the spread of the draws, positive.

    Returns:
        Shape (B,).
    """
    deviations = np.sort(draws) - point
    return point + _factors(len(deviations), float(df)) * deviations


@lru_cache(maxsize=64)
def _factors(draws: int, df: float) -> FloatArray:
    """Return t / z of every rank; at the median, where both are 0, the limit of their ratio."""
    half = np.arange(1, draws // 2 + 1) / (draws + 1)
    lower = special.stdtrit(df, half) / special.ndtri(half)
    factors = np.concatenate([lower, [_factor_of_the_median(df)] * (draws % 2), lower[::-1]])
    factors.flags.writeable = False
    return factors


def _factor_of_the_median(df: float) -> float:
    """Return the density of the normal distribution at 0 in units of that of the t distribution."""
    log_ratio = special.gammaln(df / 2) - special.gammaln((df + 1) / 2) + np.log(df / 2) / 2
    return float(np.exp(log_ratio))
