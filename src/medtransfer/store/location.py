"""What a user may write for a store: a folder, a database file, or a database address."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from medtransfer.core.errors import UsageError

ARTIFACTS_VARIABLE = "MEDTRANSFER_ARTIFACTS"
DATABASE_FILE = "medtransfer.db"
_FILE_SUFFIXES = {".db", ".sqlite"}
_POSTGRES_NAMES = {"postgres", "postgresql", "postgresql+psycopg"}


@dataclass(frozen=True)
class StoreLocation:
    """Where the two halves of a store are."""

    url: URL
    """Address of the database."""
    artifacts: Path
    """Folder of the files beside it."""
    file: Path | None
    """The database file; None on a server."""

    @property
    def name(self) -> str:
        """The place in words, without a password."""
        return str(self.file) if self.file else self.url.render_as_string(hide_password=True)


def resolve_location(location: str | Path, artifacts: Path | None = None) -> StoreLocation:
    """Return where a store's database and artifacts are.

    Args:
        location: A folder (holds ``medtransfer.db`` and ``artifacts``), a file ending ``.db`` or ``.sqlite``
            (artifacts in ``<stem>.artifacts`` beside it), or an address such as ``postgresql://host/name``.
        artifacts: Folder for artifacts; for an address also ``MEDTRANSFER_ARTIFACTS``.

    Raises:
        UsageError: If the address is of another kind of database, or has no folder for artifacts.
    """
    if isinstance(location, str) and "://" in location:
        return _at_address(location, artifacts)
    path = Path(location).expanduser().absolute()
    is_file = path.suffix in _FILE_SUFFIXES or path.is_file()
    file = path if is_file else path / DATABASE_FILE
    beside = path.with_name(f"{path.stem}.artifacts") if is_file else path / "artifacts"
    return _in_file(file, artifacts or beside)


def _at_address(address: str, artifacts: Path | None) -> StoreLocation:
    try:
        url = make_url(address)
    except ArgumentError as error:
        raise UsageError(f"store: expected a path or a database address, got {address!r}.") from error
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:":
            raise UsageError(f"store {address!r}: expected a file, got a database in memory. Give a path.")
        file = Path(url.database).absolute()
        return _in_file(file, artifacts or file.with_name(f"{file.stem}.artifacts"))
    if url.drivername not in _POSTGRES_NAMES:
        raise UsageError(f"store: expected a path or a 'postgresql://' address, got {url.drivername!r}.")
    chosen = artifacts or _artifacts_from_environment()
    if chosen is None:
        raise UsageError(
            f"store {url.render_as_string(hide_password=True)}: expected a folder for prediction files "
            f"beside a database on a server, got none. Set {ARTIFACTS_VARIABLE} to one all runners reach."
        )
    return StoreLocation(url.set(drivername="postgresql+psycopg"), chosen.absolute(), None)


def _in_file(file: Path, artifacts: Path) -> StoreLocation:
    return StoreLocation(URL.create("sqlite", database=str(file)), artifacts.expanduser().absolute(), file)


def _artifacts_from_environment() -> Path | None:
    chosen = os.environ.get(ARTIFACTS_VARIABLE)
    return Path(chosen).expanduser() if chosen else None
