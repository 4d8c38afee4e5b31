"""The table of failed trials: which, and why."""

from __future__ import annotations

from medtransfer.core.errors import StoreError
from medtransfer.reports.disclosure import hide_places
from medtransfer.reports.evidence import model_key, settings_hash, task_key
from medtransfer.reports.phrases import count, percent
from medtransfer.reports.study_reading import StudyReading
from medtransfer.reports.subjects import Block
from medtransfer.reports.tables.table import Column, Table, TableCell
from medtransfer.store.records import Record

_COLUMNS = (
    Column("Task"),
    Column("Source model"),
    Column("Protocol"),
    Column("Labels", numeric=True),
    Column("Repetitions", numeric=True),
    Column("Reason"),
    Column("Message"),
)
_MOST_LETTERS = 500


def failures_table(reading: StudyReading) -> Table | None:
    """Return the failed trials with their reasons; None when no trial failed."""
    if not reading.failures:
        return None
    alike: dict[tuple[str, ...], list[int]] = {}
    for record in reading.failures:
        alike.setdefault(_texts(reading, record), []).append(record.description.repetition)
    rows = tuple(_row(texts, sorted(repetitions)) for texts, repetitions in alike.items())
    note = (
        f"{count(len(reading.failures), 'trial')} of {len(reading.records):,} failed. A failed run enters "
        "no mean; it only makes n "
        "smaller. 'medtransfer run --retry-failed' runs them again."
    )
    return Table("failed-trials", "Trials that ended without a result", _COLUMNS, rows, notes=(note,))


def block_of(reading: StudyReading, record: Record) -> Block:
    """Return the block a trial belongs to.

    Raises:
        StoreError: If the trial is not part of the reading.
    """
    digest = settings_hash(record)
    for panel in reading.panels:
        if panel.block.protocol == record.description.protocol and digest in panel.block.hashes:
            return panel.block
    raise StoreError(
        f"trial {record.description.fingerprint!r}: expected a trial of the report, got another."
    )


def _row(texts: tuple[str, ...], repetitions: list[int]) -> tuple[TableCell, ...]:
    *place, reason, message = (TableCell(text) for text in texts)
    return (
        *place,
        TableCell(", ".join(map(str, repetitions))),
        TableCell(reason.text, tone="failed"),
        message,
    )


def _texts(reading: StudyReading, record: Record) -> tuple[str, ...]:
    """Return what a row says besides the repetition; trials that say the same share a row."""
    d = record.description
    message = hide_places(record.message or "") or "no message"
    if len(message) > _MOST_LETTERS:
        message = message[:_MOST_LETTERS] + " …"
    return (
        reading.tasks[task_key(record)].label,
        reading.models[model_key(record)].label,
        block_of(reading, record).label,
        percent(d.label_fraction),
        record.reason or "unknown",
        message,
    )
