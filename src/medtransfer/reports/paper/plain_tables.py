"""A table as Markdown and as CSV, one file each, for whatever does not read LaTeX."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence

from medtransfer.reports.printable import printable
from medtransfer.reports.renderers.csv_files import guarded
from medtransfer.reports.renderers.markdown import plain
from medtransfer.reports.tables.table import Column, Table, TableCell

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?", re.ASCII)
_STANDINGS = {
    "best": "best",
    "tied": "not separable from the best",
    "undetermined": "undetermined",
    "absent": "no result",
    "failed": "failed",
    "plain": "",
}


def markdown_table(table: Table, caption: str) -> str:
    """Return a table as GitHub-flavoured Markdown: caption, table, notes.

    Args:
        table: The table.
        caption: What stands over it, signs included.
    """
    heads = [plain(c.title) + (f"<br>{plain(c.detail)}" if c.detail else "") for c in table.columns]
    rule = "|".join(" ---: " if column.numeric else " --- " for column in table.columns)
    lines = [plain(caption), "", f"| {' | '.join(heads)} |", f"|{rule}|"]
    lines += [f"| {' | '.join(_markdown_cell(cell) for cell in row)} |" for row in table.rows]
    lines += ["", *(f"- {plain(note)}" for note in table.notes)] if table.notes else []
    return "\n".join(lines) + "\n"


def csv_table(table: Table) -> str:
    """Return a table as CSV that no spreadsheet takes for formulas.

    Every column of the table is one column of text. Behind it, only where it has any, stand the number it
    is sorted by, its signs, its standing and its further lines.
    """
    shown = [
        (number, aspect)
        for number in range(len(table.columns))
        for aspect in _ASPECTS
        if aspect == "" or any(_aspect(row[number], aspect) for row in table.rows)
    ]
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    names = _distinct([_heading(table.columns[number], aspect) for number, aspect in shown])
    writer.writerow([_safe(name) for name in names])
    for row in table.rows:
        writer.writerow([_value(row[number], aspect) for number, aspect in shown])
    return buffer.getvalue()


_ASPECTS = ("", "number", "signs", "standing", "details")


def _aspect(cell: TableCell, aspect: str) -> str:
    return {
        "": cell.text,
        "number": "" if cell.value is None else repr(float(cell.value)),
        "signs": cell.marks,
        "standing": _STANDINGS[cell.tone],
        "details": "; ".join(cell.details),
    }[aspect]


def _value(cell: TableCell, aspect: str) -> str:
    """Return what a field holds; a number is no text, so its minus sign is not guarded."""
    return _aspect(cell, aspect) if aspect == "number" else _safe(_aspect(cell, aspect))


def _safe(text: str) -> str:
    """Return text no spreadsheet computes, control signs written out; a signed number is no formula."""
    text = printable(text)
    return text if _NUMBER.fullmatch(text) else guarded(text)


def _heading(column: Column, aspect: str) -> str:
    title = f"{column.title} ({column.detail})" if column.detail else column.title
    return f"{title}: {aspect}" if aspect else title


def _distinct(names: Sequence[str]) -> Iterator[str]:
    """Yield the names, later ones of the same text with their number."""
    seen: dict[str, int] = {}
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        yield name if seen[name] == 1 else f"{name} #{seen[name]}"


def _markdown_cell(cell: TableCell) -> str:
    text = plain(cell.text)
    value = f"**{text}**" if cell.tone == "best" else text
    marks = f" {plain(cell.marks)}" if cell.marks else ""
    return "<br>".join([value + marks, *(f"<sub>{plain(line)}</sub>" for line in cell.details)])
