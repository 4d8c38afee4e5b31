"""Whether everything a store says is done is really there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, Row, select

from medtransfer.core.problems import Problem
from medtransfer.store.leases import chunks
from medtransfer.store.prediction_files import NEXT_STEP, PredictionFolder
from medtransfer.store.records import State
from medtransfer.store.schema import trials


def check_database(connection: Connection) -> Iterator[Problem]:
    """Yield what SQLite's own check finds; a server checks itself."""
    if connection.dialect.name != "sqlite":
        return
    found = [row[0] for row in connection.exec_driver_sql("PRAGMA integrity_check(5)")]
    if found != ["ok"]:
        yield Problem("damaged-database", "database", "ok", "; ".join(found), "Restore it from a backup.")


def check_predictions(
    connection: Connection, folder: PredictionFolder, fingerprints: Iterable[str] | None = None
) -> Iterator[tuple[str, Problem]]:
    """Yield fingerprint and problem of every finished trial whose predictions are missing or changed.

    Args:
        connection: A transaction.
        folder: Where the files are.
        fingerprints: Only these trials; None for all.
    """
    for row in _finished(connection, fingerprints):
        fault = folder.fault(row.predictions_file, row.predictions_sha256)
        if fault is not None:
            yield (
                row.fingerprint,
                _problem(row.predictions_file, f"{row.task}, {row.model}, {row.protocol}", fault),
            )


def _finished(connection: Connection, fingerprints: Iterable[str] | None) -> Iterator[Row[*tuple[Any, ...]]]:
    columns = (trials.c.fingerprint, trials.c.task, trials.c.model, trials.c.protocol)
    query = select(*columns, trials.c.predictions_file, trials.c.predictions_sha256)
    query = query.where(trials.c.state == State.DONE).order_by(*columns[1:], columns[0])
    if fingerprints is None:
        yield from connection.execute(query)
        return
    for chunk in chunks(sorted(set(fingerprints))):
        yield from connection.execute(query.where(trials.c.fingerprint.in_(chunk)))


def _problem(file: str, trial: str, fault: str) -> Problem:
    return Problem(
        what="missing-predictions" if fault == "no file" else "damaged-predictions",
        where=f"{file} ({trial})",
        expected="the predictions as they were written",
        found=fault,
        next_step=NEXT_STEP,
    )
