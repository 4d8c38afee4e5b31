"""Captions of a paper: what is shown, what n and the intervals are, what the signs mean, what is generated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from medtransfer.reports.estimates import Estimate, Slot
from medtransfer.reports.phrases import listed
from medtransfer.reports.rows import RowReading
from medtransfer.reports.study_reading import StudyReading
from medtransfer.reports.subjects import ReportTask
from medtransfer.reports.tables.table import Table
from medtransfer.stats.pairwise import Pairwise


def table_caption(table: Table, tasks: Iterable[ReportTask], evidence: str = "") -> str:
    """Return the caption of a table: title, n and intervals, signs, phantoms.

    Args:
        table: The table.
        tasks: The tasks its numbers are about.
        evidence: What n and the intervals are; see :func:`interval_evidence`.
    """
    legend = "; ".join(f"{entry.sign}, {entry.meaning}" for entry in table.legend)
    parts = (
        f"{_ended(table.caption)}",
        evidence,
        f"Signs: {_ended(legend)}" if legend else "",
        phantom_sentence(tasks),
    )
    return " ".join(part for part in parts if part)


def figure_caption(title: str, description: str, tasks: Iterable[ReportTask]) -> str:
    """Return the caption of a figure: title, what is drawn, phantoms."""
    parts = (_ended(title), _ended(description), phantom_sentence(tasks))
    return " ".join(part for part in parts if part)


def interval_evidence(reading: StudyReading, rows: Sequence[RowReading]) -> str:
    """Return n and the kind of interval of the primary results of some rows.

    Example: ``n = 5 runs per cell, brackets: 95 % t interval of the mean over runs.``
    """
    return " ".join(_evidence(list(_primary(reading, rows))))


def run_evidence(reading: StudyReading, rows: Sequence[RowReading]) -> str:
    """Return n of the primary results of some rows, for tables without their intervals."""
    numbers = sorted({estimate.n for estimate in _primary(reading, rows) if estimate.n})
    return f"n = {_range(numbers)} per source model." if numbers else ""


def pairwise_evidence(pairwise: Pairwise) -> str:
    """Return n and the kind of interval of the differences between all pairs of a row."""
    sizes = sorted({n for n in pairwise.n.values() if n})
    shown = _range(sizes, pairwise.unit.removesuffix("s")) if sizes else f"0 {pairwise.unit}"
    return f"n = {shown}; brackets: 95 % interval of the difference over {pairwise.unit}, not adjusted."


def phantom_sentence(tasks: Iterable[ReportTask]) -> str:
    """Return what must be said of generated images; empty when no task has any."""
    names = [task.label for task in tasks if task.phantom]
    if not names:
        return ""
    return f"Phantom results: the images of {listed(names, most=9)} are generated and say nothing about patients."


def _primary(reading: StudyReading, rows: Sequence[RowReading]) -> Iterator[Estimate]:
    for row in rows:
        slot = Slot(reading.tasks[row.row.task].primary.name)
        for cell in row.cells.values():
            estimate = cell.estimates.get(slot)
            if estimate is not None and estimate.mean is not None:
                yield estimate


def _evidence(estimates: Sequence[Estimate]) -> Iterator[str]:
    over_runs = sorted({e.n for e in estimates if e.over == "training runs"})
    if over_runs:
        yield (
            f"Cells with ±: mean ± sample standard deviation over n = {_range(over_runs)}, brackets: 95 % t "
            "interval of the mean over training runs."
        )
    patients = sorted({e.patients for e in estimates if e.over == "test patients" and e.patients})
    if patients:
        yield (
            "Cells without ±: one deterministic result, brackets: 95 % bootstrap interval over "
            f"n = {_range(patients, 'test patient')}."
        )
    if any(e.over is None for e in estimates):
        yield "Cells without brackets have no interval."


def _range(numbers: Sequence[int], noun: str = "run") -> str:
    if len(numbers) == 1:
        return f"{numbers[0]:,} {noun}{'' if numbers[0] == 1 else 's'}"
    return f"{numbers[0]:,} to {numbers[-1]:,} {noun}s"


def _ended(text: str) -> str:
    return text if text.rstrip().endswith((".", "!", "?")) else f"{text.rstrip()}."
