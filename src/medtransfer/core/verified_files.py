"""Files that a manifest declares by size and digest, and whether they still are what it says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medtransfer.core.fingerprints import hash_file

_Stamp = tuple[str, int, int, int]
_verified: set[_Stamp] = set()
"""What this process has hashed; a changed inode, size or modification time is another stamp."""


def size_and_hash(path: Path) -> dict[str, Any]:
    """Return what a manifest declares of a file: its size in bytes and its SHA-256 hex digest."""
    return {"size": path.stat().st_size, "sha256": hash_file(path)}


def is_as_declared(path: Path, declared: Mapping[str, Any]) -> bool:
    """Return whether a file has the size and the content a manifest declares.

    The size is checked on every call; content is hashed the first time this process meets the file and
    again when its modification time or inode has changed.

    Raises:
        FileNotFoundError: If the file is not there.
        KeyError: If the declaration lacks ``size`` or ``sha256``.
    """
    status = path.stat()
    if status.st_size != declared["size"]:
        return False
    stamp = (f"{path}:{declared['sha256']}", status.st_ino, status.st_size, status.st_mtime_ns)
    if stamp not in _verified:
        if hash_file(path) != declared["sha256"]:
            return False
        _verified.add(stamp)
    return True
