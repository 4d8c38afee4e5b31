"""Results tables for a terminal."""

from __future__ import annotations

import rich.table
from rich.text import Text

from medtransfer.reports.printable import one_line
from medtransfer.reports.study_reading import StudyReading
from medtransfer.reports.tables.results import results_table
from medtransfer.reports.tables.table import Table, TableCell

_STYLES = {
    "best": "bold green",
    "tied": "cyan",
    "undetermined": "yellow",
    "absent": "dim",
    "failed": "red",
    "plain": "",
}
_MOST_COLUMNS = 4


def console_tables(reading: StudyReading) -> list[rich.table.Table]:
    """Return the results tables of a study for printing, one per protocol and label fraction."""
    return [rich_table(results_table(reading, panel)) for panel in reading.panels]


def rich_table(table: Table) -> rich.table.Table:
    """Return a table for a terminal; no name can be markup or move the cursor.

    A table of many columns is turned on its side, for terminals are higher than wide.
    """
    heads = [TableCell(column.title) for column in table.columns]
    lines = [tuple(heads), *table.rows]
    if len(heads) > _MOST_COLUMNS + 1 and len(heads) > len(lines):
        lines = list(zip(*lines, strict=True))
    drawn = rich.table.Table(
        title=Text(one_line(table.caption), style="bold"),
        caption=_notes(table),
        title_justify="left",
        caption_justify="left",
        show_lines=True,
    )
    for number, head in enumerate(lines[0]):
        drawn.add_column(_text(head), justify="right" if number else "left", overflow="fold")
    for line in lines[1:]:
        drawn.add_row(*(_text(cell) for cell in line))
    return drawn


def _text(cell: TableCell) -> Text:
    text = Text(one_line(f"{cell.text} {cell.marks}"), style=_STYLES[cell.tone])
    for line in cell.details:
        text.append(f"\n{one_line(line)}", style="dim")
    return text


def _notes(table: Table) -> Text:
    legend = [f"{entry.sign}: {entry.meaning}" for entry in table.legend]
    return Text("\n".join(one_line(line) for line in [*legend, *table.notes]), style="dim")
