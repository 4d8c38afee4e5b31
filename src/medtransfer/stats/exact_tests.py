"""Tests that need no normal distribution, exact for few runs, with the smallest p-value they can give."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from medtransfer.core.errors import ShapeError
from medtransfer.stats.t_distribution import t_above

MOST_PAIRS = 20
"""Pairs up to which all sign patterns are counted."""

_SLACK = 1e-12


@dataclass(frozen=True)
class ExactTest:
    """The outcome of an exact test."""

    test: str
    """Name of the test."""
    statistic: float
    """Its statistic."""
    p: float
    """Two-sided p-value."""
    floor: float
    """Smallest p-value possible with so many runs."""

    def can_be_significant(self, alpha: float = 0.05) -> bool:
        """Return whether any data of this size could be significant; else say so instead of 'not significant'."""
        return self.floor < alpha


def sign_flip(differences: Sequence[float]) -> ExactTest:
    """Test whether paired differences are centred at 0, over all sign patterns of their sum.

    Args:
        differences: One finite difference per pair, 1 to ``MOST_PAIRS`` of them.

    Raises:
        ShapeError: If there are none or too many, or one is not finite.

    Example:
        >>> sign_flip([.03, .01, .03, .04, .03]).p
        0.0625
    """
    values = _finite(differences, "sign flip")
    if len(values) > MOST_PAIRS:
        raise ShapeError(f"sign flip: expected at most {MOST_PAIRS} pairs, got {len(values)}. Use a t-test.")
    sums = np.zeros(1)
    for value in np.abs(values):
        sums = np.concatenate([sums + value, sums - value])
    observed = abs(float(values.sum()))
    slack = _SLACK * max(1.0, float(np.abs(values).sum()))
    p = float(np.mean(np.abs(sums) >= observed - slack))
    return ExactTest("sign flip", float(values.sum()), p, 2.0 / 2 ** len(values))


def signed_rank(differences: Sequence[float], decimals: int) -> ExactTest:
    """Test paired differences by Wilcoxon's signed ranks, exactly; zero differences are left out.

    Args:
        differences: One finite difference per pair.
        decimals: Digits the metric is stored with: differences are rounded to them first, or noise of
            the last bit would break ties.

    Raises:
        ShapeError: If there is none, one is not finite, or all are zero.

    Example:
        >>> found = signed_rank([.03, .01, .03, .04, .03], decimals=6)
        >>> found.statistic, found.p
        (0.0, 0.0625)
    """
    values = np.round(_finite(differences, "signed rank"), decimals)
    values = values[values != 0]
    if not len(values) or len(values) > MOST_PAIRS:
        raise ShapeError(
            f"signed rank: expected 1 to {MOST_PAIRS} differences that are not 0, got {len(values)}."
        )
    ranks = stats.rankdata(np.abs(values))
    lower = float(min(ranks[values > 0].sum(), ranks[values < 0].sum()))
    sums = np.zeros(1)
    for rank in ranks:
        sums = np.concatenate([sums + rank, sums])
    p = min(1.0, 2 * float(np.mean(sums <= lower + _SLACK)))
    return ExactTest("Wilcoxon signed rank, exact", lower, p, 2.0 / 2 ** len(values))


def rank_sum(a: Sequence[float], b: Sequence[float]) -> ExactTest:
    """Test two sets of runs that are no pairs by Mann and Whitney's U, over all ways to divide them.

    Args:
        a: One finite value per run of model A.
        b: One finite value per run of model B.

    Raises:
        ShapeError: If an arm is empty or not finite, or there are more than 200,000 ways.

    Example:
        >>> round(rank_sum([.94456, .93572, .93280, .93312], [.93852, .93108, .94704, .92500]).p, 6)
        0.885714
    """
    first, second = _finite(a, "rank sum"), _finite(b, "rank sum")
    ways = math.comb(len(first) + len(second), len(first))
    if ways > 200_000:
        raise ShapeError(
            f"rank sum: expected few enough runs to count all ways, got {len(first)} and {len(second)}. Use a t-test."
        )
    ranks = stats.rankdata(np.concatenate([first, second]))
    sums = np.array([math.fsum(chosen) for chosen in itertools.combinations(ranks.tolist(), len(first))])
    observed = float(ranks[: len(first)].sum())
    p = 2 * min(np.mean(sums <= observed + _SLACK * ways), np.mean(sums >= observed - _SLACK * ways))
    u = observed - len(first) * (len(first) + 1) / 2
    return ExactTest("Mann-Whitney U, exact", u, min(1.0, float(p)), min(1.0, 2.0 / ways))


def corrected_resampled_t(differences: Sequence[float], test_share: float) -> tuple[float, float] | None:
    """Test paired differences over resampled splits, whose training sets overlap.

    Args:
        differences: One finite difference per split or fold, at least two.
        test_share: Test cases divided by training cases of a split, positive.

    Returns:
        The statistic and its two-sided p-value with n - 1 degrees of freedom; None when the differences
        do not vary.

    Raises:
        ShapeError: If there are fewer than two differences or the share is not positive.

    Reference:
        Nadeau and Bengio, "Inference for the generalization error", Machine Learning 52, 2003.

    Example:
        >>> [round(number, 8) for number in corrected_resampled_t([.03, .01, .03, .04, .03], 0.25)]
        [3.81031738, 0.01893498]
    """
    values = _finite(differences, "resampled t")
    n = len(values)
    if n < 2 or not test_share > 0:
        raise ShapeError(
            f"resampled t: expected 2 differences at least and a positive share, got {n} and {test_share!r}."
        )
    variance = float(values.var(ddof=1))
    if variance <= _SLACK**2:
        return None
    t = float(values.mean()) / math.sqrt(variance * (1 / n + test_share))
    return t, 2 * t_above(abs(t), n - 1)


def _finite(values: Sequence[float], name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    array = np.asarray(values, dtype=np.float64).ravel()
    if not len(array) or not np.isfinite(array).all():
        raise ShapeError(f"{name}: expected finite values, got {list(values)!r:.80}. Leave failed runs out.")
    return array
