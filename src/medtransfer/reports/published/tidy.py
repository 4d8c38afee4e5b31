"""Re-readings for programs: one row per cell as CSV, and whole sections as JSON objects."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

from medtransfer.reports.document import Notice, Paragraph, Section, Terms
from medtransfer.reports.figures.chart import Chart
from medtransfer.reports.renderers.csv_files import guarded
from medtransfer.reports.tables.table import Table

COLUMNS: Final = ("table", "row_number", "row", "column", "text", "marks", "details", "value")
"""Columns of the CSV file; ``details`` are parted by `` | ``."""


def tables_of(section: Section, *, folded: bool = True) -> list[Table]:
    """Return the tables of a section in reading order.

    Args:
        section: The section.
        folded: Whether those that a reader has to open count too.
    """
    return list(_tables(section, folded))


def tidy_csv(tables: Sequence[Table]) -> str:
    """Return the cells of tables as CSV, one row each, with the number a cell stands for.

    No cell can be a formula to a spreadsheet. The same tables give the same text.
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for table in tables:
        writer.writerows(_lines(table))
    return buffer.getvalue()


def section_object(section: Section) -> dict[str, Any]:
    """Return a section as a JSON object: sentences, tables with all cells, names of charts, subsections."""
    return {
        "name": section.id,
        "title": section.title,
        "text": list(_sentences(section)),
        "tables": [asdict(part) for part in section.parts if isinstance(part, Table)],
        "charts": [
            {"id": part.id, "title": part.title, "description": part.description}
            for part in section.parts
            if isinstance(part, Chart)
        ],
        "sections": [section_object(member) for member in section.sections],
    }


def _tables(section: Section, folded: bool) -> Iterator[Table]:
    yield from (part for part in section.parts if isinstance(part, Table))
    for member in section.sections:
        if folded or not member.folded:
            yield from _tables(member, folded)


def _sentences(section: Section) -> Iterator[str]:
    for part in section.parts:
        if isinstance(part, Paragraph | Notice):
            yield part.text
        elif isinstance(part, Terms):
            yield from (f"{term}: {explanation}" for term, explanation in part.entries)


def _lines(table: Table) -> Iterator[tuple[str, ...]]:
    for number, row in enumerate(table.rows, 1):
        for column, cell in zip(table.columns[1:], row[1:], strict=True):
            place = (table.id, str(number), row[0].text, column.title)
            texts = (*place, cell.text, cell.marks, " | ".join(cell.details))
            value = "" if cell.value is None else repr(cell.value)  # a number is no formula: not guarded
            yield (*(guarded(text) for text in texts), value)
