"""Runs over many tasks in one number or one curve: who outperforms, robust means, profiles, search budgets."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from medtransfer.core.errors import ShapeError
from medtransfer.stats.summaries import check_confidence

FloatArray = npt.NDArray[np.float64]


def probability_of_outperforming(a: FloatArray, b: FloatArray) -> float:
    """Return the chance that a run of A beats a run of B, ties counting half, averaged over tasks.

    Args:
        a: Values of A, higher is better, shape (runs,) or (runs, tasks).
        b: Values of B, shape (other runs,) or (other runs, tasks).

    Raises:
        ShapeError: If the tasks differ or a value is not finite.

    Example:
        >>> x, y = np.array([[1, 2], [2, 2], [1, 1], [2, 1]]), np.array([[1, 1], [2, 2], [3, 3]])
        >>> round(probability_of_outperforming(x, y), 12)
        0.333333333333
    """
    first, second = _by_task(a), _by_task(b)
    if first.shape[1] != second.shape[1]:
        raise ShapeError(
            f"probability of outperforming: expected the same tasks, got {first.shape[1]} and {second.shape[1]}."
        )
    difference = first[:, None, :] - second[None, :, :]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean(axis=(0, 1)).mean())


def runs_to_detect(probability: float, *, alpha: float = 0.05, beta: float = 0.05) -> int:
    """Return how many runs per model show that one outperforms the other with a given probability.

    Args:
        probability: Wanted chance of outperforming, in (0.5, 1).
        alpha: One-sided error rate, in (0, 1).
        beta: Chance of missing it, in (0, 1).

    Raises:
        ShapeError: If the probability is not in (0.5, 1).

    Reference:
        Noether, "Sample size determination for some common nonparametric tests", JASA 82, 1987.

    Example:
        >>> runs_to_detect(0.75), runs_to_detect(0.65)
        (29, 81)
    """
    if not 0.5 < probability < 1:
        raise ShapeError(f"runs to detect: expected a probability in (0.5, 1), got {probability!r}.")
    spread = float(stats.norm.isf(alpha) + stats.norm.isf(beta))
    return math.ceil((spread / (math.sqrt(6) * (0.5 - probability))) ** 2)


def interquartile_mean(values: FloatArray) -> float:
    """Return the mean of the middle half of all runs of all tasks, in normalised scores.

    Args:
        values: Normalised scores of any shape, finite.

    Example:
        >>> interquartile_mean(np.array([[1, 1], [2, 2], [3, 3]]))
        2.0
    """
    return float(stats.trim_mean(_by_task(values).ravel(), 0.25))


def interquartile_mean_interval(
    values: FloatArray, seed: int, *, draws: int = 2000, confidence: float = 0.95
) -> tuple[float, float]:
    """Return an interval of the interquartile mean: runs are drawn again within each task.

    With three to five runs it is as narrow as any small bootstrap's: it describes, it does not test.

    Args:
        values: Normalised scores, shape (runs, tasks), finite.
        seed: Seed of the draws.
        draws: Number of draws.
        confidence: Level, in (0, 1).

    Raises:
        ShapeError: If a value is not finite or the level is out of range.
    """
    check_confidence(confidence)
    table = _by_task(values)
    runs, tasks = table.shape
    picks = np.random.default_rng(seed).integers(0, runs, (draws, runs, tasks))
    means = stats.trim_mean(table[picks, np.arange(tasks)].reshape(draws, -1), 0.25, axis=1)
    low, high = np.quantile(means, ((1 - confidence) / 2, (1 + confidence) / 2))
    return float(low), float(high)


def optimality_gap(values: FloatArray, goal: float) -> float:
    """Return how far runs fall short of a goal on average; what exceeds it does not make up for it.

    Args:
        values: Normalised scores of any shape, finite.
        goal: Score that counts as reached.

    Example:
        >>> round(optimality_gap(np.array([[.1, .5], [.2, .6], [.3, .7], [.9, .8]]), 0.75), 6)
        0.2625
    """
    return float(goal - np.minimum(_by_task(values), goal).mean())


def performance_profile(values: FloatArray, thresholds: FloatArray) -> FloatArray:
    """Return the share of runs of all tasks that lie strictly above each threshold.

    Args:
        values: Normalised scores, shape (runs, tasks), finite.
        thresholds: Shape (T,).

    Returns:
        Shares in [0, 1], shape (T,).

    Example:
        >>> performance_profile(np.array([[.1, .5], [.2, .6], [.3, .7], [.9, .8]]), np.array([.25])).tolist()
        [0.75]
    """
    flat = np.sort(_by_task(values).ravel())
    return np.asarray(1 - np.searchsorted(flat, thresholds, side="right") / len(flat))


def profile_band(
    values: FloatArray, thresholds: FloatArray, seed: int, *, draws: int = 2000, confidence: float = 0.95
) -> FloatArray:
    """Return a band around a performance profile: runs are drawn again within each task.

    With three to five runs such a band is as narrow as any small bootstrap's: it describes, it does
    not test.

    Args:
        values: Shape (runs, tasks), finite.
        thresholds: Shape (T,).
        seed: Seed of the draws.
        draws: Number of draws.
        confidence: Level, in (0, 1).

    Returns:
        Lower and upper ends, shape (2, T).
    """
    table = _by_task(values)
    runs, tasks = table.shape
    picks = np.random.default_rng(seed).integers(0, runs, (draws, runs, tasks))
    drawn = table[picks, np.arange(tasks)].reshape(draws, -1)
    shares = np.stack([(drawn > threshold).mean(axis=1) for threshold in np.asarray(thresholds)], axis=1)
    return np.asarray(np.quantile(shares, ((1 - confidence) / 2, (1 + confidence) / 2), axis=0))


def expected_best(values: Sequence[float], budget: int) -> float:
    """Return the expected best of a smaller search, without bias, from all trials of a larger one.

    Args:
        values: One value per trial of the search, higher is better; a failed trial counts as ``-inf``.
        budget: Trials of the smaller search, from 1 to the number of values.

    Raises:
        ShapeError: If the budget is out of range, or a value is NaN.

    Reference:
        Dodge et al., "Show your work: improved reporting of experimental results", EMNLP 2019, with
        the unbiased form of Tang et al., "Showing your work doesn't always work", ACL 2020.

    Example:
        >>> round(expected_best([1, 2, 3], 2), 9)
        2.666666667
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n = len(ordered)
    if not 1 <= budget <= n or np.isnan(ordered).any():
        raise ShapeError(f"expected best: expected a budget from 1 to {n} and no NaN, got {budget}.")
    weights = [math.comb(rank, budget - 1) / math.comb(n, budget) for rank in range(n)]
    used = [(weight, value) for weight, value in zip(weights, ordered.tolist(), strict=True) if weight > 0]
    return math.fsum(weight * value for weight, value in used)


def _by_task(values: FloatArray) -> FloatArray:
    """Return values as (runs, tasks), checked."""
    table = np.asarray(values, dtype=np.float64)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or not table.size or not np.isfinite(table).all():
        raise ShapeError(f"runs: expected finite values of shape (runs, tasks), got {table.shape}.")
    return table
