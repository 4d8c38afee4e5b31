"""Tables of study C's measured runs: levels with tie groups, the matrix of every pair, and all numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from medtransfer.reports.estimates import far_runs
from medtransfer.reports.phrases import number
from medtransfer.reports.published.cell_comparisons import ALPHA, MARGIN, CellComparison, Family
from medtransfer.reports.published.level_tables import used_legend
from medtransfer.reports.published.quantities import p_text, signed
from medtransfer.reports.published.run_cells import INITIALIZATIONS, RunCell, Score
from medtransfer.reports.tables.table import Column, LegendEntry, Table, TableCell, Tone
from medtransfer.stats.summaries import summarise_runs
from medtransfer.stats.ties import TieGroup, tie_group

_TONES: Final[Mapping[str, Tone]] = {
    "best": "best",
    "not-separable": "tied",
    "separated": "plain",
    "undetermined": "undetermined",
}
_TIED, _UNDETERMINED, _DOUBTFUL, _FAR = "▪", "?", "‡", "!"
_BY_HOLM, _BY_BH, _EQUIVALENT = "**", "*", "≈"
_LEVEL_LEGEND: Final = (
    LegendEntry("bold", "best mean of the row", "best"),
    LegendEntry(
        _TIED,
        "not separable from the best of the row (Welch, Holm within the row); no proof of equality",
        "tied",
    ),
    LegendEntry(_UNDETERMINED, "fewer than two runs", "undetermined"),
    LegendEntry(_DOUBTFUL, "doubtful; the reason stands under the table"),
    LegendEntry(_FAR, "one run is more than 5 MAD from the median of its cell"),
    LegendEntry("–", "no such runs", "absent"),
)
_PAIR_LEGEND: Final = (
    LegendEntry(_DOUBTFUL, "doubtful runs; the reason stands under the table"),
    LegendEntry(_BY_HOLM, "below 0.05 after Holm's correction over the family: a claim"),
    LegendEntry(_BY_BH, "below 0.05 after Benjamini and Hochberg's only: worth a second look"),
    LegendEntry(_EQUIVALENT, f"equivalent within ±{MARGIN:g} (two one-sided tests, Holm over the family)"),
    LegendEntry("–", "no such runs", "absent"),
)


def summary_of(families: list[Family]) -> Table:
    """Return how many differences of each family are left after each correction."""
    columns = (
        *(Column("Family"), Column("Comparisons", numeric=True), Column("Raw p below 0.05", numeric=True)),
        *(Column("After Benjamini-Hochberg", numeric=True), Column("After Holm", numeric=True)),
        *(
            Column(f"Equivalent within ±{MARGIN:g}", numeric=True),
            Column("Smallest exact p after Holm", numeric=True),
        ),
    )
    rows = []
    for family in families:
        found = family.comparisons
        counts = (
            family.tests,
            sum(_below(c.welch.p) for c in found),
            sum(_below(c.bh_p) for c in found),
            sum(c.welch.significant(ALPHA) for c in found),
            sum(c.equivalent for c in found),
        )
        floors = family.floors()
        rows.append(
            (
                TableCell(family.title),
                *(TableCell(str(n), value=float(n)) for n in counts),
                TableCell("–") if floors is None else TableCell(p_text(floors[1]), value=floors[1]),
            )
        )
    return Table("study-c-summary", "What is left of the differences after correction", columns, tuple(rows))


def levels_of(family: Family) -> Table:
    """Return mean and sample spread of every cell, with the tie group of its row."""
    models = _models(family)
    columns = (Column("Task and metric"), *(Column(model, numeric=True) for model in models))
    rows = []
    for score, cells in family.cells.items():
        ties = tie_group({name: cell.values for name, cell in cells.items()}, alpha=ALPHA)
        rows.append((TableCell(score.label), *(_level_cell(cells.get(model), ties) for model in models)))
    return Table(
        f"study-c-{family.name}-levels",
        f"{family.title}: mean and sample spread in percent",
        columns,
        tuple(rows),
        used_legend(rows, _LEVEL_LEGEND),
        ("Spreads divide by n - 1; the bars of the study's figures divide by n.", *_doubts(family)),
    )


def pairs_of(family: Family) -> Table:
    """Return the matrix of a family, a score per row and a pair per column."""
    found = {(c.score, _pair(c)): c for c in family.comparisons}
    pairs = list(dict.fromkeys(pair for _, pair in found))
    columns = (Column("Task and metric"), *(Column(pair, numeric=True) for pair in pairs))
    rows = [
        (_score_cell(score, cells), *(_pair_cell(found.get((score, pair))) for pair in pairs))
        for score, cells in family.cells.items()
    ]
    raw, corrected = family.floors() or (1.0, 1.0)
    notes = (
        "Each cell: relative difference; points, 95 % Welch interval; p raw, Holm, Benjamini-Hochberg; exact p.",
        f"Family: all {family.tests} comparisons of this table, two-sided Welch tests.",
        f"Smallest exact p-value possible: {p_text(raw)} raw, {p_text(corrected)} after Holm"
        + (": cannot be significant at this n." if corrected >= ALPHA else "."),
    )
    return Table(
        f"study-c-{family.name}-pairs",
        f"{family.title}: every pair",
        columns,
        tuple(rows),
        used_legend(rows, _PAIR_LEGEND),
        (*notes, *_doubts(family)),
    )


def list_of(family: Family) -> Table:
    """Return every comparison of a family as a row of its own, for spreadsheets."""
    columns = (
        *(Column("Task"), Column("Metric"), Column("A"), Column("B")),
        *(Column(title, numeric=True) for title in ("n of A", "n of B", "Mean of A", "Mean of B")),
        *(Column(title, numeric=True) for title in ("Relative %", "Relative low", "Relative high")),
        *(Column(title, numeric=True) for title in ("Points", "Points low", "Points high", "t", "df")),
        *(Column(title, numeric=True) for title in ("p", "p, Holm", "p, BH", "Exact p", "Exact floor")),
        *(Column(title, numeric=True) for title in ("TOST p", "TOST p, Holm", "Smallest detectable points")),
    )
    rows = tuple(
        (
            *map(TableCell, (c.score.task, c.score.metric_name, c.a.initialization, c.b.initialization)),
            *_numbers(c),
        )
        for c in family.comparisons
    )
    return Table(f"study-c-{family.name}-list", f"{family.title}: every comparison in numbers", columns, rows)


def _score_cell(score: Score, cells: Mapping[str, RunCell]) -> TableCell:
    doubtful = any(cell.doubts for cell in cells.values())
    return TableCell(score.label, marks=_DOUBTFUL if doubtful else "")


def _doubts(family: Family) -> list[str]:
    """Return why runs of a family are doubtful, each reason once per task."""
    return list(
        dict.fromkeys(
            f"{score.task}: {doubt}"
            for score, cells in family.cells.items()
            for cell in cells.values()
            for doubt in cell.doubts
        )
    )


def _below(p: float | None) -> bool:
    return p is not None and p < ALPHA


def _models(family: Family) -> list[str]:
    return [model for model in INITIALIZATIONS if any(model in cells for cells in family.cells.values())]


def _level_cell(cell: RunCell | None, ties: TieGroup) -> TableCell:
    if cell is None:
        return TableCell("–", tone="absent")
    summary = summarise_runs(cell.values)
    standing = ties.standing(cell.initialization)
    tone = _TONES[standing]
    spread = "" if summary.std is None else f" ± {number(100 * summary.std, 2)}"
    signs = (
        (tone == "tied", _TIED),
        (tone == "undetermined", _UNDETERMINED),
        (bool(cell.doubts), _DOUBTFUL),
        (bool(far_runs(cell.runs)), _FAR),
    )
    marks = "".join(sign for shown, sign in signs if shown)
    text = f"{number(100 * summary.mean, 2)}{spread}"
    return TableCell(text, (f"n = {summary.n}",), marks, tone, summary.mean)


def _pair(comparison: CellComparison) -> str:
    return f"{comparison.a.initialization} against {comparison.b.initialization}"


def _pair_cell(comparison: CellComparison | None) -> TableCell:
    if comparison is None:
        return TableCell("–", tone="absent")
    found = comparison.welch
    relative = "undefined" if found.relative_percent is None else f"{signed(found.relative_percent)}\xa0%"
    return TableCell(
        relative,
        (
            points_text(comparison),
            f"p {p_text(found.p)}; Holm {p_text(found.adjusted_p)}; BH {p_text(comparison.bh_p)}",
            f"exact {p_text(comparison.exact.p)}",
        ),
        " ".join(_pair_marks(comparison)),
        value=found.relative_percent,
    )


def points_text(comparison: CellComparison) -> str:
    """Return the difference in points with its Welch interval."""
    found = comparison.welch
    if found.low is None or found.high is None:
        return f"{signed(100 * found.difference)} points, no interval"
    return (
        f"{signed(100 * found.difference)} points ({signed(100 * found.low)} to {signed(100 * found.high)})"
    )


def _pair_marks(comparison: CellComparison) -> Iterator[str]:
    if comparison.welch.significant(ALPHA):
        yield _BY_HOLM
    elif comparison.bh_p is not None and comparison.bh_p < ALPHA:
        yield _BY_BH
    if comparison.equivalent:
        yield _EQUIVALENT


def _numbers(c: CellComparison) -> Iterator[TableCell]:
    found = c.welch
    counts = (found.n_a, found.n_b)
    yield from (TableCell(str(n), value=float(n)) for n in counts)
    values = (
        *((found.mean_a, 4), (found.mean_b, 4), (found.relative_percent, 3), (found.relative_low, 3)),
        *((found.relative_high, 3), (100 * found.difference, 3), (_hundred(found.low), 3)),
        *((_hundred(found.high), 3), (found.statistic, 3), (found.df, 2)),
    )
    yield from (TableCell(number(value, digits), value=value) for value, digits in values)
    ps = (found.p, found.adjusted_p, c.bh_p, c.exact.p, c.exact.floor, c.equivalence.p, c.equivalence_holm_p)
    yield from (TableCell(p_text(p), value=p) for p in ps)
    detectable = _hundred(found.minimum_detectable_effect)
    yield TableCell(number(detectable, 3), value=detectable)


def _hundred(value: float | None) -> float | None:
    return None if value is None else 100 * value
