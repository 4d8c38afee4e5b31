"""Hashes of file contents, computed once per version of a file and remembered between runs."""

from __future__ import annotations

import sqlite3
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from medtransfer.core.errors import BadImageError, DataError
from medtransfer.core.fingerprints import hash_file
from medtransfer.core.locations import cache_folder

_Stamp = tuple[int, int, int, int]
_Folder = dict[str, tuple[_Stamp, str]]

_SETTLED_NS: Final = 2_000_000_000
_TIMEOUT_S: Final = 60.0
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS hashes (folder TEXT, name TEXT, size INTEGER, mtime_ns INTEGER, "
    "ctime_ns INTEGER, inode INTEGER, sha256 TEXT, PRIMARY KEY (folder, name)) WITHOUT ROWID"
)
_known: dict[tuple[Path, str], _Folder] = {}
"""What this process has read or written, per database and folder of images."""


def content_hash_of_file(path: Path) -> str:
    """Return the SHA-256 hex digest of a file's bytes.

    The digest is remembered under the path with the file's size, times and inode, in a small
    database below the cache folder that several processes may share. A file that changed less
    than two seconds ago is not remembered: a second change might leave all of these equal.

    Args:
        path: Regular file.

    Raises:
        BadImageError: If the file is missing, unreadable, or changes while it is read.
        DataError: If the cache folder cannot be used.
    """
    try:
        path = path.resolve()
        before = _stamp(path)
        if (known := _recall(path, before)) is not None:
            return known
        digest = hash_file(path)
        after = _stamp(path)
    except OSError as error:
        raise BadImageError(
            f"{path.name}: expected a readable file, got {error.strerror}. Check the data folder."
        ) from error
    if after != before:
        raise BadImageError(f"{path.name}: expected a file at rest, got one that changed while it was read.")
    if time.time_ns() - max(after[1], after[2]) > _SETTLED_NS:
        _remember(path, after, digest)
    return digest


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise BadImageError(f"{path.name}: expected a file, got a folder or device. Check the data folder.")
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _recall(path: Path, stamp: _Stamp) -> str | None:
    remembered = _folder(path.parent).get(path.name)
    return remembered[1] if remembered is not None and remembered[0] == stamp else None


def _remember(path: Path, stamp: _Stamp, digest: str) -> None:
    row = (str(path.parent), path.name, *map(_signed, stamp), digest)
    with _database() as connection:
        connection.execute("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    _folder(path.parent)[path.name] = (stamp, digest)


def _folder(folder: Path) -> _Folder:
    key = (_location(), str(folder))
    if key not in _known:
        with _database() as connection:
            rows = connection.execute("SELECT * FROM hashes WHERE folder = ?", (str(folder),)).fetchall()
        _known[key] = {name: (_stamp_of(numbers), digest) for _, name, *numbers, digest in rows}
    return _known[key]


@contextmanager
def _database() -> Iterator[sqlite3.Connection]:
    """Open the database for one statement, so that no connection outlives a fork or a thread."""
    path = _location()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=_TIMEOUT_S, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = OFF")  # losing a remembered hash costs only time
            connection.execute(_SCHEMA)
            yield connection
    except (sqlite3.Error, OSError) as error:
        raise DataError(
            f"content hashes: expected a usable database at {path}, got {error}. "
            "Delete that file, or set MEDTRANSFER_CACHE to a folder you may write."
        ) from error


def _location() -> Path:
    return cache_folder() / "content-hashes" / "hashes.sqlite"


def _signed(number: int) -> int:
    """Return the number as SQLite can hold it: an inode may need all 64 bits."""
    return number - (1 << 64) if number >= 1 << 63 else number


def _stamp_of(numbers: Sequence[int]) -> _Stamp:
    size, mtime_ns, ctime_ns, inode = numbers
    return size, mtime_ns, ctime_ns, inode % (1 << 64)
