"""A study reading cut down to one task or one source model, for the page about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from medtransfer.reports.rows import RowReading
from medtransfer.reports.study_reading import Panel, StudyReading
from medtransfer.reports.subjects import ReportModel, ReportTask


def on_task(reading: StudyReading, task: ReportTask) -> StudyReading:
    """Return the reading with the rows of one task; tasks and models keep their places."""
    return _cut(reading, lambda row: row if row.row.task == task.key else None)


def on_model(reading: StudyReading, model: ReportModel) -> StudyReading:
    """Return the reading with the cells of one model.

    The rows carry no comparison: it is about the models of a row together, and this one alone
    cannot carry it.
    """

    def of_model(row: RowReading) -> RowReading | None:
        cell = row.cells.get(model.key)
        return None if cell is None else replace(row, cells={model.key: cell}, ties=None, pairs=None)

    return _cut(reading, of_model)


def _cut(reading: StudyReading, keep: Callable[[RowReading], RowReading | None]) -> StudyReading:
    panels = [_panel(panel, keep) for panel in reading.panels]
    return replace(reading, panels=tuple(panel for panel in panels if panel.rows))


def _panel(panel: Panel, keep: Callable[[RowReading], RowReading | None]) -> Panel:
    rows = (keep(row) for row in panel.rows)
    return replace(panel, rows=tuple(row for row in rows if row is not None))
