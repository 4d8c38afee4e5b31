"""One log of study C: read by its header, never by position, with aliases and unknown columns kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from medtransfer.core.problems import Problem
from medtransfer.reports.published.delimited_file import finite
from medtransfer.reports.published.runs_file import ALIASES, in_range

_LOSS_HEADER: Final = ("epoch", "step", "loss")
_COPY_AGAIN: Final = "Copy the log again from where it was published."


@dataclass(frozen=True)
class LogTable:
    """The cells of a log by column; columns bear one name whatever the code version."""

    name: str
    """File, for messages."""
    columns: dict[str, tuple[str, ...]]
    """Text by column, in the order of the log."""
    logged_as: dict[str, str]
    """Columns that are called otherwise in the log, and how."""
    first_line: int
    """Line of the first row, from 1."""

    def line(self, row: int) -> str:
        """Return file and line of a row, for messages."""
        return f"{self.name}, line {self.first_line + row}"


@dataclass(frozen=True)
class LossSeries:
    """Losses of a training log, each with its epoch and its step in that epoch."""

    epochs: tuple[int, ...]
    """Epoch of each entry."""
    steps: tuple[int, ...]
    """Step of each entry."""
    losses: tuple[float | None, ...]
    """Loss; null where the log says ``nan``."""


def read_log(text: str, name: str, problems: list[Problem], *, header: Sequence[str] = ()) -> LogTable | None:
    """Return a log as columns, or None after a fault.

    Args:
        text: Its content.
        name: Its name, for messages.
        problems: Where faults are added: no rows, a column twice, a row of another length.
        header: Columns of a log that has no header line; empty where it must have one.
    """
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    names = list(header) or (lines.pop(0).split(",") if lines else [])
    if not lines:
        problems.append(Problem("empty-log", name, "a header and at least one row", "none", _COPY_AGAIN))
        return None
    columns = [ALIASES.get(column, column) for column in names]
    if len(set(columns)) < len(columns) or not all(columns):
        found = ",".join(names)
        problems.append(
            Problem(
                "wrong-header", f"{name}, line 1", "each column once, with a name", repr(found), _COPY_AGAIN
            )
        )
        return None
    first = 1 if header else 2
    rows = [line.split(",") for line in lines]
    odd = next((number for number, row in enumerate(rows) if len(row) != len(columns)), None)
    if odd is not None:
        where = f"{name}, line {first + odd}"
        problems.append(
            Problem("wrong-row", where, f"{len(columns)} cells", f"{len(rows[odd])}", _COPY_AGAIN)
        )
        return None
    cells = {column: tuple(row[at] for row in rows) for at, column in enumerate(columns)}
    aliases = {column: logged for column, logged in zip(columns, names, strict=True) if column != logged}
    return LogTable(name, cells, aliases, first)


def read_test_values(
    text: str, name: str, problems: list[Problem]
) -> tuple[LogTable, dict[str, float]] | None:
    """Return the one row of a test log by metric, or None after a fault."""
    table = read_log(text, name, problems)
    if table is None:
        return None
    rows = len(next(iter(table.columns.values())))
    if rows != 1:
        expected = "one row: a test log that goes on holds results of reruns"
        problems.append(Problem("repeated-result", name, expected, f"{rows}", "Keep the row of one run."))
        return None
    values = {metric: _number(table, metric, 0, problems) for metric in table.columns}
    found = {metric: value for metric, value in values.items() if value is not None}
    return (table, found) if len(found) == len(values) else None


def read_validation_curves(
    text: str, name: str, problems: list[Problem]
) -> tuple[LogTable, tuple[int, ...], dict[str, tuple[float | None, ...]]] | None:
    """Return epochs, which count from 0, and every other column of a validation log, or None after a fault."""
    table = read_log(text, name, problems)
    if table is None:
        return None
    if "epoch" not in table.columns or len(table.columns) < 2:
        problems.append(
            Problem(
                "wrong-header",
                f"{name}, line 1",
                "a column 'epoch' and metrics",
                repr(",".join(table.columns)),
                _COPY_AGAIN,
            )
        )
        return None
    epochs = _whole_numbers(table, "epoch", problems)
    if epochs is None:
        return None
    if epochs != tuple(range(len(epochs))):
        row = next(at for at, epoch in enumerate(epochs) if epoch != at)
        problems.append(
            Problem(
                "wrong-epoch",
                table.line(row),
                f"epoch {row}: they count from 0 without a gap",
                f"{epochs[row]}",
                _COPY_AGAIN,
            )
        )
        return None
    before = len(problems)
    curves = {metric: _values(table, metric, problems) for metric in table.columns if metric != "epoch"}
    return (table, epochs, curves) if len(problems) == before else None


def read_losses(text: str, name: str, problems: list[Problem]) -> tuple[LogTable, LossSeries] | None:
    """Return the losses of a training log with or without a header, or None after a fault.

    Columns besides epoch, step and loss stay in the table. Logs of masked autoencoders have three
    columns and no header.
    """
    first = text.split("\n", 1)[0].split(",")
    headless = len(first) == len(_LOSS_HEADER) and all(cell[:1].isdigit() for cell in first[:2])
    table = read_log(text, name, problems, header=_LOSS_HEADER if headless else ())
    if table is None:
        return None
    missing = [column for column in _LOSS_HEADER if column not in table.columns]
    if missing:
        problems.append(
            Problem(
                "wrong-header",
                f"{name}, line 1",
                "the columns epoch, step and loss",
                repr(",".join(table.columns)),
                _COPY_AGAIN,
            )
        )
        return None
    epochs, steps = (_whole_numbers(table, column, problems) for column in ("epoch", "step"))
    before = len(problems)
    losses = _values(table, "loss", problems)
    if epochs is None or steps is None or len(problems) > before:
        return None
    return table, LossSeries(epochs, steps, losses)


def epoch_means(
    series: LossSeries,
) -> tuple[tuple[int, ...], tuple[float | None, ...], tuple[int, ...]] | None:
    """Return epochs, mean loss and number of steps of each; None where an epoch comes twice.

    A loss that is not a number makes the mean of its epoch null.

    Example:
        >>> epoch_means(LossSeries((1, 1, 2), (1, 2, 1), (2.0, 1.0, None)))
        ((1, 2), (1.5, None), (2, 1))
    """
    if any(later < earlier for earlier, later in zip(series.epochs, series.epochs[1:], strict=False)):
        return None
    by_epoch: dict[int, list[float | None]] = {}
    for epoch, loss in zip(series.epochs, series.losses, strict=True):
        by_epoch.setdefault(epoch, []).append(loss)
    means = []
    for losses in by_epoch.values():
        known = [loss for loss in losses if loss is not None]
        means.append(math.fsum(known) / len(known) if len(known) == len(losses) else None)
    return tuple(by_epoch), tuple(means), tuple(len(losses) for losses in by_epoch.values())


def restarts(epochs: Sequence[int]) -> tuple[int, ...]:
    """Return the positions at which the epoch goes back.

    Example:
        >>> restarts([0, 1, 2, 1, 2, 0])
        (3, 5)
    """
    return tuple(at for at in range(1, len(epochs)) if epochs[at] < epochs[at - 1])


def _number(table: LogTable, column: str, row: int, problems: list[Problem]) -> float | None:
    text = table.columns[column][row]
    value = finite(text)
    if value is not None and in_range(column, value):
        return value
    expected = "a finite number" if value is None else "a share from 0 to 1"
    problems.append(Problem("wrong-value", f"{table.line(row)}, {column}", expected, repr(text), _COPY_AGAIN))
    return None


def _values(table: LogTable, column: str, problems: list[Problem]) -> tuple[float | None, ...]:
    """Return numbers, null for ``nan``; the first other text is a fault."""
    values: list[float | None] = []
    for row, text in enumerate(table.columns[column]):
        value = None if text.strip().lower() == "nan" else _number(table, column, row, problems)
        if value is None and text.strip().lower() != "nan":
            return ()
        values.append(value)
    return tuple(values)


def _whole_numbers(table: LogTable, column: str, problems: list[Problem]) -> tuple[int, ...] | None:
    cells = table.columns[column]
    odd = next((row for row, text in enumerate(cells) if not _whole(text)), None)
    if odd is None:
        return tuple(int(text) for text in cells)
    problems.append(
        Problem(
            "wrong-value", f"{table.line(odd)}, {column}", "a whole number", repr(cells[odd]), _COPY_AGAIN
        )
    )
    return None


def _whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10
