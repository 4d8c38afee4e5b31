"""How many more runs, or how many test patients, would settle whether two models differ by as much as matters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from medtransfer.core.errors import ShapeError
from medtransfer.stats.comparisons import Arm
from medtransfer.stats.power import POWER, detectable_from_standard_error

MOST_RUNS = 10_000
"""Runs per model above which nobody is told to run more seeds."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(100)
_TAIL = 1e-13
"""Probability that is left out at either end of an integral."""
_STEPS = 9.0
"""Standard deviations within which the normal distribution function goes from 0 to 1."""

Hurdle = Literal["deterministic", "few-runs", "no-variation", "patients", "too-many-runs"]
"""Why no number of runs can be told: no seed changes the results; an arm has fewer than two runs, so that its
spread is not known; no run differs from another; the test patients alone leave more uncertainty than the margin;
more than ``MOST_RUNS`` would be needed."""


@dataclass(frozen=True)
class Spread:
    """What the uncertainty of a difference consists of, as far as it was observed."""

    a: Arm | None
    """Runs of A; null when no seed changes its result."""
    b: Arm | None
    """Runs of B; null when no seed changes its result."""
    patients: int
    """Number of test patients."""
    patients_error: float | None
    """Standard error of the difference over patients alone, in metric units; null when unknown."""


@dataclass(frozen=True)
class Settling:
    """What it takes to find a difference as large as the margin; says nothing about the difference observed."""

    margin: float
    """Difference to be found, in metric units."""
    alpha: float
    """Two-sided error rate of the test, after correction for the family."""
    power: float
    """Wanted chance of finding it."""
    runs: int | None
    """Runs per model with which it is found, over these patients; null when there is a hurdle."""
    more_a: int | None
    """Runs of A to add; 0 when there are enough."""
    more_b: int | None
    """Runs of B to add."""
    patients: int | None
    """Test patients with which it would be found if training did not vary; null when unknown."""
    patients_now: int
    """Test patients there are."""
    patients_detectable: float | None
    """Smallest difference that they let be found if training did not vary; null when unknown."""
    hurdle: Hurdle | None
    """Why no number of runs is told; null when one is."""

    @property
    def more_patients(self) -> bool:
        """Whether there are too few test patients, whatever the number of runs."""
        return self.patients is not None and self.patients > self.patients_now


def settle(spread: Spread, margin: float, *, alpha: float = 0.05, power: float = POWER) -> Settling:
    """Return what it takes to find a difference as large as the margin.

    Spread over runs and over patients are taken as observed and as they add up. More runs shrink the
    first part only.

    Args:
        spread: What the uncertainty consists of.
        margin: Difference to be found, in metric units, positive.
        alpha: Two-sided error rate, in (0, power).
        power: Wanted chance, in (alpha, 1).

    Raises:
        ShapeError: If a number is out of range.
    """
    patients = detectable = None
    if spread.patients_error is not None and spread.patients > 1:
        patients = patients_to_settle(
            spread.patients_error, spread.patients, margin, alpha=alpha, power=power
        )
        detectable = detectable_from_standard_error(spread.patients_error, alpha=alpha, power=power)
    runs, hurdle = _runs_or_hurdle(spread, margin, alpha, power, patients)
    return Settling(
        margin=margin,
        alpha=alpha,
        power=power,
        runs=runs,
        more_a=None if runs is None or spread.a is None else max(0, runs - spread.a.n),
        more_b=None if runs is None or spread.b is None else max(0, runs - spread.b.n),
        patients=patients,
        patients_now=spread.patients,
        patients_detectable=detectable,
        hurdle=hurdle,
    )


def runs_to_settle(
    std_a: float,
    std_b: float,
    margin: float,
    *,
    alpha: float = 0.05,
    power: float = POWER,
    fixed_error: float = 0.0,
) -> int | None:
    """Return how many runs per model find a difference as large as the margin, by a two-sided Welch test.

    Args:
        std_a: Standard deviation over the runs of A, in metric units, at least 0.
        std_b: Standard deviation over the runs of B; one of the two is positive.
        margin: Difference to be found, in metric units, positive.
        alpha: Error rate of the test, in (0, power).
        power: Wanted chance of finding it, in (alpha, 1).
        fixed_error: Standard error that more runs do not change, such as that over the test patients.

    Returns:
        The smallest number, at least 2; null where more than ``MOST_RUNS`` are needed, or none suffices.

    Raises:
        ShapeError: If an argument is out of range, or nothing varies over runs.

    Reference:
        Cohen, *Statistical Power Analysis for the Behavioral Sciences*, 2nd edition, 1988, chapter 2;
        degrees of freedom by Satterthwaite, "An approximate distribution of estimates of variance
        components", Biometrics Bulletin 2, 1946.

    Example:
        >>> runs_to_settle(1.0, 1.0, 0.5), runs_to_settle(1.0, 1.0, 1.0)
        (64, 17)
        >>> runs_to_settle(1.0, 1.0, 0.5, fixed_error=0.2) is None
        True
    """
    _check(margin, alpha, power)
    deviations = (std_a, std_b, fixed_error)
    if not all(math.isfinite(value) and value >= 0 for value in deviations) or std_a == std_b == 0:
        raise ShapeError(
            "runs to settle: expected finite deviations of at least 0, and one over runs that is positive, got "
            f"{std_a!r}, {std_b!r} and a fixed error of {fixed_error!r}."
        )

    def suffices(n: int) -> bool:
        return _welch_power(n, std_a, std_b, margin, alpha, fixed_error) >= power

    if not suffices(MOST_RUNS):
        return None
    low, high = 1, MOST_RUNS  # low never suffices: a test needs two runs
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return high


def patients_to_settle(
    error: float, patients: int, margin: float, *, alpha: float = 0.05, power: float = POWER
) -> int:
    """Return how many test patients find a difference as large as the margin, were training not to vary.

    The standard error is taken to shrink with the root of the number of patients like these.

    Args:
        error: Standard error of the difference over the patients there are, in metric units, at least 0.
        patients: Number of patients there are, at least 2.
        margin: Difference to be found, in metric units, positive.
        alpha: Two-sided error rate, in (0, power).
        power: Wanted chance of finding it, in (alpha, 1).

    Returns:
        The number, at least 2.

    Raises:
        ShapeError: If an argument is out of range.

    Example:
        >>> patients_to_settle(0.02, 100, 0.02)
        785
    """
    _check(margin, alpha, power)
    if not (math.isfinite(error) and error >= 0) or patients < 2:
        raise ShapeError(
            "patients to settle: expected a finite standard error of at least 0 and at least 2 patients, got "
            f"{error!r} and {patients!r}."
        )
    ratio = detectable_from_standard_error(error, alpha=alpha, power=power) / margin
    return max(2, math.ceil(patients * ratio**2))


def _runs_or_hurdle(
    spread: Spread, margin: float, alpha: float, power: float, patients: int | None
) -> tuple[int | None, Hurdle | None]:
    a, b = spread.a, spread.b
    if a is None and b is None:
        return None, "deterministic"
    if a is None or b is None or a.std is None or b.std is None:
        return None, "few-runs"
    if patients is not None and patients > spread.patients:
        return None, "patients"
    if a.std == b.std == 0:
        return None, "no-variation"
    runs = runs_to_settle(
        a.std, b.std, margin, alpha=alpha, power=power, fixed_error=spread.patients_error or 0.0
    )
    return runs, "too-many-runs" if runs is None else None


def _welch_power(
    n: int, std_a: float, std_b: float, difference: float, alpha: float, fixed_error: float
) -> float:
    """Return the power of a two-sided Welch test with n runs per model.

    A fixed part of the variance is known, so that it adds to the error and to the degrees of freedom.
    """
    part_a, part_b = std_a**2 / n, std_b**2 / n
    total = part_a + part_b + fixed_error**2
    shift = difference / math.sqrt(total)
    share_a, share_b = part_a / total, part_b / total
    freedom = (n - 1) / (share_a**2 + share_b**2)
    return _t_power(shift, freedom, float(stats.t.isf(alpha / 2, freedom)))


def _t_power(shift: float, freedom: float, critical: float) -> float:
    """Return the chance that a shifted t statistic is beyond its critical value on either side.

    The integral over the estimated deviation replaces scipy's non-central t, which fails to converge
    for few degrees of freedom and strict error rates.
    """
    low, high = np.sqrt(stats.chi2.ppf([_TAIL, 1 - _TAIL], freedom) / freedom)
    turn = np.clip(np.array([shift - _STEPS, shift, shift + _STEPS]) / critical, low, high)
    ends = np.array([low, *turn, high]) ** 0.25  # the fourth root takes the density's kink at 0 away
    half = np.diff(ends)[:, None] / 2
    root = ends[:-1, None] + half * (1 + _NODES)
    deviation = root**4
    density = 8 * freedom * deviation * root**3 * stats.chi2.pdf(freedom * deviation**2, freedom)
    beyond = stats.norm.cdf(shift - critical * deviation) + stats.norm.cdf(-shift - critical * deviation)
    return float((half * _WEIGHTS * density * beyond).sum())


def _check(margin: float, alpha: float, power: float) -> None:
    if not 0 < margin < math.inf or not 0 < alpha < power < 1:
        raise ShapeError(
            "settling: expected a positive margin and 0 < alpha < power < 1, got "
            f"margin={margin!r}, alpha={alpha!r}, power={power!r}."
        )
