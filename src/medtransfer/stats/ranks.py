"""Many models over many tasks: ranks, whether they differ at all, and how far apart they must be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from medtransfer.core.errors import ShapeError
from medtransfer.stats.summaries import check_confidence

FloatArray = npt.NDArray[np.float64]

FEWEST_TASKS = 6
"""Tasks below which no critical difference is given."""


@dataclass(frozen=True)
class Friedman:
    """Whether any of k models differs over N tasks."""

    variant: Literal["tie-corrected", "from mean ranks"]
    """How the statistic was computed; printed with it, because they differ where ranks tie."""
    chi_square: float
    """Friedman's statistic."""
    p: float
    """Its p-value from the chi-square distribution with k - 1 degrees of freedom."""
    f: float | None
    """Iman and Davenport's F; null where it is infinite."""
    f_p: float | None
    """Its p-value."""
    mean_ranks: tuple[float, ...]
    """Mean rank of each model; 1 is best."""
    tasks: int
    """Number of tasks N."""


def complete_tasks(values: FloatArray) -> FloatArray:
    """Return the tasks that have a value of every model; the others cannot be ranked.

    Args:
        values: Shape (N tasks, k models), NaN where a cell is missing.
    """
    return np.asarray(values[np.isfinite(values).all(axis=1)])


def rank_models(values: FloatArray, *, higher_is_better: bool = True) -> FloatArray:
    """Return the rank of every model on every task, 1 for the best, ties sharing their mean rank.

    Args:
        values: Shape (N, k), finite.
        higher_is_better: Direction of the metric.

    Raises:
        ShapeError: If a value is missing or there are fewer than two models.
    """
    if values.ndim != 2 or values.shape[1] < 2 or not np.isfinite(values).all() or not len(values):
        raise ShapeError(
            f"ranks: expected finite values of two models at least, shape (tasks, models), got {values.shape}. "
            "Leave out tasks with missing cells, and say how many."
        )
    return np.asarray(stats.rankdata(-values if higher_is_better else values, axis=1))


def friedman(ranks: FloatArray) -> Friedman:
    """Test whether k models have the same mean rank, corrected for ties, as scipy does.

    Args:
        ranks: What :func:`rank_models` returned, shape (N, k), k at least 3.

    Raises:
        ShapeError: If there are fewer than three models or two tasks.

    Reference:
        Demsar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7, 2006.
    """
    tasks, models = ranks.shape
    if models < 3 or tasks < 2:
        raise ShapeError(f"Friedman: expected 3 models on 2 tasks at least, got {models} on {tasks}.")
    if np.ptp(ranks) == 0:
        return Friedman("tie-corrected", 0.0, 1.0, 0.0, 1.0, tuple(ranks.mean(axis=0).tolist()), tasks)
    chi, _ = stats.friedmanchisquare(*ranks.T)
    return _with_f("tie-corrected", float(chi), ranks.mean(axis=0), tasks)


def friedman_from_mean_ranks(mean_ranks: FloatArray, tasks: int) -> Friedman:
    """Return the test from mean ranks alone, without correction for ties; for published tables.

    Args:
        mean_ranks: Shape (k,).
        tasks: Number of tasks N.

    Example:
        >>> found = friedman_from_mean_ranks(np.array([44, 28, 40.5, 27.5]) / 14, 14)
        >>> f"{found.chi_square:.6f} {found.f:.6f}"
        '9.278571 3.686313'
    """
    k = len(mean_ranks)
    chi = 12 * tasks / (k * (k + 1)) * (float((mean_ranks**2).sum()) - k * (k + 1) ** 2 / 4)
    return _with_f("from mean ranks", chi, mean_ranks, tasks)


def critical_difference(models: int, tasks: int, *, alpha: float = 0.05, against_one: bool = False) -> float:
    """Return how far two mean ranks must lie apart to differ: Nemenyi's, or Bonferroni and Dunn's.

    Args:
        models: Number of models k, at least 2.
        tasks: Number of tasks N, at least 6.
        alpha: Error rate over all comparisons, in (0, 1).
        against_one: Whether k - 1 models are compared with one only (Bonferroni-Dunn).

    Raises:
        ShapeError: If there are too few models or tasks; a picture of them would mislead.

    Example:
        >>> round(critical_difference(4, 14), 6)
        1.253559
    """
    if models < 2 or tasks < FEWEST_TASKS:
        raise ShapeError(
            f"critical difference: expected 2 models and {FEWEST_TASKS} tasks at least, got {models} and {tasks}. "
            "Compare the models task by task instead."
        )
    return rank_quantile(models, alpha=alpha, against_one=against_one) * math.sqrt(
        models * (models + 1) / (6 * tasks)
    )


def rank_quantile(models: int, *, alpha: float = 0.05, against_one: bool = False) -> float:
    """Return the factor q of a critical difference.

    Example:
        >>> [round(rank_quantile(k), 4) for k in (2, 4, 6, 8, 10)]
        [1.96, 2.569, 2.8497, 3.0309, 3.1637]
        >>> round(rank_quantile(4, against_one=True), 5)
        2.39398
    """
    if against_one:
        return float(stats.norm.isf(alpha / (2 * (models - 1))))
    return float(stats.studentized_range.ppf(1 - alpha, models, np.inf)) / math.sqrt(2)


def rank_intervals(
    values: FloatArray,
    seed: int,
    *,
    draws: int = 2000,
    confidence: float = 0.95,
    higher_is_better: bool = True,
) -> FloatArray:
    """Return percentile intervals of the mean ranks over draws of tasks.

    Args:
        values: Shape (N, k), finite.
        seed: Seed of the draws.
        draws: Number of draws.
        confidence: Level, in (0, 1).
        higher_is_better: Direction of the metric.

    Returns:
        Lower and upper ends, shape (k, 2); descriptive where there are few tasks.

    Raises:
        ShapeError: As for :func:`rank_models`.
    """
    ranks = rank_models(values, higher_is_better=higher_is_better)
    picks = np.random.default_rng(seed).integers(0, len(ranks), (draws, len(ranks)))
    means = ranks[picks].mean(axis=1)
    ends = np.quantile(means, ((1 - confidence) / 2, (1 + confidence) / 2), axis=0)
    return np.asarray(ends.T)


def rank_intervals_by_draws(
    draws: FloatArray, *, confidence: float = 0.95, higher_is_better: bool = True
) -> FloatArray:
    """Return percentile intervals of the ranks on one task over draws of its patients, or of its runs.

    Args:
        draws: Metric of every model under each draw, shape (B, k), the same draws for all; draws in which
            a model has no value (NaN) are left out.
        confidence: Level, in (0, 1).
        higher_is_better: Direction of the metric.

    Returns:
        Lower and upper ends, shape (k, 2).

    Raises:
        ShapeError: If no draw has all values, there are fewer than two models, or the level is out of
            range.
    """
    check_confidence(confidence)
    if draws.ndim != 2:
        raise ShapeError(f"ranks: expected draws of shape (draws, models), got {draws.shape}.")
    ranks = rank_models(complete_tasks(draws), higher_is_better=higher_is_better)
    return np.asarray(np.quantile(ranks, ((1 - confidence) / 2, (1 + confidence) / 2), axis=0).T)


def draw_run_means(runs: Sequence[Sequence[float]], seed: int, *, draws: int = 2000) -> FloatArray:
    """Return means of runs drawn again within each model, for :func:`rank_intervals_by_draws`.

    With three to five runs the intervals made from them are too narrow: they describe, they do not test.

    Args:
        runs: Finite values per run of each of k models, one at least.
        seed: Seed of the draws.
        draws: Number of draws B.

    Returns:
        Shape (B, k).

    Raises:
        ShapeError: If a model has no runs or one is not finite.
    """
    rng = np.random.default_rng(seed)
    means = np.empty((draws, len(runs)))
    for column, values in enumerate(runs):
        model = np.asarray(values, dtype=np.float64)
        if model.ndim != 1 or not len(model) or not np.isfinite(model).all():
            raise ShapeError(f"run means: expected finite runs of every model, got {list(values)!r:.80}.")
        means[:, column] = model[rng.integers(0, len(model), (draws, len(model)))].mean(axis=1)
    return means


def win_rates(ranks: FloatArray) -> FloatArray:
    """Return how often each model beats another on a task, ties counting half: in [0, 1], shape (k,).

    Args:
        ranks: What :func:`rank_models` returned, shape (N, k).

    Example:
        >>> win_rates(rank_models(np.array([[.9, .8, .7], [.9, .9, .7]]))).tolist()
        [0.875, 0.625, 0.0]
    """
    models = ranks.shape[1]
    return np.asarray((models - ranks.mean(axis=0)) / (models - 1))


def _with_f(
    variant: Literal["tie-corrected", "from mean ranks"], chi: float, mean_ranks: FloatArray, tasks: int
) -> Friedman:
    k = len(mean_ranks)
    rest = tasks * (k - 1) - chi
    f = None if rest <= 1e-12 * tasks * (k - 1) else (tasks - 1) * chi / rest
    return Friedman(
        variant=variant,
        chi_square=chi,
        p=float(stats.chi2.sf(chi, k - 1)),
        f=f,
        f_p=None if f is None else float(stats.f.sf(f, k - 1, (k - 1) * (tasks - 1))),
        mean_ranks=tuple(float(rank) for rank in mean_ranks),
        tasks=tasks,
    )
