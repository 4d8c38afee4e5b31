"""The report as CSV: a row per number and a row per trial; the same store gives the same bytes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby
from operator import itemgetter
from typing import Any

from medtransfer.reports.cells import Cell
from medtransfer.reports.estimates import Estimate, Slot
from medtransfer.reports.evidence import fact, model_key, settings_hash, task_key
from medtransfer.reports.rows import RowReading
from medtransfer.reports.study_reading import StudyReading
from medtransfer.reports.subjects import ReportModel, ReportTask
from medtransfer.store.records import Record

_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "'")

RESULT_COLUMNS = (
    *("study", "task", "task_kind", "phantom", "data_hash", "protocol", "settings_hash", "label_fraction"),
    *("model", "weights_hash", "overlap", "metric", "primary", "checkpoint", "split", "planned", "failed"),
    *("undefined", "n", "mean", "std", "low", "high", "interval", "patients", "standing", "adjusted_p"),
    *("crossed_low", "crossed_high", "crossed_patients"),
)
"""Columns of the results file."""
RUN_COLUMNS = (
    *("study", "task", "task_kind", "phantom", "data_hash", "protocol", "settings_hash", "label_fraction"),
    *("model", "weights_hash", "overlap", "repetition", "fingerprint", "state", "reason", "train_cases"),
)
"""Columns of the runs file before its metrics."""


def render_results_csv(reading: StudyReading) -> str:
    """Return one row per task, protocol, settings, fraction, model, metric, checkpoint and split.

    Numbers are the shortest text that reads back as the same number; nulls are empty. Cells whose
    model was pretrained on the task's images have no numbers. Nothing depends on time or place.
    """
    return "".join(results_csv_lines(reading))


def render_runs_csv(reading: StudyReading) -> str:
    """Return one row per trial with every metric as ``<split>.<checkpoint>.<metric>``."""
    return "".join(runs_csv_lines(reading))


def results_csv_lines(reading: StudyReading) -> Iterator[str]:
    """Yield the lines of :func:`render_results_csv`; rows are made cell by cell."""
    cells = [(_cell_order(reading, cell), row, cell) for _, row, cell in reading.cells()]
    cells.sort(key=itemgetter(0))
    alike = groupby(cells, key=itemgetter(0))  # cells that only metrics tell apart, which is rare
    rows = (
        row
        for _, group in alike
        for row in sorted(
            (line for _, of_row, cell in group for line in _result_rows(reading, of_row, cell)),
            key=_slot_order,
        )
    )
    return _lines(RESULT_COLUMNS, rows)


def runs_csv_lines(reading: StudyReading) -> Iterator[str]:
    """Yield the lines of :func:`render_runs_csv`; rows are made trial by trial."""
    metrics = sorted({name for record in reading.records for name in _metric_names(record)})
    ordered = sorted(reading.records, key=lambda record: _run_order(reading, record))
    return _lines((*RUN_COLUMNS, *metrics), (_run_row(reading, record) for record in ordered))


def read_rows(text: str) -> list[dict[str, str]]:
    r"""Return the rows of one of these files, with guarded texts as they were.

    Example:
        >>> read_rows("model,mean\n'=cmd(),0.5\n")
        [{'model': '=cmd()', 'mean': '0.5'}]
    """
    table = csv.DictReader(io.StringIO(text, newline=""))
    return [{name: unguarded(value) for name, value in row.items()} for row in table]


def guarded(text: str) -> str:
    """Return text that no spreadsheet takes for a formula: an apostrophe in front where it could.

    Example:
        >>> guarded("=1+1"), guarded("resnet50"), unguarded(guarded("'a"))
        ("'=1+1", 'resnet50', "'a")
    """
    return f"'{text}" if text.lstrip(" ").startswith(_DANGEROUS) else text


def unguarded(text: str) -> str:
    """Return the text that :func:`guarded` was given."""
    return text[1:] if text.startswith("'") and text[1:].lstrip(" ").startswith(_DANGEROUS) else text


def _result_rows(reading: StudyReading, row: RowReading, cell: Cell) -> Iterator[dict[str, Any]]:
    task, model = reading.tasks[cell.place.task], reading.models[cell.place.model]
    ends = {"planned": len(cell.records), "failed": cell.failed, "overlap": cell.overlap}
    shared = _subject(reading, task, model, cell.records[0]) | ends
    slots = {Slot(metric.name): None for metric in task.metrics} | dict.fromkeys(cell.estimates)
    for slot in slots:
        primary = slot == Slot(task.primary.name)
        numbers = _numbers(cell.estimates.get(slot)) | (_comparison(row, model) if primary else {})
        names = {"metric": slot.metric, "checkpoint": slot.checkpoint, "split": slot.split}
        yield shared | names | {"primary": slot.metric == task.primary.name} | numbers


def _numbers(estimate: Estimate | None) -> dict[str, Any]:
    if estimate is None:
        return {"n": 0, "interval": "none"}
    return {
        "undefined": estimate.undefined,
        "n": estimate.n,
        "mean": estimate.mean,
        "std": estimate.std,
        "low": estimate.low,
        "high": estimate.high,
        "interval": estimate.over or "none",
        "patients": estimate.patients,
        **_crossed(estimate),
    }


def _crossed(estimate: Estimate) -> dict[str, Any]:
    """Return the interval over runs and patients together; nothing where there is none."""
    found = estimate.crossed
    if found is None:
        return {}
    return {"crossed_low": found.low, "crossed_high": found.high, "crossed_patients": found.patients}


def _comparison(row: RowReading, model: ReportModel) -> dict[str, Any]:
    if row.ties is None or model.label not in row.ties.family:
        return {}
    return {"standing": row.ties.standing(model.label), "adjusted_p": row.ties.adjusted_p.get(model.label)}


def _run_row(reading: StudyReading, record: Record) -> dict[str, Any]:
    task, model = reading.tasks[task_key(record)], reading.models[model_key(record)]
    facts = {
        "overlap": fact(record, "overlap", "unknown"),
        "repetition": record.description.repetition,
        "fingerprint": record.description.fingerprint,
        "state": record.state.value,
        "reason": record.reason,
        "train_cases": record.outcome.train_cases if record.outcome else None,
    }
    return _subject(reading, task, model, record) | facts | _metrics(record)


def _subject(reading: StudyReading, task: ReportTask, model: ReportModel, record: Record) -> dict[str, Any]:
    return {
        "study": reading.study,
        "task": task.name,
        "task_kind": task.kind.value,
        "phantom": task.phantom,
        "data_hash": task.data_hash,
        "protocol": record.description.protocol,
        "settings_hash": settings_hash(record),
        "label_fraction": record.description.label_fraction,
        "model": model.label,
        "weights_hash": model.weights_hash,
    }


def _metrics(record: Record) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for place, values in (record.outcome.metrics if record.outcome else {}).items():
        split, _, checkpoint = place.partition("/")
        for name, value in values.items():
            found[f"{split}.{checkpoint or 'best'}.{name}"] = value["value"]
    return found


def _metric_names(record: Record) -> Iterator[str]:
    for place, values in (record.outcome.metrics if record.outcome else {}).items():
        split, _, checkpoint = place.partition("/")
        yield from (f"{split}.{checkpoint or 'best'}.{name}" for name in values)


def _place_order(task: ReportTask, record: Record) -> tuple[Any, ...]:
    d = record.description
    return (task.name, task.data_hash, d.protocol, settings_hash(record), -d.label_fraction)


def _cell_order(reading: StudyReading, cell: Cell) -> tuple[Any, ...]:
    task, model = reading.tasks[cell.place.task], reading.models[cell.place.model]
    return (*_place_order(task, cell.records[0]), model.label, model.weights_hash)


def _slot_order(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (row["metric"], row["checkpoint"], row["split"])


def _run_order(reading: StudyReading, record: Record) -> tuple[Any, ...]:
    task, model = reading.tasks[task_key(record)], reading.models[model_key(record)]
    d = record.description
    return (*_place_order(task, record), model.label, model.weights_hash, d.repetition, d.fingerprint)


def _lines(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line of headings and one per row, with their ends."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    lines = chain(
        [[guarded(name) for name in columns]], ([_value(row.get(n)) for n in columns] for row in rows)
    )
    for line in lines:
        writer.writerow(line)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _value(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return guarded(str(value).encode("utf-8", "backslashreplace").decode())
