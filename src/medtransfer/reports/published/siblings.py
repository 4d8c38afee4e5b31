"""Printed tables of related work by the same groups, and the one independent rerun."""

from __future__ import annotations

from typing import Final

from medtransfer.reports.document import Paragraph, Section
from medtransfer.reports.phrases import NONE
from medtransfer.reports.published.level_tables import architecture, levels_table
from medtransfer.reports.published.material import Material
from medtransfer.reports.published.names import ARK, DIRA, RERUN, STUDY_A, TRANSFORMERS
from medtransfer.reports.published.quantities import level_text, signed
from medtransfer.reports.published.records import PublishedResult
from medtransfer.reports.published.source_records import source_label
from medtransfer.reports.tables.table import Column, Table, TableCell

_ANCHORS: Final = {DIRA: "dira", TRANSFORMERS: "benchmark-transformers", ARK: "ark"}
_SAME_START: Final = {"Random": "Scratch"}


def siblings(material: Material) -> Section:
    """Return the tables of related work as printed."""
    sections = tuple(_source_section(material, source) for source in _ANCHORS)
    return Section(
        "siblings",
        "Related tables",
        (
            Paragraph(
                "Printed tables of related work on the same images. Number of runs and sidedness are not printed, so "
                "nothing is tested. Recipes, splits and networks differ between the sources: levels of two of them "
                "must not be averaged, and a difference between two of them is no effect of pretraining."
            ),
        ),
        sections,
    )


def independent_rerun(material: Material) -> Section:
    """Return somebody else's runs of study A's program beside study A's numbers."""
    rerun = [result for result in material.results if result.source == RERUN]
    original = material.of_table(STUDY_A, "table_domain_adaptive")
    return Section(
        "independent-rerun",
        "An independent rerun of study A",
        (
            Paragraph(
                "A user of study A's program published own results on ChestX-ray14 with a shorter schedule. Spreads "
                "divide by n there."
            ),
            rerun_table(rerun, original),
            Paragraph(
                "How our reading differs. The rerun says how many runs it has, study A does not, so the two cannot "
                "be tested against each other. Both agree that ImageNet pretraining is better than random weights; "
                "they do not agree by how much: with the shorter schedule random weights fall behind further. A "
                "gain from pretraining is a gain at one length of training."
            ),
        ),
    )


def rerun_table(rerun: list[PublishedResult], original: tuple[PublishedResult, ...]) -> Table:
    """Return every rerun beside the number of study A for the same start and network, where there is one."""
    columns = (
        *(Column("Task"), Column("Network"), Column("Initialization")),
        *(Column("Rerun", numeric=True), Column("n of the rerun", numeric=True)),
        *(Column("Study A", numeric=True), Column("Rerun minus study A", "points", numeric=True)),
    )
    places = {(result.task, result.architecture, result.initialization): result for result in original}
    rows = []
    for result in rerun:
        start = _SAME_START.get(result.initialization, result.initialization)
        other = places.get((result.task, result.architecture, start))
        gap = None if other is None else result.mean - other.mean
        rows.append(
            (
                *map(TableCell, (result.task, architecture(result), result.initialization)),
                TableCell(level_text(result), value=result.mean),
                TableCell(NONE if result.n is None else str(result.n)),
                TableCell(NONE) if other is None else TableCell(level_text(other), value=other.mean),
                TableCell(signed(gap), value=gap),
            )
        )
    return Table(
        "independent-rerun-levels",
        "Independent rerun on ChestX-ray14, AUC in percent",
        columns,
        tuple(rows),
        notes=("Difference in points only: the number of runs of study A is not known.",),
    )


def _source_section(material: Material, source: str) -> Section:
    results = [result for result in material.results if result.source == source]
    name = _ANCHORS[source]
    tables = dict.fromkeys(result.table for result in results)
    return Section(
        f"siblings-{name}",
        source_label(source),
        tuple(
            levels_table(
                f"siblings-{name}-{place}",
                f"{source_label(source)}, {table.replace('_', ' ')}",
                [result for result in results if result.table == table],
                row=_start_and_network,
                corner="Initialization and network",
            )
            for place, table in enumerate(tables, 1)
        ),
    )


def _start_and_network(result: PublishedResult) -> str:
    return f"{result.initialization}, {result.architecture}"
