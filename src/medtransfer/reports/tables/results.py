"""The results table: tasks against source models, the primary metric on test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from medtransfer.reports.estimates import Slot
from medtransfer.reports.phrases import count, listed, percent
from medtransfer.reports.rows import RowReading
from medtransfer.reports.study_reading import Panel, StudyReading
from medtransfer.reports.subjects import ReportTask
from medtransfer.reports.tables.cell_text import LEGEND, OVERLAP_MARKS, result_cell
from medtransfer.reports.tables.table import Column, LegendEntry, Table, TableCell
from medtransfer.stats.wording import PATIENTS_NOTE, PRETRAINING_NOTE, RUNS_NOTE, describe_tie_group


def results_table(reading: StudyReading, panel: Panel) -> Table:
    """Return the table of one protocol at one label fraction."""
    models = reading.models_of(panel)
    rows = []
    for row in panel.rows:
        task = reading.tasks[row.row.task]
        slot = Slot(task.primary.name)
        cells = [result_cell(row.cells.get(model.key), slot, model.label, row.ties) for model in models]
        rows.append((_heading(task), *cells))
    return Table(
        id=panel_id(panel),
        caption=f"{panel_title(panel)}: primary metric on test, checkpoint selected on validation",
        columns=(Column("Task"), *(Column(model.label, numeric=True) for model in models)),
        rows=tuple(rows),
        legend=tuple(used_legend(rows)),
        notes=tuple(_notes(reading, panel)),
    )


def panel_title(panel: Panel) -> str:
    """Return the name of a protocol at a label fraction, for headings."""
    return f"{panel.block.label}, {percent(panel.fraction)} of the training labels"


def panel_id(panel: Panel, prefix: str = "results") -> str:
    """Return the anchor of a panel's part of the report."""
    share = f"{panel.fraction * 100:.6g}".replace(".", "-").replace("+", "")
    return f"{prefix}-{panel.number + 1}-{share}"


def used_legend(rows: Iterable[Iterable[TableCell]]) -> Iterator[LegendEntry]:
    """Yield the legend entries whose sign or tone occurs in a table."""
    cells = [cell for row in rows for cell in row]
    texts = {cell.text for cell in cells} | {mark for cell in cells for mark in cell.marks}
    for entry in LEGEND:
        if entry.sign in texts or (entry.tone == "best" and any(cell.tone == "best" for cell in cells)):
            yield entry


def interval_notes(rows: Iterable[RowReading]) -> list[str]:
    """Return what must be said about intervals, as far as the rows have such intervals."""
    estimates = [e for row in rows for cell in row.cells.values() for e in cell.estimates.values()]
    notes = []
    if any(estimate.over == "training runs" for estimate in estimates):
        notes.append(
            "Cells with ± show mean ± sample standard deviation over training runs and the 95 % t interval "
            f"of the mean. {RUNS_NOTE}"
        )
    draws = sorted({estimate.draws for estimate in estimates if estimate.draws})
    if draws:
        made = listed([f"{number_of:,}" for number_of in draws])
        notes.append(
            "Cells over patients show one deterministic result and its 95 % interval from a bootstrap of "
            "whole "
            f"patients ({made} draws, the same for all models of a task). {PATIENTS_NOTE}"
        )
    return [*notes, PRETRAINING_NOTE]


def _heading(task: ReportTask) -> TableCell:
    arrow = "higher is better" if task.primary.higher_is_better else "lower is better"
    cases = task.facts.get("split_counts", {}).get("test")
    details = [f"{task.primary.title}, {arrow}"]
    if cases is not None:
        details.append(count(int(cases), "test case"))
    return TableCell(task.label, tuple(details))


def _notes(reading: StudyReading, panel: Panel) -> Iterator[str]:
    for row in panel.rows:
        if row.ties is not None:
            yield f"{reading.tasks[row.row.task].label}: {describe_tie_group(row.ties)}"
    yield from _overlap_reasons(reading, panel)
    yield from _remarks(reading, panel)
    yield from interval_notes(panel.rows)


def _overlap_reasons(reading: StudyReading, panel: Panel) -> Iterator[str]:
    places: dict[str, list[str]] = {}
    for row in panel.rows:
        for model, cell in row.cells.items():
            if cell.overlap in ("same", *OVERLAP_MARKS):
                sign = OVERLAP_MARKS.get(cell.overlap, "–")
                where = f"{reading.models[model].label} on {reading.tasks[row.row.task].label}"
                places.setdefault(f"{sign} {cell.overlap_reason}", []).append(where)
    for reason, found in places.items():
        yield f"{reason}: {listed(found)}."


def _remarks(reading: StudyReading, panel: Panel) -> Iterator[str]:
    """Yield what is to be said about single cells, equal remarks of a row together."""
    for row in panel.rows:
        task = reading.tasks[row.row.task]
        models: dict[str, list[str]] = {}
        for model, cell in row.cells.items():
            estimate = cell.estimates.get(Slot(task.primary.name))
            for remark in estimate.remarks if estimate else ():
                models.setdefault(remark, []).append(reading.models[model].label)
        for remark, labels in models.items():
            yield f"{task.label}, {listed(labels)}: {remark}."
