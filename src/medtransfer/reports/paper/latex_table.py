r"""A table as LaTeX with booktabs rules: bold for the best, grey for what is tied with it, notes under it.

What is written needs ``\usepackage{array,booktabs,longtable}`` and ``\usepackage[table]{xcolor}``, and
defines nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from medtransfer.reports.paper.column_widths import ColumnGroup, column_groups, lines_needed
from medtransfer.reports.renderers.latex import latex_text
from medtransfer.reports.tables.table import Column, Table, TableCell

_MOST_LINES: Final = 48
"""Above this many lines a table may break over pages."""
_LETTERS_PER_LINE: Final = 100
_GREY: Final = r"\cellcolor[gray]{0.88}"
_SETTING: Final = r"\footnotesize\setlength{\tabcolsep}{3pt}\renewcommand{\arraystretch}{1.1}"


@dataclass(frozen=True)
class _Part:
    """The pieces of one part, as LaTeX."""

    caption: str
    label: str
    columns: str
    head: str
    rows: str


def latex_table(table: Table, caption: str) -> str:
    r"""Return a table as LaTeX: one ``table``, or a ``longtable`` where it needs more than a page.

    A table that is wider than the line comes in parts, each with the row headings. Notes stand under
    the last part.

    Args:
        table: The table; its id becomes the label ``tab:<id>``, with the number of the part after the first.
        caption: What stands over it, as plain text; further parts point to the first.

    Example:
        >>> from medtransfer.reports.tables.table import Column, Table, plain_row
        >>> small = Table("t", "T", (Column("Task"), Column("AUC", numeric=True)), (plain_row("a_b", "0.9"),))
        >>> print(latex_table(small, "Results.").split("midrule")[1].split("bottomrule")[0].strip())
        a\_\allowbreak{}b & 0.9 \\
        \
    """
    groups = column_groups(table)
    parts = [_part(table, group, caption, number, len(groups)) for number, group in enumerate(groups, 1)]
    text = sum(-(-len(sentence) // _LETTERS_PER_LINE) for sentence in (caption, *table.notes))
    height = text + max(lines_needed(table, group) for group in groups)
    return "".join(_floats(parts, table.notes) if height <= _MOST_LINES else _long(parts, table.notes))


def _floats(parts: Sequence[_Part], notes: Sequence[str]) -> Iterator[str]:
    for number, part in enumerate(parts, 1):
        yield f"\\begin{{table}}[!htbp]\n\\centering{_SETTING}\n"
        yield f"\\caption{{{part.caption}}}\\label{{{part.label}}}\\par\\vspace{{0.8ex}}\n"
        yield f"\\begin{{tabular}}{{{part.columns}}}\n\\toprule\n{part.head}\\midrule\n"
        yield f"{part.rows}\\bottomrule\n\\end{{tabular}}\n"
        if notes and number == len(parts):
            yield "\\par\\smallskip\\begin{minipage}{\\linewidth}\\footnotesize\\raggedright\n"
            yield from _notes(notes)
            yield "\\end{minipage}\n"
        yield "\\end{table}\n"


def _long(parts: Sequence[_Part], notes: Sequence[str]) -> Iterator[str]:
    for part in parts:
        yield f"{{{_SETTING}\\setlength{{\\LTcapwidth}}{{\\linewidth}}\n"
        yield f"\\begin{{longtable}}{{{part.columns}}}\n"
        yield f"\\caption{{{part.caption}}}\\label{{{part.label}}}\\\\[0.8ex]\n\\toprule\n{part.head}\\midrule\n"
        yield f"\\endfirsthead\n\\caption[]{{(continued)}}\\\\\n\\toprule\n{part.head}\\midrule\n\\endhead\n"
        yield f"\\bottomrule\n\\endfoot\n{part.rows}\\end{{longtable}}\n}}\n"
    if notes:
        yield "{\\footnotesize\\raggedright\\noindent\n"
        yield from _notes(notes)
        yield "}\n"


def _notes(notes: Sequence[str]) -> Iterator[str]:
    for note in notes:
        yield f"{latex_text(note)}\\par\n"


def _part(table: Table, group: ColumnGroup, caption: str, number: int, parts: int) -> _Part:
    first = f"tab:{table.id}"
    if parts > 1:
        caption = (
            f"{caption} Part 1 of {parts}." if number == 1 else f"{table.caption}. Part {number} of {parts}."
        )
    text = latex_text(caption)
    if number > 1 and table.legend:
        text += f" Signs: see Table~\\ref{{{first}}}."
    columns = [table.columns[place] for place in group.columns]
    return _Part(
        caption=text,
        label=first if number == 1 else f"{first}-{number}",
        columns="".join(_column(c, width) for c, width in zip(columns, group.widths, strict=True)),
        head=" & ".join(_heading(column) for column in columns) + " \\\\\n",
        rows=_rows([[row[place] for place in group.columns] for row in table.rows]),
    )


def _column(column: Column, width: float) -> str:
    side = "raggedleft" if column.numeric else "raggedright"
    return f">{{\\{side}\\arraybackslash}}p{{\\dimexpr{width:.4f}\\linewidth-2\\tabcolsep\\relax}}"


def _heading(column: Column) -> str:
    return latex_text(column.title) + (_below(column.detail) if column.detail else "")


def _rows(rows: Sequence[Sequence[TableCell]]) -> str:
    """Return the rows, a little apart where cells have several lines."""
    apart = "\\addlinespace\n" if any(cell.details for row in rows for cell in row) else ""
    return apart.join(f"{' & '.join(_cell(cell) for cell in row)} \\\\\n" for row in rows)


def _cell(cell: TableCell) -> str:
    text = latex_text(cell.text)
    text = f"\\textbf{{{text}}}" if cell.tone == "best" else text
    marks = f" {latex_text(cell.marks)}" if cell.marks else ""
    shade = _GREY if cell.tone == "tied" else ""
    return shade + text + marks + "".join(_below(line) for line in cell.details)


def _below(text: str) -> str:
    r"""Return a further line of a cell, in its alignment, which ``\newline`` would not keep.

    The small size holds to the end of the cell; further lines come last.
    """
    return f"\\par\\scriptsize {latex_text(text)}"
