"""Student's t: for runs that are true pairs, and for reading published tables that used it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from medtransfer.core.errors import ShapeError, UsageError
from medtransfer.stats.comparison_record import Better, Comparison, Flag, Sidedness, leading_side
from medtransfer.stats.comparisons import Arm
from medtransfer.stats.power import POWER, minimum_detectable_paired_difference
from medtransfer.stats.summaries import check_confidence, sample_std, summarise_runs
from medtransfer.stats.t_distribution import t_above, t_below, t_quantile


@dataclass(frozen=True)
class PooledTest:
    """Student's test of two published cells, which assumes one variance for both."""

    t: float | None
    """Statistic; null where neither arm has a spread."""
    df: int | None
    """Degrees of freedom, n_a + n_b - 2."""
    p: float | None
    """Two-sided p-value; null when undetermined."""


def paired_t(
    a: Sequence[float],
    b: Sequence[float],
    pair_shares: str,
    better: Better = "higher",
    *,
    sidedness: Sidedness = "two-sided",
    confidence: float = 0.95,
    alpha: float = 0.05,
) -> Comparison:
    """Compare two models over pairs of runs; only where a seed fixes the same split and order for both.

    Args:
        a: One finite value per run of model A.
        b: The run of model B that shares its seed, place by place, shape as ``a``.
        pair_shares: What a pair shares, such as ``split and order``; printed with the test.
        better: Direction of the metric.
        sidedness: Alternative, declared before results exist.
        confidence: Level of the interval, in (0, 1).
        alpha: Error rate of the minimum detectable effect, in (0, 0.8).

    Returns:
        The comparison, without a relative interval; p is null with fewer than two pairs, or where all
        differences are the same.

    Raises:
        ShapeError: If the arms do not have as many runs, a value is not finite, or a level is out of range.
        UsageError: If nothing is shared, or the direction or the sidedness is none of the known ones.

    Example:
        >>> c = paired_t([.81, .83, .80, .84, .82], [.78, .82, .77, .80, .79], "split and order")
        >>> f"t = {c.statistic:.4f}, df = {c.df:g}, p = {c.p:.6f}"
        't = 5.7155, df = 4, p = 0.004636'
    """
    check_confidence(confidence)
    if sidedness not in ("two-sided", "greater", "less") or not pair_shares.strip():
        raise UsageError(
            "paired t: expected a known sidedness and what the pairs share, got "
            f"{sidedness!r} and {pair_shares!r}. Runs that share nothing are compared by Welch's test."
        )
    first, second = summarise_runs(a), summarise_runs(b)
    if first.n != second.n:
        raise ShapeError(f"paired t: expected as many runs of both, got {first.n} and {second.n}.")
    differences = [float(x) - float(y) for x, y in zip(a, b, strict=True)]
    mean, spread = math.fsum(differences) / first.n, _spread(differences, a, b)
    error = spread / math.sqrt(first.n) if spread else None
    df = float(first.n - 1)
    half = None if error is None else t_quantile((1 + confidence) / 2, df) * error
    relative = (first.mean / second.mean - 1) * 100 if min(first.mean, second.mean) > 0 else None
    flags: tuple[Flag, ...] = ()
    if error is None:
        flags = ("undetermined",) if first.n == 1 else ("zero_variance",)
    return Comparison(
        test="paired t",
        sidedness=sidedness,
        paired=True,
        pair_shares=pair_shares,
        unit="runs",
        n_a=first.n,
        n_b=second.n,
        mean_a=first.mean,
        mean_b=second.mean,
        statistic=None if error is None else mean / error,
        df=None if error is None else df,
        p=None if error is None else _p(mean / error, df, sidedness),
        difference=mean,
        low=None if half is None else mean - half,
        high=None if half is None else mean + half,
        confidence=confidence,
        relative_percent=relative,
        relative_low=None,
        relative_high=None,
        minimum_detectable_effect=(
            minimum_detectable_paired_difference(spread, first.n, alpha=alpha) if spread else None
        ),
        alpha=alpha,
        power=POWER,
        better=better,
        leader=leading_side(first.mean, second.mean, better),
        flags=flags,
    )


def pooled_t_from_summaries(a: Arm, b: Arm) -> PooledTest:
    """Return Student's test from two published cells, to see what a table that used it must have found.

    Own results are compared by Welch's test.

    Example:
        >>> round(pooled_t_from_summaries(Arm(5, 98.31, 0.05), Arm(5, 98.25, 0.04)).p, 6)
        0.069444
    """
    if a.std is None or b.std is None or a.std == b.std == 0:
        return PooledTest(None, None, None)
    df = a.n + b.n - 2
    pooled = ((a.n - 1) * a.std**2 + (b.n - 1) * b.std**2) / df
    t = (a.mean - b.mean) / math.sqrt(pooled * (1 / a.n + 1 / b.n))
    return PooledTest(t, df, _p(t, df, "two-sided"))


def _spread(differences: list[float], a: Sequence[float], b: Sequence[float]) -> float | None:
    """Return the deviation of the differences; 0 where they differ by the rounding of the values only."""
    spread = sample_std(differences)
    largest = max(abs(float(value)) for value in (*a, *b))
    return 0.0 if spread is not None and spread <= 1e-14 * largest else spread


def _p(t: float, df: float, sidedness: Sidedness) -> float:
    if sidedness == "two-sided":
        return 2 * t_above(abs(t), df)
    return t_above(t, df) if sidedness == "greater" else t_below(t, df)
