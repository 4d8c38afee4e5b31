"""Which unstated test a printed table fits: p-values computed under assumptions, never a result of ours.

A mean and a spread without the number of runs cannot be tested. What can be asked is which
combination of number of runs, sidedness, test and kind of spread reproduces what is printed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, Literal

from scipy import stats

from medtransfer.core.errors import ShapeError
from medtransfer.reports.published.records import PublishedResult

Sides = Literal["two-sided", "one-sided"]
Test = Literal["Student", "Welch"]
Spread = Literal["sample", "population"]


@dataclass(frozen=True)
class Assumption:
    """What a publication does not say about its tests."""

    n: int
    """Runs per cell, at least 2."""
    sided: Sides
    """One-sided means in the direction of the observed difference."""
    test: Test
    """Whether both cells are taken to have one variance."""
    spread: Spread
    """Whether the printed spread divides by n - 1 or by n."""

    def __post_init__(self) -> None:
        if self.n < 2:
            raise ShapeError(f"assumed test: expected at least 2 runs per cell, got {self.n}.")

    @property
    def name(self) -> str:
        """Name for people."""
        return f"n = {self.n}, {self.sided}, {self.test}, {self.spread} spread"

    def p_value(self, a: PublishedResult, b: PublishedResult) -> float | None:
        """Return the p-value of two cells under this assumption.

        Returns:
            A number in [0, 1]; null where a spread is not shown or both are 0.
        """
        if a.std is None or b.std is None or a.std == b.std == 0:
            return None
        unbiased = math.sqrt(self.n / (self.n - 1)) if self.spread == "population" else 1.0
        found = stats.ttest_ind_from_stats(
            *(a.mean, a.std * unbiased, self.n),
            *(b.mean, b.std * unbiased, self.n),
            equal_var=self.test == "Student",
        )
        return float(found.pvalue) / (2 if self.sided == "one-sided" else 1)


TWO_SIDED_FIVE: Final = Assumption(5, "two-sided", "Student", "sample")
"""The assumption that fits the shading of study A's table best."""
ONE_SIDED_TEN: Final = Assumption(10, "one-sided", "Student", "sample")
"""The number of runs that is told of study A, with the sidedness some of its figures fit."""
_SIDES: Final[tuple[Sides, ...]] = ("two-sided", "one-sided")
_TESTS: Final[tuple[Test, ...]] = ("Student", "Welch")
_SPREADS: Final[tuple[Spread, ...]] = ("sample", "population")
ASSUMPTIONS: Final = tuple(
    Assumption(n, sided, test, spread)
    for n, sided, test, spread in product((5, 10), _SIDES, _TESTS, _SPREADS)
)
"""Every combination that is tried."""


@dataclass(frozen=True)
class MarkedPair:
    """A cell beside the best cell of its task, and whether print calls them not different."""

    best: PublishedResult
    """The cell printed as best."""
    other: PublishedResult
    """Another cell of the task."""

    @property
    def shaded(self) -> bool:
        """Whether the cell is shaded in print."""
        return self.other.mark == "shaded"

    def agrees(self, assumption: Assumption, alpha: float = 0.05) -> bool:
        """Return whether an assumption gives the printed shading."""
        p = assumption.p_value(self.best, self.other)
        return p is not None and (p >= alpha) == self.shaded


def marked_pairs(results: Sequence[PublishedResult]) -> list[MarkedPair]:
    """Return every cell beside the one printed bold for its task."""
    best = {result.task: result for result in results if result.mark == "bold"}
    return [MarkedPair(best[r.task], r) for r in results if r.task in best and r is not best[r.task]]


def disagreements(pairs: Sequence[MarkedPair], assumption: Assumption) -> list[MarkedPair]:
    """Return the pairs whose shading an assumption does not give."""
    return [pair for pair in pairs if not pair.agrees(assumption)]
