"""One connection per process to SQLite or PostgreSQL, with a clock and explicit transactions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from filelock import FileLock
from sqlalchemy import (
    Connection,
    Double,
    Engine,
    create_engine,
    event,
    insert,
    inspect,
    literal_column,
    select,
)
from sqlalchemy.engine import URL

from medtransfer.core.errors import StoreError, UsageError
from medtransfer.core.interrupts import interrupts_held_back
from medtransfer.store.file_systems import file_system_type, is_network_type
from medtransfer.store.location import StoreLocation
from medtransfer.store.migrations import OLDEST_VERSION, upgrade
from medtransfer.store.schema import SCHEMA_VERSION, metadata, schema_version
from medtransfer.store.write_errors import database_errors, file_errors

BUSY_TIMEOUT_S = 60.0
_ADVISORY_LOCK = 0x6D656474
_CLOCKS = {
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) AS double precision)",
}


class Database:
    """Transactions on the tables of one store.

    A process that was forked from one with an open database gets a connection of its own. Threads of a
    process take turns; a transaction must not be opened inside another. Interrupts wait for the end of a
    transaction: one that tore it would keep the only connection, and whoever gives trials back would wait for it.

    SQLite reads a write-ahead log through files beside the database. A database that is only looked at, whose
    file or folder cannot be written, and that was closed cleanly, is read without them, as one that nobody changes.

    Args:
        location: Where the database is.

    Raises:
        UsageError: If the driver for PostgreSQL is not installed.
    """

    def __init__(self, location: StoreLocation) -> None:
        self.location = location
        self._url = location.url
        self._sealed: tuple[int, int] | None = None
        self._engine = _build_engine(location, self._url)
        self._pid = os.getpid()
        self._inherited: list[Engine] = []

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that sees one state of the store."""
        place = self.location.name
        with interrupts_held_back(), database_errors(place), self._own_engine().connect() as connection:
            yield connection
            self._require_unchanged()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that may write; in SQLite it has the write lock from the start."""
        engine = self._own_engine().execution_options(begin="BEGIN IMMEDIATE")
        place = self.location.name
        with interrupts_held_back(), database_errors(place), engine.begin() as connection:
            yield connection

    def now(self, connection: Connection) -> float:
        """Return seconds since 1970 by the database's clock, the only one that leases are measured by."""
        clock = literal_column(_CLOCKS[connection.dialect.name], Double)
        return float(connection.scalar(select(clock)) or 0.0)

    def prepare(self, *, create: bool) -> None:
        """Check the schema, create it where there is none, and upgrade one of an earlier version.

        Raises:
            UsageError: If there is no store and ``create`` is false.
            StoreError: If the database belongs to a newer version or to another program, or cannot be
                upgraded; then it stays as it was.
        """
        if self.location.file is not None:
            self._check_file(self.location.file, create=create)
            if not create and _cannot_have_a_log(self.location.file):
                self._seal(self.location.file)
        with self.reading() as connection:
            version = self._version(connection)
        if version == SCHEMA_VERSION:
            return
        if version is None and not create:
            raise _absent(self.location.name)
        if self.location.file is None:
            self._establish()
            return
        lock = self.location.file.with_name(f".{self.location.file.name}.lock")
        with file_errors(lock), FileLock(lock):
            if version is None:
                self._turn_on_log()
            self._establish()

    def close(self) -> None:
        """Close the connection of this process."""
        self._own_engine().dispose()

    def _own_engine(self) -> Engine:
        if self._pid != os.getpid():
            self._inherited.append(self._engine)  # never closed here: the connection is the parent's
            self._engine = _build_engine(self.location, self._url)
            self._pid = os.getpid()
        return self._engine

    def _seal(self, file: Path) -> None:
        """Read the file from now on as one that nobody changes."""
        self._engine.dispose()
        self._sealed = _signature(file)
        query = {"mode": "ro", "immutable": "1", "uri": "true"}
        self._url = self.location.url.set(database=f"file:{quote(str(file))}", query=query)
        self._engine = _build_engine(self.location, self._url)

    def _require_unchanged(self) -> None:
        """Refuse what was read from a file that somebody else changed after all."""
        file = self.location.file
        if file is not None and self._sealed is not None and _signature(file) != self._sealed:
            raise StoreError(
                f"store {file}: expected a file that nobody changes, because it or its folder cannot be written, "
                "got a change while it was read. Run the same command again when the other program has ended."
            )

    def _check_file(self, file: Path, *, create: bool) -> None:
        if not file.exists() and not create:
            raise _absent(self.location.name)
        kind = file_system_type(file)
        if is_network_type(kind):
            raise StoreError(
                f"store {file}: expected a local disk, got file system type {kind!r}, on which SQLite's "
                "write-ahead log can lose results. Put it on a local disk, or give a 'postgresql://' address."
            )
        with file_errors(file.parent):
            file.parent.mkdir(parents=True, exist_ok=True)

    def _version(self, connection: Connection) -> int | None:
        """Return the version of the tables that are there, None for an empty database."""
        present = set(inspect(connection).get_table_names())
        if schema_version.name not in present:
            self._refuse_foreign(present)
            return None
        version = int(connection.scalar(select(schema_version.c.version)) or 0)
        if not OLDEST_VERSION <= version <= SCHEMA_VERSION:
            raise StoreError(
                f"store {self.location.name}: expected schema {SCHEMA_VERSION}, got {version}; nothing was "
                "changed. Open it with the version of medtransfer that wrote it, or a newer one."
            )
        return version

    def _refuse_foreign(self, present: set[str]) -> None:
        foreign = present if self.location.file else present & set(metadata.tables)
        if foreign:
            raise StoreError(
                f"store {self.location.name}: expected an empty database or a store, got one with table "
                f"{min(foreign)!r} of another program; nothing was changed. Give another place."
            )

    def _establish(self) -> None:
        """Create or upgrade the tables in one transaction; whoever comes second finds it done."""
        with self.writing() as connection:
            if self.location.file is None:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
            version = self._version(connection)
            if version is None:
                metadata.create_all(connection)
                connection.execute(insert(schema_version).values(version=SCHEMA_VERSION))
            else:
                upgrade(connection, version)

    def _turn_on_log(self) -> None:
        engine = self._own_engine().execution_options(begin=None)
        with database_errors(self.location.name), engine.connect() as connection:
            mode = connection.exec_driver_sql("PRAGMA journal_mode = WAL").scalar()
        if mode != "wal":
            raise StoreError(
                f"store {self.location.name}: expected SQLite to keep a write-ahead log, got mode {mode!r}. "
                "Put the store on a local disk."
            )


def _absent(name: str) -> UsageError:
    return UsageError(
        f"store {name}: expected a store, got nothing there. Check the path, or run a study into it first."
    )


def _cannot_have_a_log(file: Path) -> bool:
    """Return whether a database was closed cleanly and its log cannot be opened again."""
    writable = os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)
    return not writable and not file.with_name(f"{file.name}-wal").exists()


def _signature(file: Path) -> tuple[int, int]:
    """Return what changes with a file."""
    with file_errors(file):
        found = file.stat()
    return found.st_mtime_ns, found.st_size


def _build_engine(location: StoreLocation, url: URL) -> Engine:
    options: dict[str, Any] = {
        "hide_parameters": True,
        "pool_size": 1,
        "max_overflow": 0,
        "pool_timeout": 4 * BUSY_TIMEOUT_S,
    }
    if location.file is not None:
        options["connect_args"] = {"timeout": BUSY_TIMEOUT_S, "check_same_thread": False}
    else:
        options["pool_pre_ping"] = True
    try:
        engine = create_engine(url, **options)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"store {location.name}: expected the package {error.name!r}, got none. "
            "Install it with: pip install 'medtransfer[postgres]'."
        ) from error
    if location.file is not None:
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver begins no transaction of its own
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")


def _begin_sqlite(connection: Connection) -> None:
    statement = connection.get_execution_options().get("begin", "BEGIN")
    if statement is not None:
        connection.exec_driver_sql(statement)
