"""What a publication prints about differences, repeated, corrected for their number, and held against assumptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medtransfer.reports.phrases import listed
from medtransfer.reports.published.assumed_tests import ASSUMPTIONS, Assumption
from medtransfer.reports.published.quantities import p_text, signed
from medtransfer.reports.published.records import PrintedTest, PublishedResult
from medtransfer.reports.tables.table import Column, Table, TableCell
from medtransfer.stats.corrections import benjamini_hochberg, holm

_SHOWN = (
    Assumption(5, "two-sided", "Student", "sample"),
    Assumption(5, "one-sided", "Student", "sample"),
    Assumption(10, "two-sided", "Student", "sample"),
    Assumption(10, "one-sided", "Student", "sample"),
)
_CLOSE = 1.5
_STEPS = (0.05, 0.01, 0.001, 0.0001)
"""Bounds that stars stand for."""


@dataclass(frozen=True)
class PrintedComparison:
    """A result, the result it was compared with, and what is printed about the two."""

    result: PublishedResult
    """The cell that carries the label."""
    against: PublishedResult
    """The cell it was compared with."""
    printed: PrintedTest
    """The quotation."""

    @property
    def difference(self) -> float:
        """Points between the two levels."""
        return self.result.mean - self.against.mean


def printed_comparisons(
    results: Sequence[PublishedResult], against: Mapping[str, tuple[str, str]]
) -> list[PrintedComparison]:
    """Return every printed comparison whose other side is in the table.

    Args:
        results: Cells of one table or figure.
        against: Initialization and network a printed label means, by its wording.
    """
    cells = {(r.task, r.initialization, r.architecture): r for r in results}
    return [
        PrintedComparison(result, cells[result.task, *against[test.against]], test)
        for result in results
        for test in result.printed_tests
        if test.against in against and (result.task, *against[test.against]) in cells
    ]


def printed_p_table(name: str, caption: str, comparisons: Sequence[PrintedComparison]) -> Table:
    """Return printed p-values, corrected over the table, beside what summaries give under assumptions.

    The corrections are arithmetic on quoted numbers. They tell what is left of the printed claims if
    each printed p is right, not whether it is. Where only bounds are printed, no correction is possible.
    """
    quoted = [comparison.printed.p_value for comparison in comparisons]
    adjusted = list(zip(holm(quoted).values, benjamini_hochberg(quoted).values, strict=True))
    numbers = sum(p is not None for p in quoted)
    corrected = (
        (Column("Printed p, Holm", numeric=True), Column("Printed p, BH", numeric=True)) if numbers else ()
    )
    heads = (
        *(Column("Task"), Column("Result"), Column("Against"), Column("Difference", "points", numeric=True)),
        *(Column("Printed p", numeric=True), *corrected),
        *(Column(f"p if n = {a.n}, {a.sided}", numeric=True) for a in _SHOWN),
    )
    networks = len({c.result.architecture for c in comparisons}) > 1
    rows = tuple(
        (*_quoted(comparison, networks=networks), *(_p_cells(pair) if numbers else ()), *_assumed(comparison))
        for comparison, pair in zip(comparisons, adjusted, strict=True)
    )
    notes = (
        "“p if n = …” is an assumption, not a result: Student's t from the shown levels and spreads, taken as sample "
        "spreads. Read-off spreads are 10 to 20 % uncertain."
    )
    family = f"Holm and Benjamini-Hochberg over the {numbers} p-values of this table."
    return Table(name, caption, heads, rows, (), (family, notes) if numbers else (notes,))


def closest_assumptions(comparisons: Sequence[PrintedComparison]) -> dict[Assumption, int]:
    """Return how many printed labels each assumption gives: numbers to a factor of 1.5, bounds in their step."""
    return {
        assumption: sum(label_fits(assumption.p_value(c.result, c.against), c.printed.p) for c in comparisons)
        for assumption in ASSUMPTIONS
    }


def fit_sentence(comparisons: Sequence[PrintedComparison]) -> str:
    """Return which assumption gives most of the printed labels, and what follows if it gives them all."""
    fits = closest_assumptions(comparisons)
    most = max(fits.values())
    winners = [assumption for assumption, number in fits.items() if number == most]
    unsaid = "Sidedness and number of runs are not printed."
    if most < len(comparisons):
        which = winners[0].name if len(winners) == 1 else f"{len(winners)} of the {len(fits)} tried"
        return (
            f"{unsaid} No single assumption gives all printed labels, p-values to within a factor of 1.5: the most "
            f"is {most} of {len(comparisons)} ({which}). So they cannot be checked from what is published."
        )
    said = f"{unsaid} {listed([winner.name for winner in winners])} gives all {most} printed labels."
    if any(winner.sided == "two-sided" for winner in winners):
        return said
    best = winners[0]
    two_sided = Assumption(best.n, "two-sided", best.test, best.spread)
    lost = sum(
        c.printed.p != "n.s." and not _below(two_sided.p_value(c.result, c.against)) for c in comparisons
    )
    return (
        f"{said} So, as far as spreads read off a figure can tell, print fits one-sided tests. Those are only "
        "right where the direction was declared before the results; two-sided, "
        f"{lost} of the labels would read n.s., and no label is corrected for the number of comparisons."
    )


def left_over_sentence(comparisons: Sequence[PrintedComparison]) -> str:
    """Return what is left of printed p-values after correction for their number."""
    quoted = [c.printed.p_value for c in comparisons]
    numbers = [p for p in quoted if p is not None]
    below = sum(p < 0.05 for p in numbers)
    left = sum(p is not None and p < 0.05 for p in holm(quoted).values)
    return (
        f"Taken as they stand, {below} of {len(numbers)} printed p-values are below 0.05; after Holm's correction "
        f"over the table {left} are."
    )


def label_fits(p: float | None, printed: str) -> bool:
    """Return whether a p-value would have been printed so.

    Example:
        >>> label_fits(0.02, "0.026"), label_fits(0.02, "< 0.05"), label_fits(0.002, "< 0.05")
        (True, True, False)
    """
    if p is None:
        return False
    if printed == "n.s.":
        return p >= _STEPS[0]
    if printed.startswith("<"):
        bound = float(printed.removeprefix("<"))
        return max((step for step in _STEPS if step < bound), default=0.0) <= p < bound
    return float(printed) / _CLOSE <= p <= float(printed) * _CLOSE


def surviving_bounds(comparisons: Sequence[PrintedComparison], family: int, alpha: float = 0.05) -> int:
    """Return how many claims printed as a bound hold after Bonferroni's correction over a family of tests.

    A claim ``p < 0.0001`` in a family of m holds where ``0.0001 * m <= alpha``. Claims with wider bounds may or
    may not hold; print does not tell.
    """
    bounds = [bound for bound in map(printed_bound, comparisons) if bound is not None]
    return sum(bound * family <= alpha for bound in bounds)


def printed_bound(comparison: PrintedComparison) -> float | None:
    """Return the bound a label such as ``< 0.05`` gives; null for numbers and ``n.s.``."""
    p = comparison.printed.p
    return float(p.removeprefix("<")) if p.startswith("<") else None


def _below(p: float | None) -> bool:
    return p is not None and p < _STEPS[0]


def _quoted(comparison: PrintedComparison, *, networks: bool) -> tuple[TableCell, ...]:
    return (
        TableCell(comparison.result.task),
        TableCell(_name(comparison.result, networks=networks)),
        TableCell(_name(comparison.against, networks=networks)),
        TableCell(signed(comparison.difference), value=comparison.difference),
        TableCell(comparison.printed.p, value=comparison.printed.p_value),
    )


def _assumed(comparison: PrintedComparison) -> tuple[TableCell, ...]:
    return _p_cells([a.p_value(comparison.result, comparison.against) for a in _SHOWN])


def _p_cells(values: Sequence[float | None]) -> tuple[TableCell, ...]:
    return tuple(TableCell(p_text(p), value=p) for p in values)


def _name(result: PublishedResult, *, networks: bool) -> str:
    return f"{result.initialization}, {result.architecture}" if networks else result.initialization
