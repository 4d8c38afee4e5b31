"""Results of one subject over all protocols and label fractions, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from medtransfer.reports.phrases import percent
from medtransfer.reports.site.addresses import Addresses
from medtransfer.reports.site.focus import on_model, on_task
from medtransfer.reports.study_reading import Panel, StudyReading
from medtransfer.reports.subjects import ReportModel, ReportTask
from medtransfer.reports.tables.cell_text import NOT_RUN
from medtransfer.reports.tables.results import panel_id, panel_title, results_table, used_legend
from medtransfer.reports.tables.table import Column, Table, TableCell

_NO_CELL = TableCell(NOT_RUN, tone="absent")


@dataclass(frozen=True)
class ResultsTables:
    """The cells of the results table of every panel of a study, made once and read by many pages."""

    by_panel: Mapping[tuple[int, float], Mapping[tuple[str, str], TableCell]]
    """Cells by keys of task and model, of every panel by number of its block and label fraction."""

    def cell(self, panel: Panel, task: str, model: str) -> TableCell:
        """Return the cell of a task and a model, by their keys; ``not run`` when the panel has none."""
        return self.by_panel[panel.number, panel.fraction].get((task, model), _NO_CELL)


def results_tables(reading: StudyReading) -> ResultsTables:
    """Return the results tables of all panels."""
    return ResultsTables(
        {(panel.number, panel.fraction): dict(_cells(reading, panel)) for panel in reading.panels}
    )


def _cells(reading: StudyReading, panel: Panel) -> Iterator[tuple[tuple[str, str], TableCell]]:
    models = reading.models_of(panel)
    for row, line in zip(panel.rows, results_table(reading, panel).rows, strict=True):
        for model, cell in zip(models, line[1:], strict=True):
            yield (row.row.task, model.key), cell


def task_results_table(
    reading: StudyReading, task: ReportTask, addresses: Addresses, tables: ResultsTables
) -> Table:
    """Return the primary metric of a task: source models as rows, panels as columns."""
    panels = [panel for panel in reading.panels if any(row.row.task == task.key for row in panel.rows)]
    focused = on_task(reading, task)
    models = [m for m in reading.models.values() if any(m in focused.models_of(p) for p in focused.panels)]
    rows = tuple(
        (
            TableCell(model.label, link=addresses.model(model.key)),
            *(tables.cell(panel, task.key, model.key) for panel in panels),
        )
        for model in models
    )
    return Table(
        id="task-results",
        caption=f"{task.label}: {task.primary.title} on test, checkpoint selected on validation",
        columns=(Column("Source model"), *_columns(panels)),
        rows=rows,
        legend=tuple(used_legend(rows)),
        notes=tuple(_notes(focused, f"{task.label}: ")),
    )


def model_results_table(
    reading: StudyReading, model: ReportModel, addresses: Addresses, tables: ResultsTables
) -> Table:
    """Return the primary metric of every task with one source model: tasks as rows, panels as columns."""
    focused = on_model(reading, model)
    kept = {(panel.number, panel.fraction) for panel in focused.panels}
    panels = [panel for panel in reading.panels if (panel.number, panel.fraction) in kept]
    tasks = [
        task
        for task in reading.tasks.values()
        if any(row.row.task == task.key for panel in focused.panels for row in panel.rows)
    ]
    rows = tuple(
        (
            TableCell(task.label, (task.primary.title,), link=addresses.task(task.key)),
            *(tables.cell(panel, task.key, model.key) for panel in panels),
        )
        for task in tasks
    )
    return Table(
        id="model-results",
        caption=f"{model.label}: primary metric on test, checkpoint selected on validation",
        columns=(Column("Task"), *_columns(panels)),
        rows=rows,
        legend=tuple(used_legend(rows)),
        notes=tuple(_notes(focused)),
    )


def panel_anchor(panel: Panel) -> str:
    """Return the anchor of a panel's section on a task page."""
    return panel_id(panel, "panel")


def _columns(panels: Sequence[Panel]) -> Iterator[Column]:
    for panel in panels:
        yield Column(panel.block.label, f"{percent(panel.fraction)} of the training labels", numeric=True)


def _notes(focused: StudyReading, prefix: str = "") -> Iterator[str]:
    """Yield the notes of the panels, those that only some panels have under their names."""
    by_panel = {panel_title(panel): results_table(focused, panel).notes for panel in focused.panels}
    found = dict.fromkeys(note for notes in by_panel.values() for note in notes)
    for note in found:
        said_in = [title for title, notes in by_panel.items() if note in notes]
        if len(said_in) == len(by_panel):
            yield note.removeprefix(prefix)
        else:
            yield f"{'; '.join(said_in)}: {note.removeprefix(prefix)}"
