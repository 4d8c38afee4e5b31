"""How wide the columns of a printed table are, and into which parts a wide table is cut."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from medtransfer.reports.tables.table import Column, Table, TableCell

LINE: Final = 104
"""Digits that fit on a line of an A4 page with margins of 25 mm at footnote size."""
GAP: Final = 1.6
"""Space between two columns, in digits."""

_MOST_HEADING: Final = 26
_MOST_WORD: Final = 20
_MOST_NUMBER: Final = 22
_MOST_TEXT: Final = 48
_PIECES: Final = re.compile(r"[^\s_/.\-]+[_/.\-]*")


@dataclass(frozen=True)
class ColumnGroup:
    """Columns that stand side by side in one part of a table; the first always is the table's first."""

    columns: tuple[int, ...]
    """Their numbers in the table."""
    widths: tuple[float, ...]
    """Their widths as shares of the line, gaps included; at most 1 in all."""


def column_groups(table: Table, line: float = LINE) -> tuple[ColumnGroup, ...]:
    """Return the parts of a table that fit a line, as few as possible; every part begins with the headings.

    Args:
        table: The table; each of its columns stands in exactly one part, the first in every one.
        line: Digits that fit on a line.
    """
    least, wanted = zip(*(_needs(table, number) for number in range(len(table.columns))), strict=True)
    fewest = _filled(least, line, len(least))
    evenly = _filled(least, line, math.ceil((len(least) - 1) / len(fewest)))
    chosen = evenly if len(evenly) == len(fewest) else fewest
    return tuple(_group(numbers, least, wanted, line) for numbers in chosen)


def _filled(least: Sequence[float], line: float, most: int) -> list[list[int]]:
    """Put columns into parts as long as they fit and a part has at most so many besides the first."""
    groups: list[list[int]] = [[0]]
    used = least[0]
    for number in range(1, len(least)):
        full = used + least[number] > line or len(groups[-1]) > most
        if full and len(groups[-1]) > 1:
            groups.append([0])
            used = least[0]
        groups[-1].append(number)
        used += least[number]
    return groups


def lines_needed(table: Table, group: ColumnGroup, line: float = LINE) -> int:
    """Return about how many printed lines the rows of a part take."""
    widths = [max(share * line - GAP, 1.0) for share in group.widths]
    return sum(
        max(
            sum(-(-len(text) // int(max(width, 1))) for text in (_main(row[number]), *row[number].details))
            for number, width in zip(group.columns, widths, strict=True)
        )
        for row in table.rows
    )


def _group(
    numbers: Sequence[int], least: Sequence[float], wanted: Sequence[float], line: float
) -> ColumnGroup:
    """Give every column what it needs, then share out what is left by what they would like."""
    left = line - sum(least[number] for number in numbers)
    wishes = {number: max(wanted[number] - least[number], 0.0) for number in numbers}
    share = min(1.0, max(left, 0.0) / total) if (total := sum(wishes.values())) else 0.0
    widths = [least[number] + share * wishes[number] for number in numbers]
    scale = min(1.0, line / sum(widths))
    return ColumnGroup(tuple(numbers), tuple(width * scale / line for width in widths))


def _needs(table: Table, number: int) -> tuple[float, float]:
    """Return the least and the wanted width of a column in digits, its gap included."""
    column = table.columns[number]
    cells = [row[number] for row in table.rows]
    lines = [text for cell in cells for text in (_main(cell), *cell.details)]
    longest = max((len(text) for text in lines), default=1)
    word = max((_longest_piece(text) for text in (*lines, column.title, column.detail)), default=1)
    least = min(word, _MOST_WORD)
    if column.numeric:
        least = max(least, min(longest, _MOST_NUMBER))
    wanted = max(least, min(longest, _MOST_TEXT), min(_heading(column), _MOST_HEADING))
    if number == 0:
        least = max(least, min(longest, _MOST_HEADING))
    return least + GAP, max(least, wanted) + GAP


def _heading(column: Column) -> int:
    return max(len(column.title), len(column.detail))


def _main(cell: TableCell) -> str:
    return f"{cell.text} {cell.marks}".rstrip()


def _longest_piece(text: str) -> int:
    return max((len(piece) for piece in _PIECES.findall(text)), default=1)
