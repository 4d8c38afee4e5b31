"""A comparison of two source models as tables and sentences that fit a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator

from medtransfer.reports.comparison.records import ComparedRow, ModelComparison, RowPlace
from medtransfer.reports.phrases import NONE, number, percent
from medtransfer.reports.tables.table import Column, Table, TableCell, Tone, plain_row
from medtransfer.stats.verdict import Outcome, Source, SourceTests, signed

_SHORT: dict[Source, str] = {
    "training runs": "runs",
    "test patients": "patients",
    "runs and patients": "both",
}
_VERDICTS: dict[Outcome, str] = {
    "a-better": "A better",
    "b-better": "B better",
    "equivalent": "equivalent",
    "undecided": "undecided",
}
_TONES: dict[Outcome, Tone] = {
    "a-better": "best",
    "b-better": "best",
    "equivalent": "tied",
    "undecided": "undetermined",
}
_GAP = "\u00a0"
"""A space that holds columns of a cell in line."""


def comparison_table(comparison: ModelComparison) -> Table:
    """Return the compared rows: values, both kinds of interval with their tests, and the verdict."""
    return Table(
        id="comparison",
        caption=f"A: {comparison.a.name}. B: {comparison.b.name}",
        columns=(
            Column("Row"),
            Column("Value", numeric=True),
            Column("95 % interval of A − B, adjusted p"),
            Column("Verdict"),
        ),
        rows=tuple(_cells(row) for row in comparison.rows),
    )


def missing_table(comparison: ModelComparison) -> Table:
    """Return what cannot be compared, with the reason on each side."""
    return Table(
        id="not-compared",
        caption="Not compared",
        columns=(Column("What"), Column("A"), Column("B")),
        rows=tuple(
            plain_row(
                ", ".join(_place(row.place)), row.reason_a or "has results", row.reason_b or "has results"
            )
            for row in comparison.missing
        ),
    )


def verdict_lines(comparison: ModelComparison) -> list[str]:
    """Return one sentence per compared row."""
    return [f"{row.number} {', '.join(_place(row.place))}: {row.short_sentence}" for row in comparison.rows]


def note_lines(comparison: ModelComparison) -> list[str]:
    """Return warnings, then remarks with the rows they are about, then the notes on all rows."""
    remarks: dict[str, list[str]] = {}
    for row in comparison.rows:
        for remark in row.remarks:
            remarks.setdefault(remark, []).append(str(row.number))
    return [
        *(f"Caution: {warning}" for warning in comparison.warnings),
        *(f"Row{'s' * (len(rows) > 1)} {', '.join(rows)}: {remark}." for remark, rows in remarks.items()),
        *comparison.notes,
    ]


def _cells(row: ComparedRow) -> tuple[TableCell, ...]:
    place = _place(row.place)
    tests = [_test_line(test) for test in row.tests]
    if row.outperforms is not None:
        tests.append(_words(f"P(A beats B) {row.outperforms:.2f}"))
    verdict = _VERDICTS[row.verdict.outcome]
    within = row.verdict.outcome == "equivalent" or row.verdict.within_margin
    return (
        TableCell(f"{row.number} {place[0]}", details=(*place[1:], row.metric_title)),
        TableCell(_value("A", number(row.a.mean)), details=tuple(_value_lines(row))),
        TableCell(tests[0], details=tuple(tests[1:])),
        TableCell(
            verdict,
            details=((f"within ±{row.margin:g}",) if within else ()),
            tone=_TONES[row.verdict.outcome],
        ),
    )


def _value_lines(row: ComparedRow) -> Iterator[str]:
    yield _value("B", number(row.b.mean))
    difference = row.a.mean - row.b.mean
    yield _value("A−B", signed(difference))
    found = next((test.comparison for test in row.tests if test.comparison is not None), None)
    if found is not None and found.relative_percent is not None:
        yield _words(f"{signed(found.relative_percent, 1)} %")
    if any(test.source == "training runs" for test in row.tests):
        numbers = dict.fromkeys([len(row.a.runs), len(row.b.runs)])
        yield _words(f"n = {'/'.join(str(n) for n in numbers)}")


def _value(name: str, text: str) -> str:
    return _words(f"{name} {text}")


def _words(text: str) -> str:
    """Return text that stays on one line."""
    return text.replace(" ", _GAP)


def _test_line(test: SourceTests) -> str:
    name = _SHORT[test.source].ljust(9, _GAP)
    found = test.comparison
    if found is None or found.p is None:
        return f"{name}{NONE}"
    p = found.p if found.correction is None else found.adjusted_p
    p_text = NONE if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"
    if found.low is None or found.high is None:
        return name + _words(f"{NONE}  p {p_text}")
    return name + _words(f"{signed(found.low)} to {signed(found.high)}  p {p_text}")


def _place(place: RowPlace) -> tuple[str, str, str]:
    return place.task, place.protocol, _words(f"{percent(place.label_fraction)} of labels")
