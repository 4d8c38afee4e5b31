"""Tables of study C's derived populations, with measured differences in columns of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from medtransfer.reports.phrases import number
from medtransfer.reports.published.effective_size import (
    LOWER_BOUND,
    UPPER_BOUND,
    EffectiveSize,
    ErrorFormula,
    derived_population,
    interpolated_spread,
    repeat_printed_delta,
    repeat_printed_p,
)
from medtransfer.reports.published.level_tables import used_legend
from medtransfer.reports.published.quantities import p_text, signed
from medtransfer.reports.published.records import DerivedPopulation
from medtransfer.reports.published.run_cells import RunCell, Score
from medtransfer.reports.tables.table import Column, LegendEntry, Table, TableCell
from medtransfer.stats.comparisons import welch

_FORMULAS: Final[tuple[ErrorFormula, ...]] = ("printed", "corrected")
_DOUBTFUL: Final = LegendEntry("‡", "doubtful runs; see the known conflicts")
_MEASURED_NOTE: Final = (
    "Measured: two-sided Welch tests on four runs each, 95 % interval, not corrected here; the matrices correct "
    "them."
)
_EVERY_NOTE: Final = (
    "Against ImageNet pretraining (I1k). p of “measured” columns: two-sided Welch tests, not corrected. p of "
    "“derived” columns: quotations of the study's procedure, not tests."
)


@dataclass(frozen=True)
class Headline:
    """A figure of study C's abstract: the CT model against ImageNet pretraining."""

    claim: str
    """What was done, in words."""
    experiment: str
    """Group of runs."""
    task: str
    """Task in the study's code."""
    printed_delta: str
    """Relative difference in percent, as printed."""
    printed_p: str
    """p-value, as printed."""


HEADLINES: Final = (
    Headline("fine-tuned on R", "E1", "R", "+0.44", ".541"),
    Headline("frozen encoder on R", "E4", "R_lineval", "+2.07", ".025"),
    Headline("fine-tuned on 1 % of R", "E2", "RXS", "+1.63", ".114"),
)
"""Figures of the abstract, quoted."""


Shown = tuple[Headline, Mapping[str, RunCell]]
"""A figure with the cells of its score."""


def headlines_table(found: Sequence[Shown]) -> Table:
    """Return printed, derived and measured differences from ImageNet pretraining, in this order."""
    columns = (
        Column("CT against ImageNet pretraining"),
        *(Column("Printed relative %", numeric=True), Column("Printed p", numeric=True)),
        *(
            Column("Derived (UB) relative %", numeric=True),
            Column("Derived (UB) p, as print computes it", numeric=True),
        ),
        *(Column("Measured (R) relative %", numeric=True), Column("Measured (R) points", numeric=True)),
        Column("Measured (R) p", numeric=True),
        *(Column("Measured (RF) relative %", numeric=True), Column("Measured (RF) p", numeric=True)),
    )
    rows = []
    for headline, cells in found:
        imagenet = cells["I1k"].values
        population = population_of(cells, UPPER_BOUND)
        small, large = (welch(cells[name].values, imagenet) for name in ("R", "RF"))
        delta, p = repeat_printed_delta(population, imagenet), repeat_printed_p(population, imagenet)
        points = f"{signed(100 * small.difference)} ({_ends(small.low, small.high)})"
        rows.append(
            (
                _claim_cell(headline, cells),
                *(TableCell(headline.printed_delta), TableCell(headline.printed_p)),
                *(TableCell(signed(delta), value=delta), TableCell(p_text(p), value=p)),
                TableCell(signed(small.relative_percent), value=small.relative_percent),
                TableCell(points, value=100 * small.difference),
                TableCell(p_text(small.p), value=small.p),
                TableCell(signed(large.relative_percent), value=large.relative_percent),
                TableCell(p_text(large.p), value=large.p),
            )
        )
    return Table(
        "study-c-derived-headlines",
        "The three figures of the abstract",
        columns,
        tuple(rows),
        used_legend(rows, (_DOUBTFUL,)),
        (_MEASURED_NOTE,),
    )


def spreads_table(found: Sequence[Shown]) -> Table:
    """Return the spreads of the derived populations by both formulas, and what they do to the quoted p."""
    columns = (
        *(
            Column("CT against ImageNet pretraining"),
            Column("Bound"),
            Column("Share of the way to RF", numeric=True),
        ),
        *(Column("Spread of R, ddof 0", numeric=True), Column("Spread of RF, ddof 0", numeric=True)),
        *(Column("Spread as printed", numeric=True), Column("Spread corrected", numeric=True)),
        *(Column("Printed over corrected", numeric=True), Column("Quoted p, printed spread", numeric=True)),
        Column("Quoted p, corrected spread", numeric=True),
    )
    rows = tuple(
        _spread_row(headline, cells, size) for headline, cells in found for size in (LOWER_BOUND, UPPER_BOUND)
    )
    return Table(
        "study-c-derived-spreads",
        "Spread of the derived populations, in points, by both formulas",
        columns,
        rows,
    )


def every_score_table(cells: Mapping[Score, Mapping[str, RunCell]]) -> Table:
    """Return measured and derived differences from ImageNet pretraining for every score."""
    kinds = ("Measured R", "Derived LB", "Derived UB", "Measured RF")
    columns = (
        *(Column("Experiment"), Column("Task and metric")),
        *(Column(f"{kind}: {what}", numeric=True) for kind in kinds for what in ("relative %", "p")),
    )
    rows = []
    for score, found in cells.items():
        imagenet = found["I1k"].values
        small, large = (welch(found[name].values, imagenet) for name in ("R", "RF"))
        populations = [population_of(found, size) for size in (LOWER_BOUND, UPPER_BOUND)]
        quoted = [(repeat_printed_delta(p, imagenet), repeat_printed_p(p, imagenet)) for p in populations]
        values = ((small.relative_percent, small.p), *quoted, (large.relative_percent, large.p))
        rows.append(
            (
                *(TableCell(score.experiment), _score_cell(score, found)),
                *(
                    cell
                    for delta, p in values
                    for cell in (_signed_cell(delta), TableCell(p_text(p), value=p))
                ),
            )
        )
    caption = "Measured and derived differences from ImageNet pretraining"
    return Table(
        "study-c-derived-scores",
        caption,
        columns,
        tuple(rows),
        used_legend(rows, (_DOUBTFUL,)),
        (_EVERY_NOTE,),
    )


def population_of(
    cells: Mapping[str, RunCell], size: EffectiveSize, error: ErrorFormula = "printed"
) -> DerivedPopulation:
    """Return the population study C computes from the cells of a score."""
    return derived_population(cells["R"].values, cells["RF"].values, size, error)


def _spread_row(
    headline: Headline, cells: Mapping[str, RunCell], size: EffectiveSize
) -> tuple[TableCell, ...]:
    small, large = (float(np.std(cells[name].values)) for name in ("R", "RF"))
    printed, corrected = (interpolated_spread(small, large, size, error) for error in _FORMULAS)
    imagenet = cells["I1k"].values
    ps = [repeat_printed_p(population_of(cells, size, error), imagenet) for error in _FORMULAS]
    ratio = printed / corrected
    return (
        *(
            TableCell(headline.claim),
            TableCell(f"{size.name} ({size.code})"),
            TableCell(number(size.share, 3)),
        ),
        *(TableCell(number(100 * value, 3), value=value) for value in (small, large, printed, corrected)),
        TableCell(number(ratio, 2), value=ratio),
        *(TableCell(p_text(p), value=p) for p in ps),
    )


def _claim_cell(headline: Headline, cells: Mapping[str, RunCell]) -> TableCell:
    return TableCell(headline.claim, marks=_mark(cells))


def _score_cell(score: Score, cells: Mapping[str, RunCell]) -> TableCell:
    return TableCell(score.label, marks=_mark(cells))


def _mark(cells: Mapping[str, RunCell]) -> str:
    return _DOUBTFUL.sign if any(cell.doubts for cell in cells.values()) else ""


def _signed_cell(value: float | None) -> TableCell:
    return TableCell(signed(value), value=value)


def _ends(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "no interval"
    return f"{signed(100 * low)} to {signed(100 * high)}"
