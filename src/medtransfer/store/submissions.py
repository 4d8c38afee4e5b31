"""How the trials of a study enter a store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, or_
from sqlalchemy.dialects import postgresql, sqlite

from medtransfer.core.errors import UsageError
from medtransfer.store.records import State, TrialDescription
from medtransfer.store.rows import description_row, storable
from medtransfer.store.schema import studies, study_trials, trials

_REFRESHED = ("task", "model", "protocol", "label_fraction", "repetition", "description")


def trial_rows(study: str, descriptions: Sequence[TrialDescription]) -> list[dict[str, Any]]:
    """Return the rows of pending trials, in the study's order.

    Raises:
        UsageError: If the study has no name, a fingerprint occurs twice, or a number is not finite.
    """
    if not study or storable(study) != study:
        raise UsageError(f"study: expected a name in valid text, got {study!r}.")
    twice = [name for name, number in Counter(d.fingerprint for d in descriptions).items() if number > 1]
    if twice:
        raise UsageError(
            f"study {study!r}: expected each trial once, got fingerprint {twice[0]!r} more than once."
        )
    try:
        rows = [description_row(description) for description in descriptions]
    except ValueError as error:
        raise UsageError(f"study {study!r}: description {error}") from error
    return [{**row, "state": State.PENDING, "epoch": 0, "attempts": 0} for row in rows]


def write_study(connection: Connection, study: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
    """Write a study's row, its new trials and its list of trials.

    A trial that is already known keeps its state. Its description is refreshed unless it runs or is done.
    """
    _upsert_study(connection, study)
    if rows:
        # One order of rows for all, so that two runners never wait for each other in a circle.
        connection.execute(_upsert_trials(connection), sorted(rows, key=lambda row: str(row["fingerprint"])))
    connection.execute(delete(study_trials).where(study_trials.c.study == study["name"]))
    members = [
        {"study": study["name"], "position": position, "fingerprint": row["fingerprint"]}
        for position, row in enumerate(rows)
    ]
    if members:
        connection.execute(insert(study_trials), members)


def _upsert_study(connection: Connection, study: dict[str, Any]) -> None:
    statement = _insert(connection, studies)
    changed = {"source": statement.excluded.source, "plan": statement.excluded.plan}
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=changed), study)


def _upsert_trials(connection: Connection) -> Any:
    statement = _insert(connection, trials)
    return statement.on_conflict_do_update(
        index_elements=["fingerprint"],
        set_={name: statement.excluded[name] for name in _REFRESHED},
        where=or_(trials.c.state == State.PENDING, trials.c.state == State.FAILED),
    )


def _insert(connection: Connection, table: Any) -> Any:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table)
