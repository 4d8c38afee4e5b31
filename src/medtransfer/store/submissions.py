"""How the trials of a study enter a store."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from medtransfer.core.errors import UsageError
from medtransfer.store.records import State, TrialDescription
from medtransfer.store.rows import description_row, storable, to_json
from medtransfer.store.schema import studies, study_trials, trials

_REFRESHED = ("task", "model", "protocol", "label_fraction", "repetition", "description")
_CORRECTED = (
    *("overlap", "overlap_reason", "pretraining", "caution", "licence", "citation"),
    *("model_licence", "model_citation", "model_note"),
)
"""Facts that say what a result means or where it comes from, and could not have changed a number: a correction
holds for results that are there. All others stay as they were when the trial ran, among them the margin of
equivalence, which must not be chosen by the results."""
_ROWS_AT_ONCE = 1000


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

    A trial that is already known keeps its state. Its description is refreshed; where it runs or is done, only
    those facts that could not have changed its result.
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
    _correct_facts(connection, study["name"], {row["fingerprint"]: row["description"] for row in rows})


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


def _correct_facts(connection: Connection, study: str, submitted: Mapping[str, str]) -> None:
    """Write corrected facts of a study's trials that run or are done; nothing where there are none."""
    known = (
        select(trials.c.fingerprint, trials.c.description)
        .join(study_trials, study_trials.c.fingerprint == trials.c.fingerprint)
        .where(study_trials.c.study == study, trials.c.state.in_((State.RUNNING, State.DONE)))
    )
    rows = connection.execute(known, execution_options={"yield_per": _ROWS_AT_ONCE})
    found = ((row.fingerprint, _corrected(row.description, submitted[row.fingerprint])) for row in rows)
    changed = [{"name": name, "text": text} for name, text in found if text is not None]
    if changed:
        update_one = update(trials).where(trials.c.fingerprint == bindparam("name"))
        statement = update_one.values(description=bindparam("text"))
        connection.execute(statement, sorted(changed, key=lambda row: row["name"]))


def _corrected(stored: str, submitted: str) -> str | None:
    """Return a stored description with the facts that may be corrected as submitted; None if it has them."""
    if stored == submitted:
        return None
    description, facts = json.loads(stored), json.loads(submitted)["facts"]
    new = {name: facts[name] for name in _CORRECTED if name in facts}
    old = {name: description["facts"].get(name) for name in new}
    if new == old:
        return None
    return to_json({**description, "facts": {**description["facts"], **new}})


def _insert(connection: Connection, table: Any) -> Any:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table)
