"""How a store of an earlier version becomes one of this version, without touching what is in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, Table, update

from medtransfer.store.schema import (
    SCHEMA_VERSION,
    imported,
    metadata,
    schema_version,
    trial_costs,
    trial_memory,
)
from medtransfer.store.trial_costs import add_missing_costs

OLDEST_VERSION: Final = 1
"""The earliest schema that can be upgraded."""

_NEW_TABLES: Final[dict[int, tuple[Table, ...]]] = {2: (imported,), 3: (trial_costs,), 4: (trial_memory,)}
"""Tables that a version adds to the one before it; no version has changed an earlier table yet."""

_FILLS: Final[dict[int, Callable[[Connection], None]]] = {3: add_missing_costs}
"""What fills the new tables of a version from the earlier ones; what nobody measured stays out of them."""


def upgrade(connection: Connection, version: int) -> None:
    """Bring the tables from a version to :data:`.SCHEMA_VERSION`; the caller holds the transaction.

    Args:
        connection: A connection in a writing transaction, so that all of it happens or none.
        version: Version that was found, from :data:`OLDEST_VERSION` on.
    """
    for step in range(version + 1, SCHEMA_VERSION + 1):
        metadata.create_all(connection, tables=_NEW_TABLES[step])
        if step in _FILLS:
            _FILLS[step](connection)
    connection.execute(update(schema_version).values(version=SCHEMA_VERSION))
