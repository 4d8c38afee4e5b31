"""Measured runs of study C compared pair by pair, with corrections over a declared family."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

from medtransfer.metrics.metric import Metric
from medtransfer.reports.published.run_cells import RunCell, Score
from medtransfer.stats.comparisons import Comparison, welch
from medtransfer.stats.corrections import benjamini_hochberg, holm
from medtransfer.stats.equivalence import Equivalence, equivalence_of_runs
from medtransfer.stats.exact_tests import ExactTest, rank_sum

MARGIN: Final = Metric.equivalence_margin
"""Difference that is called equivalent: the default for metrics from 0 to 1, declared before the logs were read."""
ALPHA: Final = 0.05
"""Error rate of every family."""


@dataclass(frozen=True)
class CellComparison:
    """Two models under one score."""

    score: Score
    """Task and metric."""
    a: RunCell
    """First model."""
    b: RunCell
    """Second model."""
    welch: Comparison
    """Welch's test of A against B, with Holm's adjusted p-value over the family."""
    bh_p: float | None
    """p-value adjusted by Benjamini and Hochberg over the family."""
    exact: ExactTest
    """Mann and Whitney's test over all ways to divide the runs."""
    equivalence: Equivalence
    """Two one-sided tests within the margin."""
    equivalence_holm_p: float | None
    """Its p-value after Holm's correction over the family."""

    @property
    def equivalent(self) -> bool:
        """Whether the difference lies within the margin after correction."""
        return self.equivalence_holm_p is not None and self.equivalence_holm_p < ALPHA


@dataclass(frozen=True)
class Family:
    """All comparisons that are corrected together; showing fewer of them must not change a number."""

    name: str
    """Name in anchors."""
    title: str
    """Name for people."""
    cells: Mapping[Score, Mapping[str, RunCell]]
    """Cells by score and initialization."""
    comparisons: tuple[CellComparison, ...]
    """All pairs of the family, by score."""

    @property
    def tests(self) -> int:
        """Number of comparisons that have a p-value."""
        return sum(comparison.welch.p is not None for comparison in self.comparisons)

    def floors(self) -> tuple[float, float] | None:
        """Return the smallest exact p-value possible, raw and after Holm; None without comparisons."""
        if not self.comparisons:
            return None
        floor = min(comparison.exact.floor for comparison in self.comparisons)
        return floor, min(1.0, floor * len(self.comparisons))


def compare_family(
    name: str,
    title: str,
    cells: Mapping[Score, Mapping[str, RunCell]],
    with_one_of: Iterable[str] = (),
) -> Family:
    """Compare all pairs of models under every score; later models of the study against earlier ones.

    Args:
        name: Name in anchors.
        title: Name for people.
        cells: Cells by score and initialization, in the study's order.
        with_one_of: Initializations of which a pair must hold at least one; empty for all pairs.
    """
    needed = set(with_one_of)
    pairs = [
        (score, b, a)
        for score, found in cells.items()
        for a, b in combinations(found.values(), 2)
        if not needed or needed & {a.initialization, b.initialization}
    ]
    return Family(name, title, cells, tuple(_corrected([_compared(*pair) for pair in pairs])))


def _compared(score: Score, a: RunCell, b: RunCell) -> CellComparison:
    return CellComparison(
        score=score,
        a=a,
        b=b,
        welch=welch(a.values, b.values, alpha=ALPHA),
        bh_p=None,
        exact=rank_sum(a.values, b.values),
        equivalence=equivalence_of_runs(a.values, b.values, MARGIN, alpha=ALPHA),
        equivalence_holm_p=None,
    )


def _corrected(found: Sequence[CellComparison]) -> Iterable[CellComparison]:
    raw = [comparison.welch.p for comparison in found]
    by_holm, by_bh = holm(raw), benjamini_hochberg(raw)
    tost = holm([comparison.equivalence.p for comparison in found])
    for number, comparison in enumerate(found):
        yield replace(
            comparison,
            welch=replace(
                comparison.welch,
                adjusted_p=by_holm.values[number],
                correction=by_holm.method,
                family_size=by_holm.tests,
            ),
            bh_p=by_bh.values[number],
            equivalence_holm_p=tost.values[number],
        )
