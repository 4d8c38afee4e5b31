"""Measures a contest: its arms take turns in one process, so that both meet the same machine."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.contest import Contest
from benchmarks.machine import drift, product_seconds, timed

MOST_DRIFT = 0.3
"""Change of the machine's speed, as a share, above which a measurement is invalid."""
LEAST_REPEATS = 7
"""Repeats below which a measurement only shows that the bar runs."""


@dataclass(frozen=True)
class Spread:
    """Numbers of several repeats."""

    median: float
    """Half are above."""
    low: float
    """Smallest."""
    high: float
    """Largest."""

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Spread:
        """Return the spread of at least one number."""
        return cls(statistics.median(numbers), min(numbers), max(numbers))


@dataclass(frozen=True)
class Measurement:
    """What a contest gave."""

    bar: str
    """Name of the bar."""
    contest: str
    """Name of the contest."""
    goal: str | None
    """For the ratio."""
    ratio: Spread
    """Numerator over denominator, per unit of work, of each repeat."""
    met: bool
    """Whether the median reaches the goal and both arms did the same work; True without a goal."""
    repeats: int
    """How often each arm was timed."""
    drift: float
    """Slowest over fastest matrix product, minus 1."""
    seconds: Mapping[str, Spread]
    """CPU seconds by arm, whole."""
    units: Mapping[str, float]
    """Units of work by arm."""
    equal: bool
    """Whether both arms did the same work."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the verdict found."""

    @property
    def valid(self) -> bool:
        """Whether the machine was steady and the repeats were enough."""
        return self.drift <= MOST_DRIFT and self.repeats >= LEAST_REPEATS

    @property
    def outcome(self) -> str:
        """What came out in a few words; an invalid measurement meets nothing."""
        if not self.equal:
            return "not met: results differ"
        if not self.valid:
            return "invalid" if self.repeats > 1 else "runs"
        if self.goal is None:
            return "for information"
        return "met" if self.met else "not met"

    def missed(self, *, quick: bool = False) -> bool:
        """Return whether the goal was not shown to be met; a quick run can only find different results."""
        if quick or self.goal is None:
            return not self.equal
        return not (self.met and self.valid)

    def as_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        return {**asdict(self), "valid": self.valid, "outcome": self.outcome}


@dataclass(frozen=True)
class Unmeasured:
    """A contest that this machine could not hold."""

    bar: str
    """Name of the bar."""
    contest: str
    """Name of the contest."""
    goal: str
    """For the ratio."""
    reason: str
    """What the machine lacks."""

    @property
    def outcome(self) -> str:
        """What came out in a few words."""
        return f"{self.reason}: not measured"

    def missed(self, *, quick: bool = False) -> bool:  # noqa: ARG002 (as of a measurement)
        """Return False: nothing was measured."""
        return False

    def as_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        return {**asdict(self), "outcome": self.outcome}


Finding = Measurement | Unmeasured


def measure(
    bar: str, contest: Contest, repeats: int, *, speed: Callable[[], float] | None = None
) -> Measurement:
    """Return the ratio of a contest's arms.

    Args:
        bar: Name of the bar.
        contest: What to measure.
        repeats: How often each arm is timed.
        speed: Seconds of a fixed piece of work, sampled before, between and after the repeats; None for the
            contest's own.
    """
    clock, speed = contest.clock or timed, speed or contest.speed or product_seconds
    results: dict[str, Any] = {}
    if contest.warm_up:
        results = {arm.label: arm.work() for arm in contest.arms}
    samples = [speed()]
    seconds: dict[str, list[float]] = {arm.label: [] for arm in contest.arms}
    for repeat in range(repeats):
        for arm in contest.arms if repeat % 2 == 0 else reversed(contest.arms):
            results.pop(arm.label, None)
            gc.collect()
            spent, results[arm.label] = clock(arm.work)
            seconds[arm.label].append(spent)
        samples.append(speed())
    verdict = contest.verify(results)
    ratio = Spread.of(_ratios(contest, seconds))
    goal = contest.goal
    return Measurement(
        bar=bar,
        contest=contest.name,
        goal=None if goal is None else str(goal),
        ratio=ratio,
        met=verdict.equal and (goal is None or goal.met_by(ratio.median)),
        repeats=repeats,
        drift=drift(samples),
        seconds={label: Spread.of(spent) for label, spent in seconds.items()},
        units={arm.label: arm.units for arm in contest.arms},
        equal=verdict.equal,
        facts=verdict.facts,
    )


def _ratios(contest: Contest, seconds: Mapping[str, list[float]]) -> list[float]:
    above, below = contest.numerator, contest.denominator
    pairs = zip(seconds[above.label], seconds[below.label], strict=True)
    return [(one / above.units) / (other / below.units) for one, other in pairs]
