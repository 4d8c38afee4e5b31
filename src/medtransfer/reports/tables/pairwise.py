"""The pairwise table of one task: every model against every other, with the difference and its test."""

from __future__ import annotations

from collections.abc import Iterator

from medtransfer.reports.pairs import RowPairs
from medtransfer.reports.phrases import NONE, count, listed, number
from medtransfer.reports.rows import RowReading
from medtransfer.reports.study_reading import Panel, StudyReading
from medtransfer.reports.subjects import ReportTask
from medtransfer.reports.tables.results import panel_id, panel_title
from medtransfer.reports.tables.table import Column, LegendEntry, Table, TableCell, Tone
from medtransfer.stats.comparison_record import Comparison
from medtransfer.stats.wording import PATIENTS_NOTE, RUNS_NOTE

BETTER_MARK = "▲"
"""The model of the row is better than that of the column."""
WORSE_MARK = "▼"
"""The model of the row is worse."""
EQUIVALENT_MARK = "≡"
"""Shown to differ by less than the margin."""
UNTESTED_MARK = "?"
"""No test was possible."""
_DIAGONAL = "·"
_MOST_PAIRS_NAMED = 12

_LEGEND = (
    LegendEntry(BETTER_MARK, "the model of the row is better than that of the column, after correction"),
    LegendEntry(WORSE_MARK, "the model of the row is worse, after correction"),
    LegendEntry(EQUIVALENT_MARK, "equivalent within the margin, by two one-sided tests, after correction"),
    LegendEntry(UNTESTED_MARK, "cannot be tested: fewer than two runs, no variation, or no value"),
)


def pairwise_table(reading: StudyReading, panel: Panel, row: RowReading) -> Table | None:
    """Return the differences between all models of a task; None when fewer than two can be paired."""
    if row.pairs is None or not row.pairs.pairwise.comparisons:
        return None
    task = reading.tasks[row.row.task]
    labels = [model.label for model in reading.models.values() if model.label in row.pairs.pairwise.models]
    rows = tuple(
        (TableCell(first), *(_cell(row.pairs, first, second) for second in labels)) for first in labels
    )
    marks = {mark for cells in rows for cell in cells for mark in cell.marks}
    return Table(
        id=f"{panel_id(panel, 'pairwise')}-{reading.number_of(task)}",
        caption=f"{task.label}: {task.primary.title}, row minus column, {panel_title(panel)}",
        columns=(Column("Source model"), *(Column(label, numeric=True) for label in labels)),
        rows=rows,
        legend=tuple(entry for entry in _LEGEND if entry.sign in marks),
        notes=tuple(_notes(task, row.pairs)),
    )


def signed(value: float | None, digits: int = 3) -> str:
    """Return a difference with its sign.

    Example:
        >>> signed(0.0312), signed(-0.2), signed(0.0), signed(None)
        ('+0.031', '−0.200', '0.000', '–')
    """
    text = number(value, digits)
    if value is None or text == NONE or not text.strip("−0."):
        return text.replace("−", "")
    return f"+{text}" if value > 0 else text


def p_text(p: float | None, name: str = "p") -> str:
    """Return a p-value as text.

    Example:
        >>> p_text(0.0312), p_text(0.00001), p_text(None)
        ('p = 0.031', 'p < 0.001', 'p undetermined')
    """
    if p is None:
        return f"{name} undetermined"
    return f"{name} < 0.001" if p < 0.001 else f"{name} = {p:.3f}"


def _cell(pairs: RowPairs, first: str, second: str) -> TableCell:
    if first == second:
        return TableCell(_DIAGONAL, tone="absent")
    compared = pairs.pairwise.between(first, second)
    if compared is None:
        return TableCell("no value", marks=UNTESTED_MARK, tone="undetermined")
    details = []
    if compared.low is not None and compared.high is not None:
        details.append(f"[{signed(compared.low)}, {signed(compared.high)}]")
    details.append(p_text(compared.adjusted_p))
    chance = pairs.pairwise.outperforms.get((first, second))
    if chance is not None:
        details.append(f"outperforms {number(chance, 2)}")
    marks = _marks(pairs, first, second, compared)
    tone: Tone = "undetermined" if compared.p is None else "plain"
    return TableCell(signed(compared.difference), tuple(details), marks, tone, value=compared.difference)


def _marks(pairs: RowPairs, first: str, second: str, compared: Comparison) -> str:
    marks = UNTESTED_MARK if compared.p is None else ""
    if compared.significant(pairs.pairwise.alpha) and compared.leader is not None:
        marks += BETTER_MARK if compared.leader == "a" else WORSE_MARK
    return marks + (EQUIVALENT_MARK if pairs.equivalent(first, second) else "")


def _notes(task: ReportTask, pairs: RowPairs) -> Iterator[str]:
    yield _method(pairs)
    yield (
        f"{'Higher' if task.primary.higher_is_better else 'Lower'} is better. Brackets: 95 % interval of the "
        "difference, not adjusted; p-values are adjusted."
    )
    yield _equivalence(pairs)
    if any(chance is not None for chance in pairs.pairwise.outperforms.values()):
        yield (
            "Outperforms: the share of pairs of runs in which the run of the row's model is better, ties "
            "counting half."
        )
    second_view = _delong(pairs)
    if second_view:
        yield second_view
    yield RUNS_NOTE if pairs.pairwise.unit == "runs" else PATIENTS_NOTE


def _method(pairs: RowPairs) -> str:
    pairwise = pairs.pairwise
    test = "Welch's t-test over runs" if pairwise.unit == "runs" else "paired bootstrap over patients"
    text = (
        f"Family: all pairs of {count(len(pairwise.models), 'model')}, {count(pairwise.family_size, 'test')}; "
        f"two-sided {test}, {pairwise.correction} correction, alpha {pairwise.alpha:g}; "
        f"{_sizes(pairs)}."
    )
    if pairwise.without_p:
        text += f" {count(pairwise.without_p, 'pair')} could not be tested and are not in the family."
    if pairwise.smallest_adjusted_p >= pairwise.alpha:
        text += (
            " No pair can be significant with so few draws or patients: the smallest adjusted p is "
            f"{pairwise.smallest_adjusted_p:.3f}."
        )
    return text


def _sizes(pairs: RowPairs) -> str:
    sizes = sorted({n for n in pairs.pairwise.n.values() if n})
    shown = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
    return f"n = {shown} {pairs.pairwise.unit}"


def _equivalence(pairs: RowPairs) -> str:
    margin = f"{pairs.margin:g}"
    shown = [f"{a} and {b}" for a, b in pairs.equivalences if pairs.equivalent(a, b)]
    if not shown:
        return (
            f"No pair was shown to differ by less than the margin of ±{margin} (two one-sided tests); a "
            "difference that was not found does not show it."
        )
    return (
        f"Differ by less than the margin of ±{margin} (two one-sided tests, Holm over the pairs, alpha "
        f"{pairs.pairwise.alpha:g}): {listed(shown, most=_MOST_PAIRS_NAMED)}."
    )


def _delong(pairs: RowPairs) -> str:
    if not pairs.delong:
        return ""
    alpha = pairs.pairwise.alpha
    both = [
        (compared.p, found.p)
        for pair, found in pairs.delong.items()
        if (compared := pairs.pairwise.between(*pair)) and compared.p is not None and found.p is not None
    ]
    if not both:
        return ""
    agree = sum((p < alpha) == (other < alpha) for p, other in both)
    apart = max(abs(p - other) for p, other in both)
    return (
        "Every test case is another patient, so DeLong's test of AUC applies too: before correction it and the "
        f"bootstrap are on the same side of {alpha:g} for {agree:,} of {count(len(both), 'pair')}; their "
        f"p-values differ by {apart:.3f} at most."
    )
