"""Label files as text cells with line numbers: read strictly, every faulty row named."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from medtransfer.core.errors import BadImageError, DataError
from medtransfer.core.registry import nearest_names
from medtransfer.data.inside_root import path_inside

MAX_BYTES: Final = 1 << 30
"""Most bytes of a label file, unpacked."""
MAX_COLUMNS: Final = 10_000
"""Most columns of a label file."""
MAX_LINE_BYTES: Final = 1 << 20
"""Longest line of a label file."""

_DELIMITERS: Final = (",", ";", "\t")
_MOST_NAMED: Final = 5
_ANNOUNCED: Final = re.compile(r"sep=([,;\t])\n")


def read_table(
    subject: str,
    root: Path,
    name: str,
    columns: Sequence[str],
    *,
    delimiters: Sequence[str] = _DELIMITERS,
    only: bool = False,
) -> pd.DataFrame:
    """Return a CSV file as text cells, outer blanks of names and cells removed.

    The index is the line number in the file, the header being line 1, or 2 after a first line such as
    ``sep=;``, which names what separates cells. A byte order mark, Windows line
    ends and, of ``delimiters``, the one that is most frequent in the header are understood; a file
    whose name ends with ``.gz`` is unpacked.

    Args:
        subject: What to begin messages with, such as ``task 'chexpert'``.
        root: Folder of the data set.
        name: Path of the file below it.
        columns: Columns it must have.
        delimiters: What may separate cells.
        only: Whether to leave out all other columns, which saves memory.

    Raises:
        DataError: If the file is missing, outside the root, empty, too large, not text, has rows of
            another length, a name twice, or lacks a column; the message says what is there.
    """
    text = _text(subject, root, name)
    announced = _ANNOUNCED.match(text)  # what Excel writes and obeys, before the header
    text = text[announced.end() :] if announced else text
    delimiter, names = _header(subject, name, text, (announced[1],) if announced else delimiters)
    if len(names) > MAX_COLUMNS:
        raise DataError(f"{subject}: {name}: expected at most {MAX_COLUMNS} columns, got {len(names)}.")
    _check_columns(subject, name, names, columns)
    wanted = [number for number, found in enumerate(names) if found in columns or not only]
    lines, cells = _cells(subject, name, text, delimiter, len(names))
    lines = [line + 1 for line in lines] if announced else lines
    return pd.DataFrame(
        {names[number]: [row[number].strip() for row in cells] for number in wanted},
        index=pd.Index(lines),
        dtype=str,
    )


def refuse(subject: str, where: str, expected: str, faults: Sequence[str]) -> None:
    """Raise one error for all faults of a column, or return when there are none.

    Raises:
        DataError: Naming up to five faults and the number of the others.
    """
    if not faults:
        return
    more = f"; and {len(faults) - _MOST_NAMED} more" if len(faults) > _MOST_NAMED else ""
    raise DataError(
        f"{subject}: {where}: expected {expected}, got {'; '.join(faults[:_MOST_NAMED])}{more}. Correct the file."
    )


def refuse_disagreement(
    subject: str, where: str, rows: pd.DataFrame, key: str, values: Sequence[str]
) -> None:
    """Refuse rows that name one image twice and say different things about it.

    Args:
        subject: As in :func:`read_table`.
        where: File concerned.
        rows: Rows with line numbers as index.
        key: Column that names the image.
        values: Columns that must agree.

    Raises:
        DataError: Naming the lines.
    """
    repeated = rows[rows[key].duplicated(keep=False)]
    distinct = repeated.groupby(key)[list(values)].nunique()
    differing = distinct.index[(distinct > 1).any(axis=1)]
    by_name = repeated[repeated[key].isin(differing)].groupby(key).groups
    faults = [f"{name!r} on lines {', '.join(map(str, by_name[name]))}" for name in differing]
    refuse(subject, where, f"rows of one {key} to agree on {', '.join(values)}", faults)


def _text(subject: str, root: Path, name: str) -> str:
    try:
        path = path_inside(root, name)
    except BadImageError as error:
        raise DataError(f"{subject}: {error}") from error
    if not path.is_file():
        raise DataError(f"{subject}: expected the file {name} in {root}, got none. Check the folder.")
    try:
        with gzip.open(path) if name.endswith(".gz") else path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise DataError(
                f"{subject}: {name}: expected at most {MAX_BYTES} bytes, got more. Split the file."
            )
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{subject}: {name}: expected a CSV file in UTF-8, got {error.reason} at byte {error.start}. "
            "Save it again as 'CSV UTF-8'; a workbook (.xlsx) must be exported first."
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{subject}: {name}: expected a CSV file in UTF-8, got {error}.") from error
    if not text.strip():
        raise DataError(f"{subject}: {name}: expected a CSV file with a header, got an empty one.")
    longest = max(map(len, text.split("\n")))
    if longest > MAX_LINE_BYTES:
        raise DataError(
            f"{subject}: {name}: expected lines of at most {MAX_LINE_BYTES} characters, got {longest}."
        )
    return text


def _header(subject: str, name: str, text: str, delimiters: Sequence[str]) -> tuple[str, list[str]]:
    """Return what separates cells, and the names of the columns."""
    first = text.split("\n", 1)[0]
    delimiter = max(delimiters, key=first.count)
    try:
        cells = next(csv.reader([first], delimiter=delimiter))
    except csv.Error as error:
        raise DataError(f"{subject}: {name}: line 1: expected a CSV file, got {error}.") from error
    return delimiter, [cell.strip() for cell in cells]


def _cells(
    subject: str, name: str, text: str, delimiter: str, width: int
) -> tuple[list[int], list[list[str]]]:
    """Return the line numbers and cells of all rows after the header that are not blank."""
    lines, rows, odd = [], [], []
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        next(reader)
        for row in reader:
            if len(row) != width and any(map(str.strip, row)):
                odd.append(f"line {reader.line_num}: {len(row)} cells")
            elif any(map(str.strip, row)):
                lines.append(reader.line_num)
                rows.append(row)
    except csv.Error as error:
        raise DataError(
            f"{subject}: {name}: line {reader.line_num}: expected a CSV file, got {error}."
        ) from error
    refuse(subject, name, f"{width} cells in every row", odd)
    return lines, rows


def _check_columns(subject: str, file: str, found: list[str], columns: Sequence[str]) -> None:
    twice = sorted({name for name in columns if found.count(name) > 1})
    if twice:
        raise DataError(f"{subject}: {file}: expected each column once, got {twice!r} more than once.")
    missing = [name for name in columns if name not in found]
    if not missing:
        return
    near = {name: nearest_names(name, found, most=2) for name in missing}
    hints = "".join(f" Did you mean {near[name]!r} for {name!r}?" for name in missing if near[name])
    raise DataError(
        f"{subject}: {file}: expected the columns {missing!r}, got {found!r}."
        f"{hints or ' Correct the names of the columns, in the file or where it is declared.'}"
    )
