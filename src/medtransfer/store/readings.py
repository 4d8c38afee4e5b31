"""What can be read from a store: counts, records in study order, owners of leases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import ColumnElement, Connection, Join, Select, case, func, select

from medtransfer.store.leases import chunks, expired
from medtransfer.store.records import Counts, Record, State
from medtransfer.store.rows import read_record
from medtransfer.store.schema import studies, study_trials, trials

_ROWS_AT_ONCE = 200
_OPEN = tuple(state.value for state in State if state is not State.DONE)


def current_state(now: float) -> ColumnElement[str]:
    """Return the state of a trial at a time: one whose lease has expired is pending."""
    return case((expired(now), State.PENDING.value), else_=trials.c.state)


def count_states(connection: Connection, study: str | None, now: float) -> Counts:
    """Return the numbers of trials by state, from indexes and short columns alone.

    Most trials of a study, and of a store, are done most of the time. Those of a study are therefore not
    looked at one by one where fewer trials of the whole store are open: the open ones are counted, and the
    others are done.
    """
    if study is None:
        return Counts(**_numbers(connection, _states(now)))
    total = _trials_of(connection, study)
    if _fewer_are_open(connection, total):
        found = _numbers(connection, _open_states(study, now))
        return Counts(**{**found, State.DONE.value: total - sum(found.values())})
    query = _states(now).where(study_trials.c.study == study).select_from(_joined())
    return Counts(**_numbers(connection, query))


def count_by_membership(connection: Connection, now: float) -> tuple[Counts, Counts]:
    """Return the numbers of the trials that are in a study by state, and of those that are in none."""
    state, member = current_state(now).label("state"), _in_a_study().label("member")
    query = select(state, member, func.count().label("number")).group_by(state, member)
    found = {(row.state, bool(row.member)): row.number for row in connection.execute(query)}
    members, others = (
        Counts(**{state.value: found.get((state.value, wanted), 0) for state in State})
        for wanted in (True, False)
    )
    return members, others


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
    connection: Connection,
    study: str | None,
    states: Iterable[State] | None,
    now: float,
    *,
    only_members: bool = False,
) -> Iterator[Record]:
    """Yield records in the order of a study, or of all trials by name, a few in memory at a time.

    Args:
        connection: A transaction.
        study: Name of a study; None for all trials.
        states: Only trials in these states; None for all.
        now: Seconds since 1970 by the database's clock.
        only_members: Of all trials, only those that are in a study.
    """
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
        if only_members:
            query = query.where(_in_a_study())
    else:
        query = (
            query.select_from(_joined())
            .where(study_trials.c.study == study)
            .order_by(study_trials.c.position)
        )
    if states is not None:
        wanted = list(states)
        query = query.where(state.in_([each.value for each in wanted]))
        if study is None:  # by the index; within a study its own list is the shorter way
            query = query.where(trials.c.state.in_(_stored_states(wanted)))
    rows = connection.execute(query, execution_options={"yield_per": _ROWS_AT_ONCE})
    yield from (read_record(row, State(row.current_state)) for row in rows)


def read_owners(connection: Connection) -> list[str]:
    """Return the owners of running trials, sorted."""
    query = select(trials.c.owner).where(trials.c.state == State.RUNNING).distinct().order_by(trials.c.owner)
    return [owner for owner in connection.scalars(query) if owner is not None]


def read_studies(connection: Connection) -> list[str]:
    """Return the names of all studies, oldest first."""
    return list(connection.scalars(select(studies.c.name).order_by(studies.c.created, studies.c.name)))


def _in_a_study() -> ColumnElement[bool]:
    """Return the condition for a trial that some study lists, looked up in one list of all of them."""
    return trials.c.fingerprint.in_(select(study_trials.c.fingerprint))


def _states(now: float) -> Select[str, int]:
    state = current_state(now).label("state")
    return select(state, func.count().label("number")).group_by(state)


def _numbers(connection: Connection, query: Select[str, int]) -> dict[str, int]:
    numbers = {row.state: row.number for row in connection.execute(query)}
    return {state.value: numbers.get(state.value, 0) for state in State}


def _trials_of(connection: Connection, study: str) -> int:
    """Return how many trials a study has; its positions are 0, 1, 2 and so on."""
    last = select(func.max(study_trials.c.position)).where(study_trials.c.study == study)
    found = connection.scalar(last)
    return 0 if found is None else found + 1


def _fewer_are_open(connection: Connection, number: int) -> bool:
    """Return whether fewer than so many trials of the store are not done, after looking at no more of them."""
    last = select(trials.c.state).where(trials.c.state.in_(_OPEN)).limit(1).offset(max(number - 1, 0))
    return connection.scalar(last) is None


def _open_states(study: str, now: float) -> Select[str, int]:
    member = select(study_trials.c.fingerprint).where(
        study_trials.c.study == study, study_trials.c.fingerprint == trials.c.fingerprint
    )
    return _states(now).where(trials.c.state.in_(_OPEN), member.exists())


def _stored_states(wanted: Iterable[State]) -> list[str]:
    """Return the states in which trials are stored that may be in a wanted state now."""
    found = {state.value for state in wanted}
    return sorted(found | {State.RUNNING.value} if State.PENDING.value in found else found)


def _joined() -> Join:
    return study_trials.join(trials, study_trials.c.fingerprint == trials.c.fingerprint)
