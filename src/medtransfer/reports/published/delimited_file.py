"""Comma-separated files of other people: decoded, checked against a header, each row with its line."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from medtransfer.core.errors import DataError
from medtransfer.core.problems import Problem

_CORRECT = "Correct the file and import it again."
_LINE_END = re.compile(r"\r*\n|\r")
"""Of Unix, of Windows, also written twice, and of old Macintosh programs."""


@dataclass(frozen=True)
class FileRow:
    """One row of a file."""

    where: str
    """File and line, for messages."""
    cells: dict[str, str]
    """Text by column."""


def read_text(file: Path, name: str) -> str:
    """Return the text of a file in UTF-8, with or without a byte-order mark, lines ending in LF.

    Raises:
        DataError: If it cannot be read or is not UTF-8.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(
            f"{name}: expected a file that can be read, got {error.strerror!r}. Check its permissions."
        ) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name}: expected UTF-8, got byte {content[error.start]:#04x} at offset {error.start}. "
            "Save the file in UTF-8."
        ) from error
    if "\x00" in text:
        raise DataError(f"{name}: expected text, got a NUL character. Check that this is the right file.")
    return _LINE_END.sub("\n", text)


def read_header(text: str, name: str) -> tuple[str, ...]:
    """Return the cells of the first line; empty for an empty file.

    Raises:
        DataError: If it is no line of comma-separated cells; ``name`` is the file's, for the message.
    """
    try:
        return tuple(next(csv.reader(StringIO(text)), ()))
    except csv.Error as error:
        raise DataError(
            f"{name}, line 1: expected a header of comma-separated names, got: {error}. "
            "Check that this is the right file and that every quote is closed."
        ) from error


def read_rows(text: str, name: str, columns: Sequence[str], problems: list[Problem]) -> Iterator[FileRow]:
    """Yield the rows of a file that has exactly the given columns, in any order.

    Args:
        text: Content of the file.
        name: Its name, for messages.
        columns: Columns expected.
        problems: Where faults are added: a wrong header, a row with too many or too few cells.

    Raises:
        DataError: If the first line is no header at all.
    """
    header = read_header(text, name)
    if sorted(header) != sorted(columns):
        problems.append(_wrong_header(name, header, columns))
        return
    reader = csv.reader(StringIO(text), strict=True)
    next(reader)
    line = reader.line_num
    try:
        for cells in reader:
            where, line = f"{name}, line {line + 1}", reader.line_num
            if not cells:
                continue
            if len(cells) != len(header):
                problems.append(
                    Problem(
                        "wrong-row",
                        where,
                        f"{len(header)} cells",
                        f"{len(cells)}",
                        "Quote cells that hold commas.",
                    )
                )
                continue
            yield FileRow(where, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        problems.append(
            Problem(
                "wrong-row", f"{name}, line {reader.line_num}", "a comma-separated row", str(error), _CORRECT
            )
        )


class CellReader:
    """Reads typed cells of one row and notes what is wrong instead of stopping at the first fault.

    Args:
        row: The row.
        problems: Where faults are added.
    """

    def __init__(self, row: FileRow, problems: list[Problem]) -> None:
        self._row = row
        self._problems = problems
        self.ok = True

    def refuse(self, column: str, expected: str, what: str = "wrong-value") -> None:
        """Note that a cell is not what it should be."""
        self.ok = False
        found = repr(self._row.cells[column])
        self._problems.append(Problem(what, f"{self._row.where}, {column}", expected, found, _CORRECT))

    def text(self, column: str) -> str:
        """Return text that is not empty and stands on one line, without white space around it."""
        value = self._row.cells[column].strip()
        if not value or not value.isprintable():
            self.refuse(column, "a name of printable characters")
        return value

    def number(self, column: str, low: float = -math.inf, high: float = math.inf) -> float:
        """Return a finite number in [low, high]; 0 after a fault."""
        value = finite(self._row.cells[column])
        if value is None:
            self.refuse(column, "a finite number")
        elif not low <= value <= high:
            self.refuse(column, f"a number from {low:g} to {high:g}")
        else:
            return value
        return 0.0

    def whole_number(self, column: str, low: int) -> int:
        """Return a whole number of at least ``low``; ``low`` after a fault."""
        text = self._row.cells[column].strip()
        if text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= low:
            return int(text)
        self.refuse(column, f"a whole number of at least {low}")
        return low

    def choice(self, column: str, choices: Sequence[str]) -> str:
        """Return one of some words."""
        value = self._row.cells[column].strip()
        if value not in choices:
            self.refuse(column, f"one of {', '.join(map(repr, choices))}")
        return value


def finite(text: str) -> float | None:
    """Return a finite number written in ASCII, or None.

    Example:
        >>> finite(" 80.31"), finite("nan"), finite("1_000"), finite("80,3")
        (80.31, None, None, None)
    """
    try:
        value = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _wrong_header(name: str, header: Sequence[str], columns: Sequence[str]) -> Problem:
    missing = [column for column in columns if column not in header]
    extra = [column for column in header if column not in columns]
    twice = sorted({column for column in header if header.count(column) > 1})
    told = [
        f"{word} {', '.join(map(repr, found[:5]))}"
        for word, found in (("without", missing), ("with unknown", extra), ("with repeated", twice))
        if found
    ]
    expected = f"the columns {','.join(columns)}"
    return Problem(
        "wrong-header",
        f"{name}, line 1",
        expected,
        f"a header {' and '.join(told) or 'that is empty'}",
        _CORRECT,
    )
