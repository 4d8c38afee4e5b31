"""Two models compared over their runs: Welch's test with intervals and the detectable difference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

from medtransfer.core.errors import ShapeError, UsageError
from medtransfer.stats.comparison_record import Better, Comparison, Flag, Sidedness, leading_side
from medtransfer.stats.power import POWER, minimum_detectable_difference
from medtransfer.stats.summaries import check_confidence, summarise_runs
from medtransfer.stats.t_distribution import t_above, t_below, t_quantile

__all__ = ["Arm", "Better", "Comparison", "Flag", "Sidedness", "welch", "welch_from_summaries"]

_LARGEST_LOG = 700.0
"""A ratio whose logarithm goes beyond this is no number any more."""
_STUDENT_TAILS = {"greater": t_above, "less": t_below}


@dataclass(frozen=True)
class Arm:
    """The runs of one side of a comparison, or a published cell without its runs."""

    n: int
    """Number of runs, at least 1; a published cell whose number is not known cannot be tested."""
    mean: float
    """Mean."""
    std: float | None
    """Sample standard deviation (ddof 1), null for one run."""

    def __post_init__(self) -> None:
        spread = self.std is None if self.n == 1 else self.std is not None and 0 <= self.std < math.inf
        if not _is_count(self.n) or not math.isfinite(self.mean) or not spread:
            raise ShapeError(
                "arm: expected n >= 1, a finite mean, and a finite standard deviation of at least 0 exactly "
                f"when n > 1, got {self!r}. A cell with an unknown number of runs cannot be tested."
            )


def _is_count(n: object) -> bool:
    return isinstance(n, Integral) and int(n) >= 1


def welch(
    a: Sequence[float],
    b: Sequence[float],
    better: Better = "higher",
    *,
    sidedness: Sidedness = "two-sided",
    confidence: float = 0.95,
    alpha: float = 0.05,
) -> Comparison:
    """Compare the runs of two models by Welch's t-test, which assumes no common variance.

    Runs scored on one test set carry no test-sample variation: the test asks whether retrained
    models would differ on these cases.

    Args:
        a: One finite value per run of model A, at least one.
        b: One finite value per run of model B, at least one; runs of A and B need not be pairs.
        better: Direction of the metric.
        sidedness: Alternative, declared before results exist.
        confidence: Level of the intervals, in (0, 1).
        alpha: Error rate of the minimum detectable effect, in (0, 0.8).

    Returns:
        The comparison; p is null when an arm has fewer than two runs or neither varies.

    Raises:
        ShapeError: If an arm is empty or has values that are not finite, or a level is out of range.
        UsageError: If the direction or the sidedness is none of the known ones.

    Reference:
        Welch, "The generalization of 'Student's' problem when several different population
        variances are involved", Biometrika 34, 1947.

    Example:
        >>> c = welch([.81, .83, .80, .84, .82], [.78, .82, .77, .80, .79])
        >>> f"{c.difference:.3f} ({c.low:.3f} to {c.high:.3f}), p = {c.p:.4f}"
        '0.028 (0.002 to 0.054), p = 0.0372'
    """
    first, second = (Arm(runs.n, runs.mean, runs.std) for runs in (summarise_runs(a), summarise_runs(b)))
    return welch_from_summaries(
        first, second, better, sidedness=sidedness, confidence=confidence, alpha=alpha
    )


def welch_from_summaries(
    a: Arm,
    b: Arm,
    better: Better = "higher",
    *,
    sidedness: Sidedness = "two-sided",
    confidence: float = 0.95,
    alpha: float = 0.05,
) -> Comparison:
    """Compare two models of which only number of runs, mean and standard deviation are known.

    See :func:`welch` for the arguments. Published tables of this field often print a standard
    deviation with ddof 0; convert it first.
    """
    check_confidence(confidence)
    if sidedness not in ("two-sided", *_STUDENT_TAILS):
        raise UsageError(f"sidedness: expected 'two-sided', 'greater' or 'less', got {sidedness!r}.")
    absolute = _Difference(a.mean - b.mean, *_error_and_freedom(a, b, 1.0, 1.0))
    low, high = absolute.interval(confidence)
    relative, relative_low, relative_high = _relative_percent(a, b, confidence)
    return Comparison(
        test="Welch t",
        sidedness=sidedness,
        paired=False,
        pair_shares=None,
        unit="runs",
        n_a=a.n,
        n_b=b.n,
        mean_a=a.mean,
        mean_b=b.mean,
        statistic=absolute.statistic,
        df=absolute.df,
        p=absolute.p_value(sidedness),
        difference=absolute.value,
        low=low,
        high=high,
        confidence=confidence,
        relative_percent=relative,
        relative_low=relative_low,
        relative_high=relative_high,
        minimum_detectable_effect=_detectable(a, b, alpha),
        alpha=alpha,
        power=POWER,
        better=better,
        leader=leading_side(a.mean, b.mean, better),
        flags=_flags(a, b),
    )


@dataclass(frozen=True)
class _Difference:
    """A difference with its standard error and Satterthwaite degrees of freedom, null without a test."""

    value: float
    error: float | None
    df: float | None

    @property
    def statistic(self) -> float | None:
        return None if self.error is None else self.value / self.error

    def p_value(self, sidedness: Sidedness) -> float | None:
        if self.statistic is None or self.df is None:
            return None
        if sidedness == "two-sided":
            return 2 * t_above(abs(self.statistic), self.df)
        return _STUDENT_TAILS[sidedness](self.statistic, self.df)

    def interval(self, confidence: float) -> tuple[float | None, float | None]:
        if self.error is None or self.df is None:
            return None, None
        half = t_quantile((1 + confidence) / 2, self.df) * self.error
        return self.value - half, self.value + half


def _error_and_freedom(a: Arm, b: Arm, unit_a: float, unit_b: float) -> tuple[float | None, float | None]:
    """Return the standard error of the difference, arms measured in their units, and its degrees of freedom."""
    if a.std is None or b.std is None or a.std == b.std == 0:
        return None, None
    part_a, part_b = (a.std / unit_a) ** 2 / a.n, (b.std / unit_b) ** 2 / b.n
    total = part_a + part_b
    share_a, share_b = part_a / total, part_b / total
    return math.sqrt(total), 1 / (share_a**2 / (a.n - 1) + share_b**2 / (b.n - 1))


def _relative_percent(a: Arm, b: Arm, confidence: float) -> tuple[float | None, float | None, float | None]:
    """Return the relative difference in percent with its log-ratio interval; null where it is unbounded."""
    if a.mean <= 0 or b.mean <= 0:
        return None, None, None
    log_ratio = _Difference(math.log(a.mean / b.mean), *_error_and_freedom(a, b, a.mean, b.mean))
    percent = (a.mean / b.mean - 1) * 100
    low, high = log_ratio.interval(confidence)
    if low is None or high is None or high > _LARGEST_LOG:
        return percent, None, None
    return percent, 100 * math.expm1(low), 100 * math.expm1(high)


def _detectable(a: Arm, b: Arm, alpha: float) -> float | None:
    if a.std is None or b.std is None or a.std == b.std == 0:
        return None
    pooled = ((a.n - 1) * a.std**2 + (b.n - 1) * b.std**2) / (a.n + b.n - 2)
    return minimum_detectable_difference(math.sqrt(pooled), a.n, b.n, alpha=alpha)


def _flags(a: Arm, b: Arm) -> tuple[Flag, ...]:
    if a.std is None or b.std is None:
        return ("undetermined",)
    if a.std == b.std == 0:
        return ("zero_variance",)
    return ("constant_arm",) if 0 in (a.std, b.std) else ()
