"""What a report is made from: the records of one moment, and predictions on request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from medtransfer.core.fingerprints import hash_json
from medtransfer.reports.disclosure import without_places
from medtransfer.reports.kept_records import RecordKeeper, settings_digest
from medtransfer.reports.label_orders import with_orders_apart
from medtransfer.store.records import Record, State

if TYPE_CHECKING:
    import pandas as pd

    from medtransfer.store.store import Store

_STANDING = {State.DONE: 3, State.RUNNING: 2, State.PENDING: 1, State.FAILED: 0}


@dataclass(frozen=True)
class Evidence:
    """Everything a report may use."""

    study: str
    """Name of the study, or what stands for all of them."""
    records: Sequence[Record]
    """Its trials in the order of the study, each (cell, repetition) once."""
    predictions: Callable[[Record], pd.DataFrame]
    """Reads the per-case predictions of a finished trial."""
    source: str = ""
    """The study file as it was submitted; empty when the report is about a whole store."""
    superseded: int = 0
    """Trials left out because the same cell and repetition was run again by a newer revision."""


def read_evidence(store: Store, study: str | None) -> Evidence:
    """Read the records of a study, or of all studies, as they are now.

    Raises:
        UsageError: If the store has no such study.
    """
    found = store.records(study, keep=RecordKeeper().keep)
    records = latest_of_each(with_orders_apart(found))
    return Evidence(
        study=study or "all studies",
        records=records,
        predictions=store.predictions,
        source="" if study is None else store.study_source(study),
        superseded=len(found) - len(records),
    )


def latest_of_each(records: Iterable[Record]) -> list[Record]:
    """Return the records with one per (cell, repetition), so that no rerun enters a mean twice.

    A store keeps the results of earlier revisions of a recipe under other fingerprints. Of those
    that describe the same run, finished ones win, then the one that finished last.
    """
    kept: dict[tuple[Any, ...], Record] = {}
    for record in records:
        key = run_key(record)
        if key not in kept or _rank(record) > _rank(kept[key]):
            kept[key] = record
    return list(kept.values())


def run_key(record: Record) -> tuple[Any, ...]:
    """Return what identifies a run for a reader: everything but revisions of the recipe."""
    d = record.description
    settings = settings_hash(record)
    return (task_key(record), model_key(record), d.protocol, settings, d.label_fraction, d.repetition)


def task_key(record: Record) -> str:
    """Return what identifies a task: its name, its data and what is measured; never mixed in one row."""
    d = record.description
    metrics = d.facts.get("metrics")
    return _digest(d.task, d.facts.get("data_hash"), metrics if metrics is None else tuple(metrics))


def model_key(record: Record) -> str:
    """Return what identifies a source model: its name and its weights."""
    return _digest(record.description.model, record.description.facts.get("weights_hash"))


def settings_hash(record: Record) -> str:
    """Return the digest of a protocol's resolved settings."""
    return settings_digest(record.description.settings)


def fact(record: Record, name: str, default: Any = None) -> Any:
    """Return a fact of a trial without places on a machine."""
    return without_places(record.description.facts.get(name, default))


def _rank(record: Record) -> tuple[int, str, str]:
    return (_STANDING[record.state], record.finished_at or "", record.description.fingerprint)


@lru_cache(maxsize=10_000)  # a study asks for its tasks and models once per trial and table
def _digest(name: str, *facts: Any) -> str:
    return hash_json([name, *(without_places(fact) for fact in facts)])
