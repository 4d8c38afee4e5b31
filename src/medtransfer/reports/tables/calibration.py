"""The calibration table of one task: whether probabilities mean what they say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from medtransfer.core.task_kind import TaskKind
from medtransfer.reports.phrases import NONE, count, number
from medtransfer.reports.reliability import CellReliability
from medtransfer.reports.rows import RowReading
from medtransfer.reports.study_reading import Panel, StudyReading
from medtransfer.reports.subjects import ReportTask
from medtransfer.reports.tables.results import panel_title
from medtransfer.reports.tables.table import Column, Table, TableCell
from medtransfer.stats.summaries import summarise_runs

_ERROR_TITLES = {
    "equal-width": "Calibration error, bins of equal width",
    "equal-mass": "Calibration error, bins of equal mass",
}
_CLAIMS = {
    TaskKind.BINARY: "the probability of the positive class",
    TaskKind.MULTI_CLASS: "the probability of the predicted class, true where it is right",
    TaskKind.MULTI_LABEL: "the probabilities of all classes together, where the label is known",
}
_BRIER = {
    TaskKind.BINARY: "the mean squared error of the positive class",
    TaskKind.MULTI_CLASS: "the squared error summed over the classes of a case, at most 2",
    TaskKind.MULTI_LABEL: "the mean squared error over all known labels",
}


def calibration_table(reading: StudyReading, task: ReportTask) -> Table | None:
    """Return calibration errors and Brier scores on test; None for masks and without predictions.

    One row per model and protocol, at the largest label fraction of the protocol.
    """
    found = list(reliabilities(reading, task))
    names = list(dict.fromkeys(name for _, _, _, cell in found for name in cell.errors))
    if not found:
        return None
    rows = tuple(
        (
            TableCell(label),
            TableCell(panel_title(panel)),
            *(_cell(cell.errors.get(name, ())) for name in names),
            _cell(cell.brier),
        )
        for panel, _, label, cell in found
    )
    return Table(
        id=f"calibration-{reading.number_of(task)}",
        caption=f"{task.label}: calibration on test",
        columns=(
            Column("Source model"),
            Column("Protocol", "and training labels"),
            *(_error_column(name) for name in names),
            Column("Brier score", "lower is better", numeric=True),
        ),
        rows=rows,
        notes=tuple(_notes(task, [cell for _, _, _, cell in found])),
    )


def reliabilities(
    reading: StudyReading, task: ReportTask
) -> Iterator[tuple[Panel, RowReading, str, CellReliability]]:
    """Yield panel, row, label of the model and reliability of every cell that was looked at closely."""
    for panel, row in reading.rows_of(task, most_labels=True):
        for key, model in reading.models.items():
            if key in row.predictions.reliability:
                yield panel, row, model.label, row.predictions.reliability[key]


def _error_column(name: str) -> Column:
    rule, _, bins = name.removeprefix("ece-").rpartition("-")
    return Column(_ERROR_TITLES.get(rule, name), f"{name}, {bins} bins; lower is better", numeric=True)


def _cell(values: Sequence[float]) -> TableCell:
    if not values:
        return TableCell(NONE, tone="absent")
    summary = summarise_runs(values)
    if summary.std is None or summary.low is None:
        return TableCell(number(summary.mean), ("1 run",), value=summary.mean)
    return TableCell(
        f"{number(summary.mean)} ± {number(summary.std)}",
        (f"[{number(summary.low)}, {number(summary.high)}]", f"over {count(summary.n, 'run')}"),
        value=summary.mean,
    )


def _notes(task: ReportTask, cells: Sequence[CellReliability]) -> Iterator[str]:
    yield (
        f"Looked at: {_CLAIMS[task.kind]}. Calibration error: mean gap between predicted probability and "
        "observed frequency over the bins, weighted by their predictions. It depends on the bins and on the "
        "number of cases, and is above 0 by chance even for true probabilities: compare values of one column "
        f"only. Brier score: {_BRIER[task.kind]}."
    )
    yield "Mean ± sample standard deviation over runs, 95 % t interval; nothing was recalibrated, nothing is tested."
    for reason in dict.fromkeys(cell.reason for cell in cells if cell.reason):
        yield f"No numbers: {reason}"
