"""The table of one task by class: which classes a model finds, and how many cases that rests on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from medtransfer.reports.cells import Cell
from medtransfer.reports.estimates import Slot, estimate_over_runs
from medtransfer.reports.phrases import count
from medtransfer.reports.rows import RowReading
from medtransfer.reports.study_reading import Panel, StudyReading
from medtransfer.reports.subjects import ReportTask
from medtransfer.reports.tables.cell_text import value_text
from medtransfer.reports.tables.results import panel_id, panel_title
from medtransfer.reports.tables.table import Column, Table, TableCell

FEW_CASES = 10
"""Below this number of positive cases the value of a class hardly means anything."""


def classes_table(reading: StudyReading, panel: Panel, row: RowReading) -> Table | None:
    """Return the primary metric on test by class; None for a metric that has one value only."""
    task = reading.tasks[row.row.task]
    classes = _support(task, row)
    if len(classes) < 2:
        return None
    rows = tuple(
        (TableCell(model.label), *_cells(task, row.cells[key], classes))
        for key, model in reading.models.items()
        if key in row.cells and row.cells[key].applicable
    )
    return Table(
        id=f"{panel_id(panel, 'classes')}-{list(reading.tasks).index(task.key) + 1}",
        caption=f"{task.label}: {task.primary.title} on test by class, {panel_title(panel)}",
        columns=(Column("Source model"), *(_column(name, cases) for name, cases in classes.items())),
        rows=rows,
        notes=tuple(_notes(task, classes)),
    )


def _support(task: ReportTask, row: RowReading) -> dict[str, int | None]:
    """Return the classes of the primary metric with their numbers of test cases."""
    for cell in row.cells.values():
        for value in _values(task, cell):
            support = value.get("support") or {}
            return {str(name): support.get(name) for name in value.get("per_class") or {}}
    return {}


def _values(task: ReportTask, cell: Cell) -> Iterator[Mapping[str, Any]]:
    slot = Slot(task.primary.name)
    for record in cell.finished:
        if record.outcome and slot.metric in record.outcome.metrics.get(slot.place, {}):
            yield record.outcome.metrics[slot.place][slot.metric]


def _column(name: str, cases: int | None) -> Column:
    return Column(name, "" if cases is None else count(cases, "test case"), numeric=True)


def _cells(task: ReportTask, cell: Cell, names: Iterable[str]) -> Iterator[TableCell]:
    by_class = [value["per_class"] for value in _values(task, cell)]
    for name in names:
        yield _cell(task, [values.get(name) for values in by_class])


def _cell(task: ReportTask, found: Sequence[float | None]) -> TableCell:
    runs = [(number, float(value)) for number, value in enumerate(found) if value is not None]
    if not runs:
        return TableCell("undefined" if found else "not run", tone="absent")
    return TableCell(value_text(estimate_over_runs(runs, 0, task.primary)), (count(len(runs), "run"),))


def _notes(task: ReportTask, classes: Mapping[str, int | None]) -> Iterator[str]:
    yield "Mean ± sample standard deviation over runs; values of single classes are not compared."
    few = [f"{name} ({cases})" for name, cases in classes.items() if cases is not None and cases < FEW_CASES]
    if few:
        named = ", ".join(few)
        yield f"{task.label}: fewer than {FEW_CASES} test cases have {named}; read these columns with care."
