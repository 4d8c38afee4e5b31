"""Faults of disks and databases as one kind of error, with what to do next."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from medtransfer.core.errors import StoreError

_NO_SPACE = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_FREE_SPACE = "Free space there and run the same command again; everything stored before is whole."

_NEXT_STEPS = (
    ("database or disk is full", _FREE_SPACE),
    ("disk i/o error", f"The disk may be full or failing. {_FREE_SPACE}"),
    ("no space left", _FREE_SPACE),
    ("readonly database", "Make the file and its folder writable, or copy the store to a folder that is."),
    ("unable to open database", "Make the file and its folder readable and writable."),
    (
        "database is locked",
        "Another program holds the database; end it or wait, then run the same command again.",
    ),
    ("not a database", "Give the store that 'medtransfer run' wrote, or restore it from a backup."),
    ("malformed", "Restore the database from a backup."),
    ("connection", "Check that the server runs and that the address is right."),
)


@contextmanager
def database_errors(name: str) -> Iterator[None]:
    """Raise what a database reports as :class:`StoreError`.

    Args:
        name: The store in words, for the message.
    """
    try:
        yield
    except DBAPIError as error:
        found = " ".join(str(error.orig).split())
        near = (step for words, step in _NEXT_STEPS if words in found.lower())
        raise StoreError(
            f"store {name}: expected a working database, got {found!r}. {next(near, '')}".rstrip()
        ) from error
    except PoolTimeoutError as error:
        raise StoreError(f"store {name}: expected a free connection in this process, got none.") from error


@contextmanager
def file_errors(path: object) -> Iterator[None]:
    """Raise what the file system reports as :class:`StoreError`.

    Args:
        path: What was to be written or read.
    """
    try:
        yield
    except OSError as error:
        step = (
            _FREE_SPACE if error.errno in _NO_SPACE else "Check the disk and the permissions of the folder."
        )
        found = error.strerror or type(error).__name__
        raise StoreError(
            f"{path}: expected a file that can be written and read, got {found!r}. {step}"
        ) from error
