"""Whether two models are equivalent within a margin that was set before there were results."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import ShapeError
from medtransfer.stats.comparisons import Arm
from medtransfer.stats.patients import MOST_UNDEFINED, checked_draws, sign_flip_floor
from medtransfer.stats.stretched_draws import stretched_draws, stretched_interval
from medtransfer.stats.summaries import ROUNDING, sample_std, summarise_runs
from medtransfer.stats.t_distribution import t_above, t_below, t_quantile


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Two one-sided tests of a difference A - B against a margin."""

    margin: float
    """Difference, in metric units, that is called equivalent; declared by the task."""
    difference: float
    """A - B in metric units."""
    t_low: float | None
    """Statistic against ``-margin``; null where nothing varies or an arm has one run."""
    t_high: float | None
    """Statistic against ``+margin``."""
    df: float | None
    """Degrees of freedom."""
    p: float | None
    """Larger of the two one-sided p-values; null when undetermined, never NaN."""
    low: float | None
    """Lower end of the interval of level 1 - 2 alpha; null where so few patients give no p below alpha."""
    high: float | None
    """Upper end of that interval."""
    alpha: float
    """Error rate of the statement."""
    paired: bool
    """Whether runs, or draws of patients, of the two models are pairs."""
    unit: Literal["runs", "patients"] = "runs"
    """What was drawn: with ``patients`` the p-value comes from bootstrap draws and there is no t."""

    @property
    def equivalent(self) -> bool:
        """Whether the difference lies within the margin at the error rate; False without a p-value."""
        return self.p is not None and self.p < self.alpha


def equivalence_of_runs(
    a: Sequence[float], b: Sequence[float], margin: float, *, alpha: float = 0.05
) -> Equivalence:
    """Test whether two models differ by less than a margin, over runs that are no pairs.

    Standard error and degrees of freedom are Welch's. A difference that is not significant is no
    proof of equivalence; this is.

    Args:
        a: One finite value per run of model A, at least one.
        b: One finite value per run of model B, at least one.
        margin: Margin in metric units, positive.
        alpha: Error rate, in (0, 0.5).

    Raises:
        ShapeError: If an arm is empty or not finite, or margin or alpha are out of range.

    Reference:
        Schuirmann, "A comparison of the two one-sided tests procedure and the power approach for
        assessing the equivalence of average bioavailability", J. Pharmacokinet. Biopharm. 15, 1987.
    """
    first, second = (Arm(runs.n, runs.mean, runs.std) for runs in (summarise_runs(a), summarise_runs(b)))
    difference = first.mean - second.mean
    if first.std is None or second.std is None or first.std == second.std == 0:
        return _tested(difference, None, None, margin, alpha, paired=False)
    part_a, part_b = first.std**2 / first.n, second.std**2 / second.n
    df = (part_a + part_b) ** 2 / (part_a**2 / (first.n - 1) + part_b**2 / (second.n - 1))
    return _tested(difference, math.sqrt(part_a + part_b), df, margin, alpha, paired=False)


def equivalence_of_pairs(differences: Sequence[float], margin: float, *, alpha: float = 0.05) -> Equivalence:
    """Test whether paired differences have a mean within a margin.

    Args:
        differences: One finite difference per pair, at least one.
        margin: Margin in metric units, positive.
        alpha: Error rate, in (0, 0.5).

    Raises:
        ShapeError: If there is no difference, one is not finite, or margin or alpha are out of range.

    Example:
        >>> found = equivalence_of_pairs([.002, -.001, .003, 0, -.002, .001, .004, -.003, .002, .001], .005)
        >>> f"{found.t_low:.6f} {found.t_high:.6f} {found.p:.4e} {found.equivalent}"
        '8.142857 -6.142857 8.5091e-05 True'
    """
    runs = summarise_runs(differences)
    std = sample_std([float(value) for value in differences])
    error = None if not std else std / math.sqrt(runs.n)
    return _tested(runs.mean, error, None if error is None else runs.n - 1, margin, alpha, paired=True)


def equivalence_by_cases(
    point_a: float,
    point_b: float,
    draws_a: npt.NDArray[Any],
    draws_b: npt.NDArray[Any],
    margin: float,
    *,
    patients: int,
    df: float | None = None,
    alpha: float = 0.05,
) -> Equivalence:
    """Test whether two models differ by less than a margin on other patients; for deterministic cells.

    Both one-sided p-values are shares of paired bootstrap draws beyond the margin,
    ``(1 + #(d* <= -margin)) / (B + 1)`` and ``(1 + #(d* >= margin)) / (B + 1)``. The draws are those
    of :func:`~medtransfer.stats.case_comparisons.compare_by_cases`, moved away from the point by t / z,
    and neither p-value is below ``2 ** -patients``. Where no draw differs from another, they know nothing of
    patients who would make a difference: if a share as large as the margin did, none would be among these
    with chance ``(1 - margin) ** patients``, below which p is not then.

    Args:
        point_a: Metric of A on all cases.
        point_b: Metric of B on all cases.
        draws_a: Metric of A per draw of patients, shape (B,), NaN where undefined.
        draws_b: Metric of B on the same draws, shape (B,).
        margin: Margin in metric units, positive.
        patients: Number of patients that were resampled; not of cases.
        df: Degrees of freedom of the spread of the draws; one less than patients by default.
        alpha: Error rate, in (0, 0.5).

    Returns:
        The tests, without t and df; without p below two patients, or where more than 5 % of the draws
        are undefined. There is no interval either where so few patients give no p below alpha.

    Raises:
        ShapeError: If the draws do not have the same shape, a point is not finite, or margin or alpha
            are out of range.
    """
    a, b = checked_draws(draws_a), checked_draws(draws_b)
    if a.shape != b.shape or not (math.isfinite(point_a) and math.isfinite(point_b)):
        raise ShapeError(
            "equivalence: expected finite points and the same draws for both models, got "
            f"{point_a!r} and {point_b!r} with {len(a)} and {len(b)} draws."
        )
    found = replace(_tested(point_a - point_b, None, None, margin, alpha, paired=True), unit="patients")
    differences = (a - b)[~np.isnan(a - b)]
    if patients < 2 or len(a) - len(differences) > MOST_UNDEFINED * len(a):
        return found
    freedom, floor = patients - 1 if df is None else df, sign_flip_floor(patients)
    moved = stretched_draws(differences, found.difference, freedom)
    beyond = max(int((moved <= -margin).sum()), int((moved >= margin).sum()))
    rounding = ROUNDING * max(abs(point_a), abs(point_b))
    unseen = (1 - min(margin, 1.0)) ** patients if moved[-1] - moved[0] <= rounding else 0.0
    found = replace(found, p=max((1 + beyond) / (len(moved) + 1), floor, unseen))
    if floor >= alpha:
        return found
    low, high = stretched_interval(differences, found.difference, freedom, 1 - 2 * alpha)
    return replace(found, low=low, high=high)


def _tested(
    difference: float, error: float | None, df: float | None, margin: float, alpha: float, *, paired: bool
) -> Equivalence:
    if not 0 < margin < math.inf or not 0 < alpha < 0.5:
        raise ShapeError(
            f"equivalence: expected a positive margin and alpha in (0, 0.5), got {margin!r} and {alpha!r}."
        )
    if error is None or df is None:
        return Equivalence(margin, difference, None, None, None, None, None, None, alpha, paired)
    t_low, t_high = (difference + margin) / error, (difference - margin) / error
    half = -t_quantile(alpha, df) * error
    return Equivalence(
        margin=margin,
        difference=difference,
        t_low=t_low,
        t_high=t_high,
        df=df,
        p=max(t_above(t_low, df), t_below(t_high, df)),
        low=difference - half,
        high=difference + half,
        alpha=alpha,
        paired=paired,
    )
