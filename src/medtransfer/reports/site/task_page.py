"""The page of a target task: all its results, compared, by class, by number of labels, and run by run."""

from __future__ import annotations

from collections.abc import Iterator

from medtransfer.reports.composition import curves_section
from medtransfer.reports.document import Document, Facts, Notice, Part, Section
from medtransfer.reports.figures.calibration import calibration_charts
from medtransfer.reports.figures.frontier import frontier_charts
from medtransfer.reports.figures.label_efficiency import label_efficiency_charts
from medtransfer.reports.figures.runs import runs_chart
from medtransfer.reports.figures.training_curves import training_curves_charts
from medtransfer.reports.phrases import count, listed
from medtransfer.reports.published.beside import published_table
from medtransfer.reports.rows import RowReading
from medtransfer.reports.site.addresses import Addresses, linked
from medtransfer.reports.site.extras import Extras
from medtransfer.reports.site.focus import on_task
from medtransfer.reports.site.page import SitePage
from medtransfer.reports.site.panel_columns import ResultsTables, panel_anchor, task_results_table
from medtransfer.reports.study_reading import Panel, StudyReading
from medtransfer.reports.subjects import ReportTask
from medtransfer.reports.tables.calibration import calibration_table
from medtransfer.reports.tables.classes import classes_table
from medtransfer.reports.tables.details import details_table
from medtransfer.reports.tables.pairwise import pairwise_table
from medtransfer.reports.tables.results import panel_id, panel_title
from medtransfer.reports.tables.tasks import SPLIT_SOURCES, task_cautions
from medtransfer.reports.worst_cases import worst_cases


def task_page(
    reading: StudyReading, task: ReportTask, addresses: Addresses, tables: ResultsTables, extras: Extras
) -> SitePage:
    """Return the page of a task.

    Args:
        reading: The study.
        task: One of its tasks.
        addresses: Where the pages lie.
        tables: The results tables of the study.
        extras: Published results and pictures to show beside its own.
    """
    focused = on_task(reading, task)
    sections = (
        Section("overview", "Overview", (task_facts(task), *_notices(task))),
        Section("results", "Results", tuple(_results(reading, focused, task, addresses, tables))),
        Section("label-efficiency", "Label efficiency", tuple(label_efficiency_charts(focused))),
        Section("calibration", "Calibration", tuple(_calibration(focused, task, addresses))),
        Section("worst-cases", "Worst cases", tuple(worst_cases(focused, task, extras.thumbnails))),
        Section("cost", "Cost and quality", tuple(frontier_charts(focused, task))),
        Section("published", "Published results", tuple(_published(reading, task, extras))),
        Section("panels", "By protocol and label fraction", (), tuple(_panels(focused, addresses))),
        Section("curves", "Training curves", (), tuple(map(curves_section, training_curves_charts(focused)))),
    )
    document = Document(
        title=task.label,
        subtitle=str(task.facts.get("title") or "Target task"),
        sections=tuple(section for section in sections if section.parts or section.sections),
        product=f"Target task · {reading.study}",
    )
    return SitePage(addresses.task(task.key), document)


def task_facts(task: ReportTask) -> Facts:
    """Return what a task is, in a few words."""
    facts = task.facts
    counts = facts.get("split_counts", {})
    known = facts.get("patients_known", True) and "patients" in facts
    source = str(facts.get("split_source", "unknown"))
    direction = "higher is better" if task.primary.higher_is_better else "lower is better"
    return Facts(
        (
            ("Predicts", f"{task.kind}: {listed([str(name) for name in task.classes], most=6)}"),
            ("Primary metric", f"{task.primary.title}, {direction}"),
            ("Training cases", f"{int(counts.get('train', 0)):,}"),
            ("Validation cases", f"{int(counts.get('val', 0)):,}"),
            ("Test cases", f"{int(counts.get('test', 0)):,}"),
            ("Patients", f"{int(facts['patients']):,}" if known else "unknown"),
            ("Split", SPLIT_SOURCES.get(source, source)),
        )
    )


def _notices(task: ReportTask) -> Iterator[Notice]:
    for caution in task_cautions(task):
        yield Notice("caution", caution.removeprefix(f"{task.label}: "))


def _results(
    reading: StudyReading,
    focused: StudyReading,
    task: ReportTask,
    addresses: Addresses,
    tables: ResultsTables,
) -> Iterator[Part]:
    yield task_results_table(reading, task, addresses, tables)
    chart = runs_chart(focused, task)
    if chart is not None:
        yield chart


def _calibration(focused: StudyReading, task: ReportTask, addresses: Addresses) -> Iterator[Part]:
    yield from calibration_charts(focused, task)
    table = calibration_table(focused, task)
    if table is not None:
        yield linked(table, addresses.by_model)


def _published(reading: StudyReading, task: ReportTask, extras: Extras) -> Iterator[Part]:
    table = published_table(reading, task.key, extras.published)
    if table is not None:
        yield table


def _panels(focused: StudyReading, addresses: Addresses) -> Iterator[Section]:
    for panel in focused.panels:
        for row in panel.rows:
            yield Section(
                panel_anchor(panel),
                panel_title(panel),
                tuple(_comparisons(focused, panel, row, addresses)),
                tuple(_folded(focused, panel, row, addresses)),
            )


def _comparisons(
    focused: StudyReading, panel: Panel, row: RowReading, addresses: Addresses
) -> Iterator[Part]:
    for table in (pairwise_table(focused, panel, row), classes_table(focused, panel, row)):
        if table is not None:
            yield linked(table, addresses.by_model)


def _folded(focused: StudyReading, panel: Panel, row: RowReading, addresses: Addresses) -> Iterator[Section]:
    details = linked(details_table(focused, panel, row), addresses.by_model)
    title = f"All metrics ({count(len(details.rows), 'source model')})"
    yield Section(panel_id(panel, "all-metrics"), title, (details,), folded=True)
