"""What finished trials cost, in short rows of their own, so that planning reads no record."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Executable, Table, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from medtransfer.core.fingerprints import hash_json
from medtransfer.store.leases import chunks
from medtransfer.store.records import State, TrialDescription
from medtransfer.store.rows import to_json
from medtransfer.store.schema import trial_costs, trial_memory, trials

_ROWS_AT_ONCE: Final = 1000


@dataclass(frozen=True)
class MeasuredCost:
    """What trials that are alike cost."""

    trials: int
    """How many were measured, at least 1."""
    cpu_s: float
    """Their mean in CPU seconds."""
    peak_bytes: int | None = None
    """Most memory that a worker held during any of them; None where it was measured for none."""


def cost_key(description: TrialDescription) -> str:
    """Return the hash of task, model, protocol and settings: trials alike in these cost about the same."""
    return _key(description.task, description.model, description.protocol, description.settings)


def write_cost(connection: Connection, fingerprint: str, cpu_s: float, peak_bytes: int | None) -> None:
    """Keep what a trial that is there has just cost, in place of what it cost before.

    Args:
        connection: A connection in a writing transaction.
        fingerprint: Which trial.
        cpu_s: CPU seconds it took.
        peak_bytes: Most memory its worker held; None where that was not measured, and what an earlier
            measurement found stays.
    """
    columns = (trials.c.fingerprint, trials.c.label_fraction, trials.c.description)
    row = connection.execute(select(*columns).where(trials.c.fingerprint == fingerprint)).one()
    kind = _kind_row(row.fingerprint, row.label_fraction, json.loads(row.description))
    _upsert(connection, trial_costs, {**kind, "cpu_s": cpu_s})
    if peak_bytes is not None:
        _upsert(connection, trial_memory, {**kind, "peak_bytes": peak_bytes})


def read_costs(connection: Connection, keys: Iterable[str]) -> dict[tuple[str, float], MeasuredCost]:
    """Return what trials cost by key and label fraction, where any was measured; from one index per table."""
    found: dict[tuple[str, float], MeasuredCost] = {}
    for chunk in chunks(sorted(set(keys))):
        peaks = _read_peaks(connection, chunk)
        costs = trial_costs.c
        query = (
            select(costs.cost_key, costs.label_fraction, func.count().label("trials"), func.avg(costs.cpu_s))
            .where(costs.cost_key.in_(chunk))
            .group_by(costs.cost_key, costs.label_fraction)
        )
        for key, fraction, number, mean in connection.execute(query):
            found[key, fraction] = MeasuredCost(number, float(mean), peaks.get((key, fraction)))
    return found


def add_missing_costs(connection: Connection) -> None:
    """Keep what the trials cost that were done before costs were kept, some at a time."""
    last = ""
    columns = (trials.c.fingerprint, trials.c.label_fraction, trials.c.description, trials.c.outcome)
    query = select(*columns).where(trials.c.state == State.DONE).order_by(trials.c.fingerprint)
    while rows := connection.execute(query.where(trials.c.fingerprint > last).limit(_ROWS_AT_ONCE)).all():
        last = rows[-1].fingerprint
        costs = [
            {
                **_kind_row(row.fingerprint, row.label_fraction, json.loads(row.description)),
                "cpu_s": _cpu_seconds(row),
            }
            for row in rows
        ]
        connection.execute(insert(trial_costs), costs)


def _read_peaks(connection: Connection, keys: Sequence[str]) -> dict[tuple[str, float], int]:
    memory = trial_memory.c
    query = (
        select(memory.cost_key, memory.label_fraction, func.max(memory.peak_bytes))
        .where(memory.cost_key.in_(keys))
        .group_by(memory.cost_key, memory.label_fraction)
    )
    return {(key, fraction): int(most) for key, fraction, most in connection.execute(query)}


def _upsert(connection: Connection, table: Table, values: Mapping[str, Any]) -> None:
    names = tuple(name for name in values if name != "fingerprint")
    connection.execute(_upsert_statement(connection.dialect.name, table, names), values)


@cache  # building one takes as long as writing the row
def _upsert_statement(dialect: str, table: Table, changed: tuple[str, ...]) -> Executable:
    statement: Any = (postgresql if dialect == "postgresql" else sqlite).insert(table)
    new = {name: statement.excluded[name] for name in changed}
    whole: Executable = statement.on_conflict_do_update(index_elements=["fingerprint"], set_=new)
    return whole


def _kind_row(fingerprint: str, fraction: float, description: Mapping[str, Any]) -> dict[str, Any]:
    names = ("task", "model", "protocol", "settings")
    key = _key(*(description[name] for name in names))
    return {"fingerprint": fingerprint, "cost_key": key, "label_fraction": fraction}


def _cpu_seconds(row: Any) -> float:
    return float(json.loads(row.outcome).get("cpu_s", 0.0))


def _key(task: str, model: str, protocol: str, settings: Mapping[str, Any]) -> str:
    plain = json.loads(to_json([task, model, protocol, settings]))
    return hash_json(json.dumps(plain, sort_keys=True))  # text in ASCII: a name may hold what UTF-8 cannot
