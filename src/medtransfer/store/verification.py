"""Whether everything a store says is done is really there."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, select

from medtransfer.core.problems import Problem
from medtransfer.store.prediction_files import PredictionFolder
from medtransfer.store.records import State
from medtransfer.store.schema import trials


def check_database(connection: Connection) -> Iterator[Problem]:
    """Yield what SQLite's own check finds; a server checks itself."""
    if connection.dialect.name != "sqlite":
        return
    found = [row[0] for row in connection.exec_driver_sql("PRAGMA integrity_check(5)")]
    if found != ["ok"]:
        yield Problem("damaged-database", "database", "ok", "; ".join(found), "Restore it from a backup.")


def check_predictions(connection: Connection, folder: PredictionFolder) -> Iterator[tuple[str, Problem]]:
    """Yield fingerprint and problem of every finished trial whose predictions are missing or changed."""
    columns = (trials.c.fingerprint, trials.c.task, trials.c.model, trials.c.protocol)
    query = select(*columns, trials.c.predictions_file, trials.c.predictions_sha256)
    rows = connection.execute(query.where(trials.c.state == State.DONE).order_by(*columns[1:], columns[0]))
    for row in rows:
        fault = folder.fault(row.predictions_file, row.predictions_sha256)
        if fault is not None:
            yield (
                row.fingerprint,
                _problem(row.predictions_file, f"{row.task}, {row.model}, {row.protocol}", fault),
            )


def _problem(file: str, trial: str, fault: str) -> Problem:
    return Problem(
        what="missing-predictions" if fault == "no file" else "damaged-predictions",
        where=f"{file} ({trial})",
        expected="the predictions as they were written",
        found=fault,
        next_step="Restore the file from a backup, or let the trial run again.",
    )
