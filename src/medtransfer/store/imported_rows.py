"""What other people published, as plain rows: a natural key, a content, and facts about where it is from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, text, update

from medtransfer.core.errors import UsageError
from medtransfer.core.problems import Problem
from medtransfer.store.leases import chunks
from medtransfer.store.rows import to_json
from medtransfer.store.schema import imported

_ADVISORY_LOCK: Final = 0x6D656475
_SHOWN: Final = 5


@dataclass(frozen=True)
class ImportedRow:
    """One number, run or curve of somebody else; the store does not interpret it."""

    kind: str
    """What it is, in kebab-case; keys are unique within a kind."""
    key: Mapping[str, Any]
    """What makes it the same thing when it is imported again; JSON values."""
    content: Mapping[str, Any]
    """What it says; JSON values. Another content under the same key is a contradiction."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What may be added by a later import without contradicting this one; JSON values."""
    origin: str = ""
    """File and line it was read from, for messages."""
    revision: int = 1
    """How often its content was changed on request, from 1; set by the store."""
    imported_at: str | None = None
    """When, ISO 8601 UTC; set by the store."""


@dataclass(frozen=True)
class ImportCounts:
    """What became of the rows of one import."""

    new: int
    """Rows that were not there."""
    unchanged: int
    """Rows that were there with the same content."""
    revised: int
    """Rows that were there with another content, which is kept beside the new one."""


def write_imported(
    connection: Connection, rows: Sequence[ImportedRow], now: float, *, revise: bool
) -> ImportCounts:
    """Write rows that are new, leave those that are there, and refuse or revise those that contradict.

    Raises:
        UsageError: If two rows have one key, a value has no JSON form, or contents contradict what is
            stored and ``revise`` is false.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
    found = _columns(rows)
    stored = _stored(connection, found)
    changed = [
        (name, values)
        for name, values in found.items()
        if name in stored and stored[name].content_sha256 != values["content_sha256"]
    ]
    if changed and not revise:
        raise UsageError(_contradictions([(values, stored[name]) for name, values in changed]))
    for kind, digest in (name for name, _ in changed):
        connection.execute(update(imported).where(*_is(kind, digest)).values(latest=0))
    written = [
        {
            **values,
            "revision": stored[name].revision + 1 if name in stored else 1,
            "latest": 1,
            "imported_at": now,
        }
        for name, values in found.items()
        if name not in stored or stored[name].content_sha256 != values["content_sha256"]
    ]
    if written:
        connection.execute(insert(imported), written)
    _add_facts(connection, found, stored)
    return ImportCounts(len(found) - len(stored), len(stored) - len(changed), len(changed))


def read_imported(connection: Connection, kind: str) -> tuple[ImportedRow, ...]:
    """Return the latest revision of all rows of a kind, in the order in which they were imported."""
    query = (
        select(imported)
        .where(imported.c.kind == kind, imported.c.latest == 1)
        .order_by(imported.c.imported_at, imported.c.position, imported.c.key_sha256)
    )
    return tuple(_row(row) for row in connection.execute(query))


def check_imported(connection: Connection) -> Iterable[Problem]:
    """Yield every imported row whose content is no longer what was written."""
    query = select(imported).order_by(imported.c.kind, imported.c.imported_at, imported.c.position)
    for row in connection.execute(query):
        if _digest(row.key) != row.key_sha256 or _digest(row.content) != row.content_sha256:
            yield Problem(
                what="damaged-import",
                where=f"{row.kind} {row.key}",
                expected="the content as it was imported",
                found="another one",
                next_step="Import its file again with --revise, or restore the database from a backup.",
            )


_Name = tuple[str, str]


def _columns(rows: Sequence[ImportedRow]) -> dict[_Name, dict[str, Any]]:
    """Return the columns of rows by kind and digest of the key, in one order for all who write.

    Raises:
        UsageError: If two rows have one key, or a value has no JSON form.
    """
    found: dict[_Name, dict[str, Any]] = {}
    for position, row in enumerate(rows):
        values = _row_columns(row)
        name = (values["kind"], values["key_sha256"])
        if name in found:
            raise UsageError(
                f"{row.origin or row.kind}: expected each key once, got {values['key']} here and in "
                f"{json.loads(found[name]['origin']) or 'the same import'}."
            )
        found[name] = {**values, "position": position}
    return dict(sorted(found.items()))


def _row_columns(row: ImportedRow) -> dict[str, Any]:
    try:
        key, content = (_canonical(part) for part in (row.key, row.content))
        facts = to_json(dict(row.facts))
    except (ValueError, TypeError) as error:
        raise UsageError(f"{row.origin or row.kind}: {error}") from error
    return {
        "kind": row.kind,
        "key": key,
        "key_sha256": _digest(key),
        "content": content,
        "content_sha256": _digest(content),
        "facts": facts,
        "origin": to_json(row.origin),
    }


def _stored(connection: Connection, names: Iterable[_Name]) -> dict[_Name, Row[Any]]:
    by_kind: dict[str, list[str]] = {}
    for kind, digest in names:
        by_kind.setdefault(kind, []).append(digest)
    found: dict[_Name, Row[Any]] = {}
    for kind, digests in by_kind.items():
        for part in chunks(digests):
            query = select(imported).where(
                imported.c.kind == kind, imported.c.latest == 1, imported.c.key_sha256.in_(part)
            )
            found |= {(kind, row.key_sha256): row for row in connection.execute(query)}
    return found


def _add_facts(
    connection: Connection, found: Mapping[_Name, Mapping[str, Any]], stored: Mapping[_Name, Row[Any]]
) -> None:
    """Add facts that an earlier import of the same content did not know; what it knew stays."""
    for name, row in stored.items():
        old, new = json.loads(row.facts), json.loads(found[name]["facts"])
        if row.content_sha256 == found[name]["content_sha256"] and new.keys() - old.keys():
            statement = update(imported).where(*_is(*name), imported.c.latest == 1)
            connection.execute(statement.values(facts=to_json({**new, **old})))


def _contradictions(pairs: Sequence[tuple[Mapping[str, Any], Row[Any]]]) -> str:
    lines = [
        f"  - {json.loads(values['origin'])}: {_differences(json.loads(row.content), json.loads(values['content']))}"
        f" under {values['key']}, imported before from {json.loads(row.origin)}"
        for values, row in pairs[:_SHOWN]
    ]
    more = [f"  - and {len(pairs) - _SHOWN} more"] if len(pairs) > _SHOWN else []
    heading = (
        "import: expected the content that is stored under the same key, got another in "
        f"{len(pairs)} of them; nothing was imported. Correct the file, or keep both as revisions with --revise:"
    )
    return "\n".join([heading, *lines, *more])


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return what differs between two contents, one level down into mappings of numbers."""
    flat_old, flat_new = _flat(old), _flat(new)
    names = [name for name in {**flat_old, **flat_new} if flat_old.get(name) != flat_new.get(name)]
    told = [f"{name} {_short(flat_old.get(name))} became {_short(flat_new.get(name))}" for name in names[:3]]
    return ", ".join(told) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _flat(content: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in content.items():
        flat |= value if isinstance(value, dict) else {name: value}
    return flat


def _short(value: Any) -> str:
    shown = json.dumps(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _is(kind: str, digest: str) -> tuple[Any, Any]:
    return imported.c.kind == kind, imported.c.key_sha256 == digest


def _canonical(value: Mapping[str, Any]) -> str:
    """Return JSON text that does not depend on the order of keys."""
    return json.dumps(json.loads(to_json(dict(value))), sort_keys=True)


def _digest(canonical: str) -> str:
    return sha256(canonical.encode("ascii")).hexdigest()


def _row(row: Row[Any]) -> ImportedRow:
    return ImportedRow(
        kind=row.kind,
        key=json.loads(row.key),
        content=json.loads(row.content),
        facts=json.loads(row.facts),
        origin=json.loads(row.origin),
        revision=row.revision,
        imported_at=datetime.fromtimestamp(row.imported_at, UTC).isoformat(timespec="milliseconds"),
    )
