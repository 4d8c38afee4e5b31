"""From a study reading to the report: which sections there are, in which order, and what stands in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from medtransfer.reports.disclosure import hide_places
from medtransfer.reports.document import Document, Facts, Listing, Notice, Paragraph, Part, Section, Terms
from medtransfer.reports.figures.chart import Chart
from medtransfer.reports.figures.label_efficiency import label_efficiency_charts
from medtransfer.reports.figures.runs import runs_chart
from medtransfer.reports.figures.training_curves import training_curves_charts
from medtransfer.reports.limits import limits_of_evidence
from medtransfer.reports.methods import METHODS
from medtransfer.reports.phrases import count, listed, percent
from medtransfer.reports.study_reading import Panel, StudyReading
from medtransfer.reports.tables.classes import classes_table
from medtransfer.reports.tables.details import details_table
from medtransfer.reports.tables.failures import failures_table
from medtransfer.reports.tables.provenance import (
    differences,
    finished_between,
    provenance_table,
    superseded_note,
    trial_counts,
)
from medtransfer.reports.tables.results import panel_id, panel_title, results_table
from medtransfer.reports.tables.source_models import source_models_table
from medtransfer.reports.tables.table import Table
from medtransfer.reports.tables.tasks import task_cautions, tasks_table

SUBTITLE = "Which pretrained model to start from, how to transfer it, and how sure that is"
"""What every report answers."""


def compose_report(reading: StudyReading, command: str = "") -> Document:
    """Return the report of a study.

    Args:
        reading: The study.
        command: The command that writes the report.
    """
    tasks = Section("target-tasks", "Target tasks", (tasks_table(reading),))
    models = Section("models", "Source models", (source_models_table(reading),))
    optional = [_figures(reading), _curves(reading), _details(reading)]
    return Document(
        title=reading.study,
        subtitle=SUBTITLE,
        sections=(
            Section("overview", "Overview", _overview(reading)),
            _results(reading),
            limits_section(reading),
            *(section for section in optional if section.sections or section.parts),
            tasks,
            models,
            *failures_section(reading),
            methods_section(),
            provenance_section(reading, command),
        ),
    )


def _overview(reading: StudyReading) -> tuple[Part, ...]:
    return (study_facts(reading), *study_warnings(reading), *study_cautions(reading))


def study_facts(reading: StudyReading) -> Facts:
    """Return how large the study is, in a few numbers."""
    counts = trial_counts(reading)
    entries = (
        ("Target tasks", f"{len(reading.tasks):,}"),
        ("Source models", f"{len(reading.models):,}"),
        ("Protocols", listed(list(dict.fromkeys(panel.block.protocol for panel in reading.panels)))),
        ("Label fractions", listed([percent(fraction) for fraction in reading.fractions])),
        ("Runs per cell", _runs_per_cell(reading)),
        ("Trials finished", f"{counts['done']:,} of {len(reading.records):,}"),
    )
    return Facts(entries)


def study_warnings(reading: StudyReading, failures: str = "under “Failed trials”") -> Iterator[Notice]:
    """Yield what a reader must know before any number: phantoms, missing and failed trials, unlike arms.

    Args:
        reading: The study.
        failures: Where the reasons of failed trials stand.
    """
    counts = trial_counts(reading)
    if reading.tasks and all(task.phantom for task in reading.tasks.values()):
        yield Notice(
            "warning",
            "Phantom results: every image of this study is generated. They show that the system works, and "
            "nothing about patients.",
        )
    unfinished = counts["pending"] + counts["running"]
    if unfinished:
        yield Notice(
            "warning",
            f"The study is not complete: {count(unfinished, 'trial')} not finished when this report was "
            "written.",
        )
    if counts["failed"]:
        yield Notice("warning", f"{count(counts['failed'], 'trial')} failed; the reasons stand {failures}.")
    for sentence in (*differences(reading), superseded_note(reading)):
        if sentence:
            yield Notice("warning", sentence)


def study_cautions(reading: StudyReading) -> Iterator[Notice]:
    """Yield what changes how results on single tasks are to be read."""
    for task in reading.tasks.values():
        for caution in task_cautions(task):
            yield Notice("caution", caution)


def _results(reading: StudyReading) -> Section:
    numbers = dict.fromkeys(panel.number for panel in reading.panels)
    blocks = tuple(_block(reading, [p for p in reading.panels if p.number == number]) for number in numbers)
    lead = Paragraph(
        "The primary metric of every task on its test cases, with the checkpoint that was selected on "
        "validation."
    )
    return Section("results", "Results", (lead,), blocks)


def _block(reading: StudyReading, panels: list[Panel]) -> Section:
    tables = [results_table(reading, panel) for panel in panels]
    block = panels[0].block
    return Section(f"block-{panels[0].number + 1}", block.label, (*block_settings(panels), *tables))


def block_settings(panels: Sequence[Panel]) -> Iterator[Paragraph]:
    """Yield the settings of a protocol and what differs between the runs of a cell.

    Args:
        panels: Those of one block, at least one.
    """
    yield Paragraph(f"Settings: {panels[0].block.settings_text()}.")
    varied = dict.fromkeys(
        name for p in panels for row in p.rows for c in row.cells.values() for name in c.varied
    )
    if varied:
        yield Paragraph(f"What differs between the runs of a cell: {listed(list(varied))}.")


def _figures(reading: StudyReading) -> Section:
    runs = [chart for task in reading.tasks.values() if (chart := runs_chart(reading, task))]
    efficiency = label_efficiency_charts(reading)
    found = (("every-run", "Every run", runs), ("label-efficiency", "Label efficiency", efficiency))
    sections = tuple(Section(name, title, tuple(charts)) for name, title, charts in found if charts)
    return Section("figures", "Figures", (), sections)


def _curves(reading: StudyReading) -> Section:
    """Return the training curves of the whole study, which are too many to have them all at once."""
    return Section("curves", "Training curves", (), training_curves_charts(reading).each(curves_section))


def curves_section(chart: Chart) -> Section:
    """Return the folded section of a chart of training curves."""
    return Section(f"{chart.id}-section", chart.title, (chart,), folded=True)


def _details(reading: StudyReading) -> Section:
    sections = tuple(
        Section(
            panel_id(panel, "all-metrics"),
            panel_title(panel),
            tuple(_row_tables(reading, panel)),
            folded=True,
        )
        for panel in reading.panels
    )
    return Section("details", "All metrics", (), sections)


def _row_tables(reading: StudyReading, panel: Panel) -> Iterator[Table]:
    for row in panel.rows:
        yield details_table(reading, panel, row)
        by_class = classes_table(reading, panel, row)
        if by_class is not None:
            yield by_class


def failures_section(reading: StudyReading) -> Iterator[Section]:
    """Yield the section of failed trials; nothing when none failed."""
    failures = failures_table(reading)
    if failures is not None:
        yield Section("failures", "Failed trials", (failures,))


def limits_section(reading: StudyReading) -> Section:
    """Return what the study cannot say."""
    return Section("limits", "Limits of the evidence", (Paragraph(limits_of_evidence(reading)),))


def methods_section() -> Section:
    """Return how the numbers of every report are made."""
    return Section("methods", "How the numbers are made", (Terms(METHODS),))


def provenance_section(reading: StudyReading, command: str) -> Section:
    """Return when and with what the trials were made, and the study file."""
    parts: list[Part] = []
    between = finished_between(reading)
    if between:
        parts.append(Paragraph(f"Trials ended: {between} (UTC, clock of the store)."))
    parts.append(provenance_table(reading, command))
    if reading.evidence.source:
        parts.append(Listing("The study file", hide_places(reading.evidence.source)))
    return Section("provenance-section", "Provenance", tuple(parts))


def _runs_per_cell(reading: StudyReading) -> str:
    numbers = sorted({len(cell.records) for _, _, cell in reading.cells()})
    if not numbers:
        return "none"
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
