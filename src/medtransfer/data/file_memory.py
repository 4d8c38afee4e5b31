"""What was once found out about a file, remembered until the file changes: its hash, its DICOM header."""

from __future__ import annotations

import sqlite3
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from medtransfer.core.errors import BadImageError, DataError
from medtransfer.core.locations import cache_folder
from medtransfer.data.inside_root import real_path

_Stamp = tuple[int, int, int, int]
_Folder = dict[str, tuple[_Stamp, str]]
_Row = tuple[object, ...]

_SETTLED_NS: Final = 2_000_000_000
_TIMEOUT_S: Final = 60.0
_MOST_IN_MEMORY: Final = 200_000
_MOST_WAITING: Final = 1000
_LONGEST_WAIT_S: Final = 2.0
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS facts (kind TEXT, folder TEXT, name TEXT, size INTEGER, mtime_ns INTEGER, "
    "ctime_ns INTEGER, inode INTEGER, value TEXT, PRIMARY KEY (kind, folder, name)) WITHOUT ROWID"
)


@dataclass
class _Waiting:
    """Facts that were found and not written yet."""

    rows: list[_Row] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)
    location: Path = field(default_factory=lambda: _location())  # noqa: PLW0108 - defined below
    """Where they will be written, found out once for all files of a block."""

    def is_due(self) -> bool:
        return len(self.rows) >= _MOST_WAITING or time.monotonic() - self.since > _LONGEST_WAIT_S

    def write(self) -> None:
        if self.rows:
            _write(self.rows)
        self.rows, self.since = [], time.monotonic()


_waiting: Final[ContextVar[_Waiting | None]] = ContextVar("waiting facts", default=None)


class FileMemory:
    """One kind of fact about files, kept in a small database below the cache folder.

    A fact is remembered under the path with the file's size, times and inode; several processes may
    share the database. A file that changed less than two seconds ago is not remembered: a second
    change might leave all of these equal.

    Args:
        kind: Name of the fact, with a revision: another name forgets.
        find: From a path to the fact, as text.
    """

    def __init__(self, kind: str, find: Callable[[Path], str]) -> None:
        self.kind = kind
        self._find = find
        self._known: dict[tuple[Path, str], _Folder] = {}

    def recall(self, path: Path) -> str:
        """Return the fact about a file, found out now when it is not remembered.

        Raises:
            BadImageError: If the file is missing, unreadable, or changes while it is read.
            DataError: If the cache folder cannot be used.
        """
        try:
            path = real_path(path)
            before = _stamp(path)
            remembered = self._folder(path.parent).get(path.name)
            if remembered is not None and remembered[0] == before:
                return remembered[1]
            value = self._find(path)
            after = _stamp(path)
        except OSError as error:
            raise BadImageError(
                f"{path.name}: expected a readable file, got {error.strerror}. Check the data folder."
            ) from error
        if after != before:
            raise BadImageError(
                f"{path.name}: expected a file at rest, got one that changed while it was read."
            )
        if time.time_ns() - max(after[1], after[2]) > _SETTLED_NS:
            self._folder(path.parent)[path.name] = (after, value)
            _keep((self.kind, str(path.parent), path.name, *map(_signed, after), value))
        return value

    def _folder(self, folder: Path) -> _Folder:
        waiting = _waiting.get()
        key = (_location() if waiting is None else waiting.location, str(folder))
        if key not in self._known:
            with _database() as connection:
                rows = connection.execute(
                    "SELECT name, size, mtime_ns, ctime_ns, inode, value FROM facts "
                    "WHERE kind = ? AND folder = ?",
                    (self.kind, str(folder)),
                ).fetchall()
            self._forget_others()
            self._known[key] = {name: (_stamp_of(numbers), value) for name, *numbers, value in rows}
        return self._known[key]

    def _forget_others(self) -> None:
        """Drop the folders met first from memory, not from the database, when there are very many facts."""
        while len(self._known) > 1 and sum(map(len, self._known.values())) > _MOST_IN_MEMORY:
            self._known.pop(next(iter(self._known)))


@contextmanager
def written_together() -> Iterator[None]:
    """Write the facts found in the block in few transactions; a kill forgets those of the last two seconds.

    Raises:
        DataError: If the cache folder cannot be used.
    """
    waiting = _Waiting()
    token = _waiting.set(waiting)
    try:
        yield
    finally:
        _waiting.reset(token)
        waiting.write()


def _keep(row: _Row) -> None:
    """Write a fact, now or with the others of a block."""
    waiting = _waiting.get()
    if waiting is None:
        _write([row])
        return
    waiting.rows.append(row)
    if waiting.is_due():
        waiting.write()


def _write(rows: Sequence[_Row]) -> None:
    with _database() as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        connection.execute("COMMIT")


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise BadImageError(f"{path.name}: expected a file, got a folder or device. Check the data folder.")
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


@contextmanager
def _database() -> Iterator[sqlite3.Connection]:
    """Open the database for one statement, so that no connection outlives a fork or a thread."""
    path = _location()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=_TIMEOUT_S, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = OFF")  # losing a remembered fact costs only time
            connection.execute(_SCHEMA)
            yield connection
    except (sqlite3.Error, OSError) as error:
        raise DataError(
            f"file memory: expected a usable database at {path}, got {error}. "
            "Delete that file, or set MEDTRANSFER_CACHE to a folder you may write."
        ) from error


def _location() -> Path:
    return cache_folder() / "file-memory" / "facts.sqlite"


def _signed(number: int) -> int:
    """Return the number as SQLite can hold it: an inode may need all 64 bits."""
    return number - (1 << 64) if number >= 1 << 63 else number


def _stamp_of(numbers: Sequence[int]) -> _Stamp:
    size, mtime_ns, ctime_ns, inode = numbers
    return size, mtime_ns, ctime_ns, inode % (1 << 64)
