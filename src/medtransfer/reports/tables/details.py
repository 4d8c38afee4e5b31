"""The detail table of one task: every metric, checkpoint and split, and where each model stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from medtransfer.reports.depth import NOT_CROSSED
from medtransfer.reports.estimates import Slot
from medtransfer.reports.phrases import count, listed
from medtransfer.reports.rows import RowReading
from medtransfer.reports.study_reading import Panel, StudyReading
from medtransfer.reports.subjects import ReportModel, ReportTask
from medtransfer.reports.tables.cell_text import crossed_lines, result_cell
from medtransfer.reports.tables.results import interval_notes, panel_id, panel_title, used_legend
from medtransfer.reports.tables.table import Column, Table, TableCell
from medtransfer.stats.wording import describe_standing

_SPLITS = {"test": "test", "val": "validation"}
_CHECKPOINTS = {
    "ten-crops": "best checkpoint on ten crops",
    "fixed-recipe": "best checkpoint with the recipe's own learning rate",
}


def details_table(reading: StudyReading, panel: Panel, row: RowReading) -> Table:
    """Return all numbers of one task under one protocol at one label fraction."""
    task = reading.tasks[row.row.task]
    models = [model for key, model in reading.models.items() if key in row.cells]
    slots = slots_of(task, row)
    rows = tuple(tuple(_row(task, row, model, slots)) for model in models)
    number = list(reading.tasks).index(task.key) + 1
    return Table(
        id=f"{panel_id(panel, 'details')}-{number}",
        caption=f"{task.label}: all metrics, {panel_title(panel)}",
        columns=(
            Column("Source model"),
            *(_column(task, slot) for slot in slots),
            Column("Against the best"),
        ),
        rows=rows,
        legend=tuple(used_legend(rows)),
        notes=(
            *_searched_rates(reading, row),
            *_remarks(reading, row),
            *_edge_policies(task),
            *_crossed_note(task, row),
            *interval_notes([row]),
        ),
    )


def slots_of(task: ReportTask, row: RowReading) -> list[Slot]:
    """Return the numbers a row has: by metric, test before validation, best checkpoint before last."""
    found = {slot for cell in row.cells.values() for slot in cell.estimates}
    names = [metric.name for metric in task.metrics]
    return sorted(found, key=lambda slot: (names.index(slot.metric), slot.split != "test", slot.checkpoint))


def slot_words(task: ReportTask, slot: Slot) -> tuple[str, str]:
    """Return the title of a slot's metric, and its split and checkpoint in words."""
    metric = next(metric for metric in task.metrics if metric.name == slot.metric)
    checkpoint = _CHECKPOINTS.get(slot.checkpoint, f"{slot.checkpoint} checkpoint")
    return metric.title, f"{_SPLITS.get(slot.split, slot.split)}, {checkpoint}"


def _column(task: ReportTask, slot: Slot) -> Column:
    title, detail = slot_words(task, slot)
    return Column(title, detail, numeric=True)


def _row(task: ReportTask, row: RowReading, model: ReportModel, slots: Sequence[Slot]) -> Iterator[TableCell]:
    cell = row.cells[model.key]
    yield TableCell(model.label)
    for slot in slots:
        if slot == Slot(task.primary.name):
            shown, estimate = result_cell(cell, slot, model.label, row.ties), cell.estimates.get(slot)
            lines = crossed_lines(estimate) if estimate else []
            yield replace(shown, details=(*shown.details, *lines))
        else:
            yield result_cell(cell, slot, model.label, None)
    compared = row.ties is not None and model.label in row.ties.family
    yield TableCell(describe_standing(row.ties, model.label) if row.ties and compared else "not compared")


def _remarks(reading: StudyReading, row: RowReading) -> Iterator[str]:
    """Yield what is to be said about the numbers of each model, equal remarks together."""
    task = reading.tasks[row.row.task]
    slots = slots_of(task, row)
    for model, cell in row.cells.items():
        places: dict[str, list[str]] = {}
        for slot in slots:
            for remark in cell.estimates[slot].remarks if slot in cell.estimates else ():
                places.setdefault(remark, []).append(" ".join(slot_words(task, slot)))
        for remark, where in places.items():
            yield f"{reading.models[model].label}, {listed(where, most=3)}: {remark}."


def _crossed_note(task: ReportTask, row: RowReading) -> Iterator[str]:
    """Yield what the intervals over runs and patients are, or why there are none."""
    several = [cell for cell in row.cells.values() if not cell.deterministic and len(cell.finished) > 1]
    drawn = {found.draws for found in row.predictions.crossed.values()}
    if drawn:
        yield (
            f"Over runs and patients: both are drawn again together ({max(drawn):,} draws; the patients of a "
            f"draw are the same for all models), for {task.primary.title} on test. It says what other runs "
            "on other patients would give."
        )
    elif several and not row.depth.crossed:
        yield NOT_CROSSED


def _searched_rates(reading: StudyReading, row: RowReading) -> Iterator[str]:
    """Yield which learning rates validation chose, and how many were tried for each run."""
    for model, cell in row.cells.items():
        searches = [
            record.outcome.choices
            for record in cell.finished
            if record.outcome is not None and "learning_rates" in record.outcome.choices
        ]
        if searches:
            chosen = Counter(float(search["learning_rate"]) for search in searches)
            tried = sorted({len(search["learning_rates"]) for search in searches})
            rates = listed([f"{rate:g} ({count(n, 'run')})" for rate, n in sorted(chosen.items())])
            yield (
                f"{reading.models[model].label}: learning rate chosen on validation among "
                f"{listed([str(number) for number in tried])}: {rates}."
            )


def _edge_policies(task: ReportTask) -> Iterator[str]:
    for metric in task.metrics:
        yield f"{metric.title} (version {metric.version}): {metric.edge_policy}"
