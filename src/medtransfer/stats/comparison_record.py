"""The record every comparison of two models fills; a comparison without one of these facts is not reported."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from medtransfer.core.errors import UsageError
from medtransfer.stats.summaries import same_number

Better = Literal["higher", "lower"]
Sidedness = Literal["two-sided", "greater", "less"]
Flag = Literal["undetermined", "zero_variance", "constant_arm", "too_many_undefined_draws"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """First model (A) against second (B); everything a reader needs to judge the p-value."""

    test: str
    """Name of the test."""
    sidedness: Sidedness
    """``greater`` means A - B > 0 was declared before results existed."""
    paired: bool
    """Whether the two arms share something run by run or draw by draw."""
    pair_shares: str | None
    """What a pair shares; null when unpaired."""
    unit: Literal["runs", "patients"]
    """What n counts."""
    n_a: int
    """Number of units in A."""
    n_b: int
    """Number of units in B."""
    mean_a: float
    """Mean over runs of A, or its one value on all cases."""
    mean_b: float
    """Mean over runs of B, or its one value on all cases."""
    statistic: float | None
    """Test statistic; null where the test has none."""
    df: float | None
    """Degrees of freedom; null where the test has none."""
    p: float | None
    """Raw p-value; null when undetermined, never NaN."""
    difference: float
    """A - B in metric units."""
    low: float | None
    """Lower end of the two-sided interval of the difference, not adjusted; null without a p-value, or with
    so few patients that no p-value of its error rate exists."""
    high: float | None
    """Upper end of the two-sided interval of the difference."""
    confidence: float
    """Level of both intervals."""
    relative_percent: float | None
    """(A / B - 1) * 100, in percent and not in percentage points; null unless both means are positive."""
    relative_low: float | None
    """Lower end of the interval of the relative difference."""
    relative_high: float | None
    """Upper end of the interval of the relative difference."""
    minimum_detectable_effect: float | None
    """True difference, in metric units, that this comparison finds with chance ``power``."""
    alpha: float
    """Two-sided error rate the detectable effect is computed for."""
    power: float
    """Chance of finding a difference as large as the detectable effect."""
    better: Better
    """Direction of the metric."""
    leader: Literal["a", "b"] | None
    """Which mean is better, whatever the p-value; null when they are the same number."""
    flags: tuple[Flag, ...] = ()
    """``undetermined``: an arm has fewer than two units; ``zero_variance``: neither arm varies, a
    deterministic repeat is suspected; ``constant_arm``: one of them does not vary;
    ``too_many_undefined_draws``: the metric was undefined in too many bootstrap draws."""
    adjusted_p: float | None = None
    """p-value after correction over the family."""
    correction: str | None = None
    """Method of correction; null when the comparison stands alone."""
    family_size: int | None = None
    """Number of tests in the family."""

    def significant(self, alpha: float = 0.05) -> bool:
        """Return whether the adjusted, else the raw p-value is below ``alpha``; False without one."""
        p = self.p if self.correction is None else self.adjusted_p
        return p is not None and p < alpha


_OPPOSITE: dict[Sidedness, Sidedness] = {"two-sided": "two-sided", "greater": "less", "less": "greater"}
_OTHER_SIDE: dict[Literal["a", "b"], Literal["a", "b"]] = {"a": "b", "b": "a"}


def mirrored(comparison: Comparison) -> Comparison:
    """Return the same comparison with B in the first place: every sign and the sidedness turn, no p does.

    The relative difference becomes that of the inverse ratio, and its interval too; an end at -100 %
    or below has no inverse, so that there is no interval then.
    """
    relative_low, relative_high = _inverse_percents(comparison.relative_low, comparison.relative_high)
    return replace(
        comparison,
        sidedness=_OPPOSITE[comparison.sidedness],
        n_a=comparison.n_b,
        n_b=comparison.n_a,
        mean_a=comparison.mean_b,
        mean_b=comparison.mean_a,
        statistic=None if comparison.statistic is None else -comparison.statistic,
        difference=-comparison.difference,
        low=None if comparison.high is None else -comparison.high,
        high=None if comparison.low is None else -comparison.low,
        relative_percent=(
            None if comparison.relative_percent is None else (comparison.mean_b / comparison.mean_a - 1) * 100
        ),
        relative_low=relative_low,
        relative_high=relative_high,
        leader=None if comparison.leader is None else _OTHER_SIDE[comparison.leader],
    )


def _inverse_percents(low: float | None, high: float | None) -> tuple[float | None, float | None]:
    if low is None or high is None or low <= -100:
        return None, None
    return (1 / (1 + high / 100) - 1) * 100, (1 / (1 + low / 100) - 1) * 100


def leading_side(mean_a: float, mean_b: float, better: Better) -> Literal["a", "b"] | None:
    """Return which mean is better; null when they are the same number up to rounding.

    Raises:
        UsageError: If the direction is none of the known ones.
    """
    if better not in ("higher", "lower"):
        raise UsageError(f"direction: expected 'higher' or 'lower', got {better!r}.")
    if same_number(mean_a, mean_b):
        return None
    return "a" if (mean_a > mean_b) == (better == "higher") else "b"
