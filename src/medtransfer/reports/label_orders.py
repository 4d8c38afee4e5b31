"""Orders in which label fractions were taken: results of two orders never stand in one cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from medtransfer.reports.kept_records import settings_digest
from medtransfer.store.records import Record

USUAL_ORDER = "patients"
"""What a trial says nothing of."""


def label_order(record: Record) -> str | None:
    """Return in which order a trial's share of the training cases was taken; None with all labels."""
    d = record.description
    return None if d.label_fraction == 1 else str(d.facts.get("label_order", USUAL_ORDER))


def divided_patients(records: Iterable[Record]) -> list[int]:
    """Return through how many patients each finished trial's share was cut, where it may cut and this is known."""
    details = [record.outcome.details for record in records if record.outcome]
    return [int(found["divided_patients"]) for found in details if found.get("divided_patients") is not None]


def with_orders_apart(records: Iterable[Record]) -> list[Record]:
    """Return the records, with the order among the settings of a protocol that was run with several.

    A study has one order, and a report of it needs no more than to say so. The studies of a store may have
    several; their trials then count as trials of different settings. Trials with all labels stay as they are.
    """
    found = list(records)
    orders: dict[tuple[str, str], set[str]] = {}
    for record in found:
        order = label_order(record)
        if order is not None:
            orders.setdefault(_settings_key(record), set()).add(order)
    return [_marked(record, orders) for record in found]


def _marked(record: Record, orders: Mapping[tuple[str, str], set[str]]) -> Record:
    order = label_order(record)
    if order in (None, USUAL_ORDER) or len(orders[_settings_key(record)]) == 1:
        return record
    told = {**record.description.settings, "label_order": order}
    return replace(record, description=replace(record.description, settings=told))


def _settings_key(record: Record) -> tuple[str, str]:
    return record.description.protocol, settings_digest(record.description.settings)
