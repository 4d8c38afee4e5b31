"""What goes into a paper: which tables and figures there are, in which order, under which captions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from medtransfer.reports.figures.calibration import calibration_charts
from medtransfer.reports.figures.chart import Chart
from medtransfer.reports.figures.critical_difference import critical_difference_chart
from medtransfer.reports.figures.frontier import frontier_charts
from medtransfer.reports.figures.label_efficiency import label_efficiency_charts
from medtransfer.reports.figures.performance_profiles import performance_profiles_chart
from medtransfer.reports.figures.runs import runs_chart
from medtransfer.reports.figures.training_curves import training_curves_charts
from medtransfer.reports.paper.captions import (
    figure_caption,
    interval_evidence,
    pairwise_evidence,
    run_evidence,
    table_caption,
)
from medtransfer.reports.study_reading import Panel, StudyReading
from medtransfer.reports.subjects import ReportTask
from medtransfer.reports.tables.calibration import calibration_table
from medtransfer.reports.tables.classes import classes_table
from medtransfer.reports.tables.pairwise import pairwise_table
from medtransfer.reports.tables.ranks import ranks_table
from medtransfer.reports.tables.results import results_table
from medtransfer.reports.tables.source_models import source_models_table
from medtransfer.reports.tables.table import Table
from medtransfer.reports.tables.tasks import tasks_table


@dataclass(frozen=True)
class PaperTable:
    """A table with its caption."""

    table: Table
    """The table; its id is the name of its files."""
    caption: str
    """What stands over it, as plain text."""


@dataclass(frozen=True)
class PaperFigure:
    """A figure with its caption."""

    chart: Chart
    """The figure; its id is the name of its files."""
    caption: str
    """What stands under it, as plain text."""


@dataclass(frozen=True)
class PaperSection:
    """Tables and figures under one heading."""

    title: str
    """Heading."""
    items: tuple[PaperTable | PaperFigure, ...]
    """In reading order."""
    supplementary: bool = False
    """Whether it stands after the references."""


def paper_sections(reading: StudyReading) -> tuple[PaperSection, ...]:
    """Return all tables and figures of a study, first what a reader looks for; sections without any are left out."""
    sections = (
        PaperSection("Tasks and source models", tuple(_material(reading))),
        PaperSection("Results", tuple(_results(reading))),
        PaperSection("Models over tasks", tuple(_over_tasks(reading))),
        PaperSection("Label efficiency", tuple(_label_efficiency(reading))),
        PaperSection("Every run", tuple(_runs(reading)), supplementary=True),
        PaperSection("Pairwise comparisons", tuple(_pairwise(reading)), supplementary=True),
        PaperSection("Results by class", tuple(_classes(reading)), supplementary=True),
        PaperSection("Calibration", tuple(_calibration(reading)), supplementary=True),
        PaperSection("Quality and cost", tuple(_frontier(reading)), supplementary=True),
        PaperSection("Training curves", tuple(_curves(reading)), supplementary=True),
    )
    return tuple(section for section in sections if section.items)


def _material(reading: StudyReading) -> Iterator[PaperTable]:
    tasks = reading.tasks.values()
    for table in (tasks_table(reading), source_models_table(reading)):
        yield PaperTable(table, table_caption(table, tasks))


def _results(reading: StudyReading) -> Iterator[PaperTable]:
    for panel in reading.panels:
        table = results_table(reading, panel)
        evidence = interval_evidence(reading, panel.rows)
        yield PaperTable(table, table_caption(table, _tasks(reading, panel), evidence))


def _over_tasks(reading: StudyReading) -> Iterator[PaperTable | PaperFigure]:
    for panel in reading.panels:
        tasks = _tasks(reading, panel)
        table = ranks_table(reading, panel)
        if table is not None:
            evidence = run_evidence(reading, panel.rows)
            yield PaperTable(table, table_caption(table, tasks, evidence))
        charts = (critical_difference_chart(reading, panel), performance_profiles_chart(reading, panel))
        yield from _figures((chart for chart in charts if chart is not None), tasks)


def _pairwise(reading: StudyReading) -> Iterator[PaperTable]:
    for panel in reading.panels:
        for row in panel.rows:
            table = pairwise_table(reading, panel, row)
            if table is not None and row.pairs is not None:
                evidence = pairwise_evidence(row.pairs.pairwise)
                yield PaperTable(table, table_caption(table, [reading.tasks[row.row.task]], evidence))


def _classes(reading: StudyReading) -> Iterator[PaperTable]:
    for panel in reading.panels:
        for row in panel.rows:
            table = classes_table(reading, panel, row)
            if table is not None:
                evidence = run_evidence(reading, [row])
                yield PaperTable(table, table_caption(table, [reading.tasks[row.row.task]], evidence))


def _runs(reading: StudyReading) -> Iterator[PaperFigure]:
    for task in reading.tasks.values():
        chart = runs_chart(reading, task)
        yield from _figures([chart] if chart else [], [task])


def _calibration(reading: StudyReading) -> Iterator[PaperTable | PaperFigure]:
    for task in reading.tasks.values():
        table = calibration_table(reading, task)
        if table is not None:
            yield PaperTable(table, table_caption(table, [task]))
        yield from _figures(calibration_charts(reading, task), [task])


def _frontier(reading: StudyReading) -> Iterator[PaperFigure]:
    for task in reading.tasks.values():
        yield from _figures(frontier_charts(reading, task), [task])


def _label_efficiency(reading: StudyReading) -> Iterator[PaperFigure]:
    yield from _of_all_tasks(reading, label_efficiency_charts(reading))


def _curves(reading: StudyReading) -> Iterator[PaperFigure]:
    yield from _of_all_tasks(reading, training_curves_charts(reading))


def _of_all_tasks(reading: StudyReading, charts: Iterable[Chart]) -> Iterator[PaperFigure]:
    """Caption charts of single tasks, whose titles begin with the label of the task."""
    for chart in charts:
        tasks = [task for task in reading.tasks.values() if chart.title.startswith(f"{task.label}: ")]
        yield from _figures([chart], tasks)


def _figures(charts: Iterable[Chart], tasks: Iterable[ReportTask]) -> Iterator[PaperFigure]:
    about = list(tasks)
    for chart in charts:
        yield PaperFigure(chart, figure_caption(chart.title, chart.description, about))


def _tasks(reading: StudyReading, panel: Panel) -> list[ReportTask]:
    return [reading.tasks[row.row.task] for row in panel.rows]
