"""How deep a report looks into each row: a bound on its work, decided before any predictions are read."""

from __future__ import annotations

from collections.abc import Mapping

from medtransfer.core.task_kind import TaskKind
from medtransfer.reports.cells import Cell, Row
from medtransfer.reports.row_predictions import Depth
from medtransfer.reports.subjects import ReportTask
from medtransfer.stats.patients import INTERVAL_DRAWS

MOST_WEIGHINGS = 4_000_000_000
"""Runs times test cases times classes times draws a report computes intervals over runs and patients for;
a minute or two on one core."""
NOT_CROSSED = (
    "Intervals over runs and patients together were not computed for this table: a report computes them up "
    f"to {MOST_WEIGHINGS:,} weighings (runs × test cases × classes × {INTERVAL_DRAWS:,} draws), rows with the "
    "least work first."
)
"""What a table says of a row that was beyond the bound."""


def choose_depth(rows: Mapping[Row, Mapping[str, Cell]], tasks: Mapping[str, ReportTask]) -> dict[Row, Depth]:
    """Return what is computed from the predictions of each row.

    Intervals over runs and patients: rows with the least work first, until the bound of the report.
    Single cases and probabilities: the row of a task and protocol with the most labels.

    Args:
        rows: Cells by model key, of every row.
        tasks: Tasks by key.
    """
    work = {row: _weighings(tasks[row.task], cells) for row, cells in rows.items()}
    done = 0.0
    crossed = set()
    for row in sorted(rows, key=lambda row: work[row]):
        done += work[row]
        if done <= MOST_WEIGHINGS:
            crossed.add(row)
    largest: dict[tuple[int, str], float] = {}
    for row in rows:
        place = (row.block, row.task)
        largest[place] = max(row.fraction, largest.get(place, 0.0))
    return {
        row: Depth(crossed=row in crossed, closer=row.fraction == largest[row.block, row.task])
        for row in rows
    }


def _weighings(task: ReportTask, cells: Mapping[str, Cell]) -> float:
    """Return the work of a row; infinite where the number of test cases is not known."""
    runs = sum(
        len(cell.finished)
        for cell in cells.values()
        if cell.applicable and not cell.deterministic and len(cell.finished) > 1
    )
    cases = task.facts.get("split_counts", {}).get("test")
    if not runs:
        return 0.0
    if cases is None:
        return float("inf")
    classes = 1 if task.kind is TaskKind.BINARY else len(task.classes)
    return float(runs * int(cases) * classes * INTERVAL_DRAWS)
