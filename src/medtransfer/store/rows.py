"""Records as rows and back: JSON that keeps every float exactly and any text whole."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row

from medtransfer.store.records import Outcome, Record, State, TrialDescription


def to_json(value: Any) -> str:
    """Return JSON text in ASCII, in the order of the value's keys; floats read back as the same floats.

    Raises:
        ValueError: If a number is NaN or infinite; the message names where.
        TypeError: If a value has no JSON form.
    """
    place = _non_finite(value, "")
    if place is not None:
        raise ValueError(f"{place}: expected a finite number or null, got NaN or infinity.")
    return json.dumps(value, allow_nan=False, default=_plain)


def storable(text: str) -> str:
    """Return text that every database can hold: lone surrogates and NUL become visible escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\x00", "\\x00")


def description_row(description: TrialDescription) -> dict[str, Any]:
    """Return the columns that a trial's description fills.

    Raises:
        ValueError: If a number in it is not finite.
    """
    return {
        "fingerprint": description.fingerprint,
        "task": storable(description.task),
        "model": storable(description.model),
        "protocol": storable(description.protocol),
        "label_fraction": float(description.label_fraction),
        "repetition": int(description.repetition),
        "description": to_json(_as_mapping(description)),
    }


def outcome_json(outcome: Outcome) -> str:
    """Return the text of the outcome column.

    Raises:
        ValueError: If a number in it is not finite.
    """
    return to_json(_as_mapping(outcome))


def read_record(row: Row[Any], state: State) -> Record:
    """Return the record of a row of the trials table.

    Args:
        row: All columns of the table.
        state: The state with expired leases taken into account.
    """
    description = json.loads(row.description)
    description["varied"] = tuple(description["varied"])
    return Record(
        description=TrialDescription(**description),
        state=state,
        outcome=_read_outcome(row.outcome),
        reason=row.reason,
        message=_read_text(row.message),
        traceback=_read_text(row.traceback),
        attempts=row.attempts,
        owner=row.owner,
        predictions_file=row.predictions_file,
        predictions_sha256=row.predictions_sha256,
        finished_at=_iso_time(row.finished_at),
    )


def _read_outcome(text: str | None) -> Outcome | None:
    if text is None:
        return None
    parts = json.loads(text)
    parts["curve"] = tuple(parts["curve"])
    return Outcome(**parts)


def _read_text(text: str | None) -> str | None:
    return None if text is None else str(json.loads(text))


def _iso_time(seconds: float | None) -> str | None:
    return (
        None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    )


def _as_mapping(record: TrialDescription | Outcome) -> dict[str, Any]:
    return {entry.name: getattr(record, entry.name) for entry in fields(record)}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"{value!r}: expected a JSON value, got {type(value).__name__}.")


def _non_finite(value: Any, place: str) -> str | None:
    if isinstance(value, float):
        return None if math.isfinite(value) else place
    if isinstance(value, Mapping):
        parts = [(f"{place}.{key}" if place else str(key), part) for key, part in value.items()]
    elif isinstance(value, Sequence) and not isinstance(value, str):
        parts = [(f"{place}[{number}]", part) for number, part in enumerate(value)]
    else:
        return None
    found = (_non_finite(part, where) for where, part in parts)
    return next((where for where in found if where is not None), None)
