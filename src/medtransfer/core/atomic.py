"""Files that are either whole or absent: temporary file, flush, fsync, rename, fsync of the folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from medtransfer.core.errors import StoreError


@contextmanager
def atomic_writer(path: Path) -> Iterator[IO[bytes]]:
    """Open a binary stream whose content becomes ``path`` only when the block ends well.

    Args:
        path: Final place; its folder is created. On any error the temporary file is removed
            and what was at ``path`` before stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            error.filename = str(path)  # writing to an open file names none
        raise
    fsync_folder(path.parent)


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write ``content`` to ``path`` so that no reader ever sees a part of it."""
    with atomic_writer(path) as stream:
        stream.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def cache_faults(what: str, folder: Path) -> Iterator[None]:
    """Turn what keeps a cache from being written inside the block, such as a full disk, into its message.

    Args:
        what: Name of the cache.
        folder: Where it lies.

    Raises:
        StoreError: If the system refused a read or a write.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{what}: expected a writable folder with room at {folder}, "
            f"got {error.strerror!r}. Free space or choose another cache folder."
        ) from error


def fsync_folder(folder: Path) -> None:
    """Make a rename inside ``folder`` durable, where the platform can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
