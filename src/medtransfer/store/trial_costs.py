"""What finished trials cost, in short rows of their own, so that planning reads no record."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from medtransfer.core.fingerprints import hash_json
from medtransfer.store.leases import chunks
from medtransfer.store.records import State, TrialDescription
from medtransfer.store.rows import to_json
from medtransfer.store.schema import trial_costs, trials

_ROWS_AT_ONCE: Final = 1000


@dataclass(frozen=True)
class MeasuredCost:
    """What trials that are alike cost."""

    trials: int
    """How many were measured, at least 1."""
    cpu_s: float
    """Their mean in CPU seconds."""


def cost_key(description: TrialDescription) -> str:
    """Return the hash of task, model, protocol and settings: trials alike in these cost about the same."""
    return _key(description.task, description.model, description.protocol, description.settings)


def write_cost(connection: Connection, fingerprint: str, cpu_s: float) -> None:
    """Keep what a trial that is there has just cost, in place of what it cost before."""
    columns = (trials.c.fingerprint, trials.c.label_fraction, trials.c.description)
    row = connection.execute(select(*columns).where(trials.c.fingerprint == fingerprint)).one()
    values = _cost_row(row.fingerprint, row.label_fraction, json.loads(row.description), cpu_s)
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(trial_costs)
    changed = {name: statement.excluded[name] for name in ("cost_key", "label_fraction", "cpu_s")}
    connection.execute(statement.on_conflict_do_update(index_elements=["fingerprint"], set_=changed), values)


def read_costs(connection: Connection, keys: Iterable[str]) -> dict[tuple[str, float], MeasuredCost]:
    """Return what trials cost by key and label fraction, where any was measured; from one index."""
    found: dict[tuple[str, float], MeasuredCost] = {}
    costs = trial_costs.c
    for chunk in chunks(sorted(set(keys))):
        query = (
            select(costs.cost_key, costs.label_fraction, func.count().label("trials"), func.avg(costs.cpu_s))
            .where(costs.cost_key.in_(chunk))
            .group_by(costs.cost_key, costs.label_fraction)
        )
        for key, fraction, number, mean in connection.execute(query):
            found[key, fraction] = MeasuredCost(number, float(mean))
    return found


def add_missing_costs(connection: Connection) -> None:
    """Keep what the trials cost that were done before costs were kept, some at a time."""
    last = ""
    columns = (trials.c.fingerprint, trials.c.label_fraction, trials.c.description, trials.c.outcome)
    query = select(*columns).where(trials.c.state == State.DONE).order_by(trials.c.fingerprint)
    while rows := connection.execute(query.where(trials.c.fingerprint > last).limit(_ROWS_AT_ONCE)).all():
        last = rows[-1].fingerprint
        costs = [
            _cost_row(row.fingerprint, row.label_fraction, json.loads(row.description), _cpu_seconds(row))
            for row in rows
        ]
        connection.execute(insert(trial_costs), costs)


def _cost_row(
    fingerprint: str, fraction: float, description: Mapping[str, Any], cpu_s: float
) -> dict[str, Any]:
    names = ("task", "model", "protocol", "settings")
    key = _key(*(description[name] for name in names))
    return {"fingerprint": fingerprint, "cost_key": key, "label_fraction": fraction, "cpu_s": cpu_s}


def _cpu_seconds(row: Any) -> float:
    return float(json.loads(row.outcome).get("cpu_s", 0.0))


def _key(task: str, model: str, protocol: str, settings: Mapping[str, Any]) -> str:
    plain = json.loads(to_json([task, model, protocol, settings]))
    return hash_json(json.dumps(plain, sort_keys=True))  # text in ASCII: a name may hold what UTF-8 cannot
