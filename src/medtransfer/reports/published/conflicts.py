"""Numbers that do not agree, each with all its versions, and cells that are known to be doubtful."""

from __future__ import annotations

from medtransfer.reports.document import Paragraph, Section
from medtransfer.reports.phrases import count, number
from medtransfer.reports.published.doubts import CONFLICTS
from medtransfer.reports.published.level_tables import level_marks
from medtransfer.reports.published.material import Material
from medtransfer.reports.published.quantities import level_text
from medtransfer.reports.published.records import PublishedResult
from medtransfer.reports.published.source_records import source_label
from medtransfer.reports.tables.table import Column, LegendEntry, Table, TableCell


def conflicts(material: Material) -> Section:
    """Return every known conflict with both numbers, and the doubtful cells."""
    return Section(
        "conflicts",
        "Known conflicts and doubtful cells",
        (
            Paragraph(
                "Where two sources, or two places of one source, show different numbers for the same thing, both "
                "stand here. None is chosen and nothing is averaged."
            ),
            conflicts_table(material),
            Paragraph(
                "How our reading differs. Print shows one of the numbers each time and does not mention the other. "
                "A difference between two papers of one group on the same cell is a small sample of what is left "
                "out of every spread: another program version, another data preparation, another reading of the "
                "same log."
            ),
            doubtful_results_table(material),
            doubtful_runs_table(material),
        ),
    )


def conflicts_table(material: Material) -> Table:
    """Return a row per conflict, with every number that is part of it."""
    columns = (
        Column("Conflict"),
        Column("Numbers"),
        Column("Levels apart", "points", numeric=True),
        Column("Kind"),
    )
    rows = []
    for key, conflict in CONFLICTS.items():
        members = [result for result in material.results if key in result.conflicts]
        if not members:
            continue
        first, *more = [_placed(result) for result in members]
        apart = max(r.mean for r in members) - min(r.mean for r in members)
        rows.append(
            (
                TableCell(conflict.about.partition(":")[0]),
                TableCell(first, tuple(more)),
                TableCell(number(apart, 2), value=apart),
                TableCell("unexplained" if conflict.doubtful else "another schedule"),
            )
        )
    legend = (LegendEntry("†", "read off a figure"),) if any("†" in row[1].text for row in rows) else ()
    notes = tuple(
        conflict.about
        for key, conflict in CONFLICTS.items()
        if any(key in r.conflicts for r in material.results)
    )
    return Table("conflicts-numbers", "Known conflicts", columns, tuple(rows), legend, notes)


def doubtful_results_table(material: Material) -> Table:
    """Return the single published numbers that are doubtful without being part of a conflict."""
    columns = (
        *(Column("Source"), Column("Task"), Column("Initialization"), Column("Network")),
        Column("Number"),
        Column("Why"),
    )
    rows = tuple(
        (
            *map(
                TableCell,
                (source_label(result.source), result.task, result.initialization, result.architecture),
            ),
            TableCell(level_text(result), value=result.mean),
            TableCell(result.note or "–"),
        )
        for result in material.results
        if "doubtful" in result.flags and not result.conflicts
    )
    return Table("conflicts-readings", "Doubtful single numbers", columns, rows)


def doubtful_runs_table(material: Material) -> Table:
    """Return the tasks of study C whose runs are doubtful, with the reason."""
    found: dict[tuple[str, str, str], set[tuple[str, int]]] = {}
    for run in material.runs:
        if "doubtful" in run.flags:
            found.setdefault((run.experiment, run.task, run.note), set()).add((run.initialization, run.run))
    columns = (Column("Experiment"), Column("Task"), Column("Runs", numeric=True), Column("Why"))
    rows = tuple(
        (
            *map(TableCell, (experiment, task)),
            TableCell(count(len(runs), "run"), value=float(len(runs))),
            TableCell(note or "–"),
        )
        for (experiment, task, note), runs in found.items()
    )
    return Table("conflicts-runs", "Doubtful runs of study C", columns, rows)


def _placed(result: PublishedResult) -> str:
    mark = "†" if "†" in level_marks(result) else ""
    return f"{source_label(result.source)}, {result.table}: {level_text(result)}{mark}"
