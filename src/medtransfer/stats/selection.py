"""What choosing the best of many does to its score: the winner's curse, and search at a smaller budget."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import integrate, stats

from medtransfer.core.errors import ShapeError


def expected_maximum(models: int) -> float:
    """Return c_k, the expected best of k equal models in standard deviations above their mean.

    A test score that was the best of k is expected to lie c_k standard deviations too high.

    Args:
        models: Number of models k, at least 1.

    Raises:
        ShapeError: If there is no model.

    Example:
        >>> round(expected_maximum(5), 5), round(expected_maximum(20), 5)
        (1.16296, 1.86748)
    """
    if models < 1:
        raise ShapeError(f"expected maximum: expected one model at least, got {models!r}.")
    if models == 1:
        return 0.0

    def density(x: float) -> float:
        return float(x * models * math.exp(stats.norm.logpdf(x) + (models - 1) * stats.norm.logcdf(x)))

    top = 3.0 + math.sqrt(2 * math.log(models))
    value, _ = integrate.quad(density, -9.0, top + 9.0, points=[0.0, top - 3.0], epsabs=1e-12, limit=200)
    return float(value)


def search_curve(values: Sequence[float]) -> npt.NDArray[np.float64]:
    """Return the expected best of a search at every budget from 1 to all trials, without bias.

    Compare models by these curves, not by their best trial: the budget, the size of the space and the
    rule for stopping must be the same for all.

    Args:
        values: One value per trial of the search, higher is better; a failed trial counts as ``-inf``.

    Returns:
        Shape (N,), for budgets 1 to N; never falling.

    Raises:
        ShapeError: If there is no trial, or a value is NaN or infinitely good.

    Reference:
        Dodge et al., "Show your work: improved reporting of experimental results", EMNLP 2019 (whose
        estimate is biased; this one counts trials without replacement).

    Example:
        >>> search_curve([1, 2, 3]).round(6).tolist()
        [2.0, 2.666667, 3.0]
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    trials = len(ordered)
    if not trials or np.isnan(ordered).any() or np.isposinf(ordered).any():
        raise ShapeError(
            f"search curve: expected one trial at least, finite or -inf where it failed, got {list(values)!r:.80}."
        )
    failed = int(np.isneginf(ordered).sum())
    ranks, ordered[:failed] = np.arange(1, trials + 1), 0.0
    weights = np.full(trials, 1 / trials)  # C(rank - 1, budget - 1) / C(trials, budget)
    curve = np.empty(trials)
    for budget in range(1, trials + 1):
        curve[budget - 1] = -np.inf if failed >= budget else weights @ ordered
        if budget < trials:
            weights = weights * np.maximum(ranks - budget, 0) / (trials - budget) * (budget + 1) / budget
    return curve
