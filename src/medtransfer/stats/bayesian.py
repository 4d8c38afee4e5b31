"""Chances that one model is better, worse, or within a margin of another: the correlated Bayesian t-test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from medtransfer.core.errors import ShapeError
from medtransfer.stats.summaries import sample_std, summarise_runs
from medtransfer.stats.t_distribution import t_above, t_below


@dataclass(frozen=True)
class PosteriorChances:
    """How probable a true difference A - B is on each side of a margin; the three add up to 1."""

    a_higher: float
    """Chance that A exceeds B by more than the margin."""
    within: float
    """Chance that they differ by the margin at most (the region of practical equivalence)."""
    b_higher: float
    """Chance that B exceeds A by more than the margin."""
    margin: float
    """Margin in metric units."""
    n: int
    """Number of differences."""


def posterior_chances(
    differences: Sequence[float], margin: float, *, test_share: float
) -> PosteriorChances | None:
    """Return the posterior chances of a mean difference over resampled splits that share training cases.

    The posterior is Student's t around the mean with n - 1 degrees of freedom and the scale of Nadeau and
    Bengio's correction. Differences that do not vary leave no spread to infer anything from.

    Args:
        differences: One finite difference A - B per split, at least two.
        margin: Margin in metric units, at least 0.
        test_share: Test cases divided by training cases of a split, at least 0; 1 / (k - 1) for k folds.

    Returns:
        The chances; None when the differences do not vary.

    Raises:
        ShapeError: If there are fewer than two differences, or an argument is out of range.

    Reference:
        Corani and Benavoli, "A Bayesian approach for comparing cross-validated algorithms on multiple
        data sets", Machine Learning 100, 2015.

    Example:
        >>> found = posterior_chances([.03, .01, .03, .04, .03], 0.01, test_share=0.25)
        >>> [round(chance, 6) for chance in (found.a_higher, found.within, found.b_higher)]
        [0.964758, 0.031919, 0.003323]
    """
    runs = summarise_runs(differences)
    if runs.n < 2 or not 0 <= margin < math.inf or not 0 <= test_share < math.inf:
        raise ShapeError(
            "posterior chances: expected two differences at least, a margin and a share of at least 0, got "
            f"{runs.n}, {margin!r} and {test_share!r}."
        )
    spread = sample_std([float(value) for value in differences])
    if not spread:
        return None
    scale = spread * math.sqrt(1 / runs.n + test_share)
    above = t_above((margin - runs.mean) / scale, runs.n - 1)
    below = t_below((-margin - runs.mean) / scale, runs.n - 1)
    return PosteriorChances(above, max(0.0, 1 - above - below), below, margin, runs.n)
