"""What can be read from a store: counts, records in study order, owners of leases."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Connection, Join, case, func, select

from medtransfer.store.leases import chunks, expired
from medtransfer.store.records import Counts, Record, State
from medtransfer.store.rows import read_record
from medtransfer.store.schema import studies, study_trials, trials


def current_state(now: float) -> ColumnElement[str]:
    """Return the state of a trial at a time: one whose lease has expired is pending."""
    return case((expired(now), State.PENDING.value), else_=trials.c.state)


def count_states(connection: Connection, study: str | None, now: float) -> Counts:
    """Return the numbers of trials by state, from indexes and short columns alone."""
    state = current_state(now).label("state")
    query = select(state, func.count().label("number")).group_by(state)
    if study is not None:
        query = query.where(study_trials.c.study == study).select_from(_joined())
    numbers = {row.state: row.number for row in connection.execute(query)}
    return Counts(**{state.value: numbers.get(state.value, 0) for state in State})


def read_states(connection: Connection, fingerprints: Iterable[str], now: float) -> dict[str, State]:
    """Return the states of the trials among ``fingerprints`` that the store knows."""
    states: dict[str, State] = {}
    for chunk in chunks(sorted(set(fingerprints))):
        query = select(trials.c.fingerprint, current_state(now).label("now")).where(
            trials.c.fingerprint.in_(chunk)
        )
        states |= {row.fingerprint: State(row.now) for row in connection.execute(query)}
    return states


def read_records(
    connection: Connection, study: str | None, states: Iterable[State] | None, now: float
) -> list[Record]:
    """Return records in the order of a study, or of all trials by name."""
    state = current_state(now)
    query = select(trials, state.label("current_state"))
    if study is None:
        names = (
            trials.c.task,
            trials.c.model,
            trials.c.protocol,
            trials.c.label_fraction,
            trials.c.repetition,
        )
        query = query.order_by(*names, trials.c.fingerprint)
    else:
        query = (
            query.select_from(_joined())
            .where(study_trials.c.study == study)
            .order_by(study_trials.c.position)
        )
    if states is not None:
        query = query.where(state.in_([wanted.value for wanted in states]))
    return [read_record(row, State(row.current_state)) for row in connection.execute(query)]


def read_owners(connection: Connection) -> list[str]:
    """Return the owners of running trials, sorted."""
    query = select(trials.c.owner).where(trials.c.state == State.RUNNING).distinct().order_by(trials.c.owner)
    return [owner for owner in connection.scalars(query) if owner is not None]


def read_studies(connection: Connection) -> list[str]:
    """Return the names of all studies, oldest first."""
    return list(connection.scalars(select(studies.c.name).order_by(studies.c.created, studies.c.name)))


def _joined() -> Join:
    return study_trials.join(trials, study_trials.c.fingerprint == trials.c.fingerprint)
