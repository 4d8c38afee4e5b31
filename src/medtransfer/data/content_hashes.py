"""Hashes of file contents, computed once per version of a file and remembered between runs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from medtransfer.core.fingerprints import hash_file
from medtransfer.data.file_memory import FileMemory

_digests: Final = FileMemory("sha256", lambda path: hash_file(path))  # noqa: PLW0108 - looked up at every call


def content_hash_of_file(path: Path) -> str:
    """Return the SHA-256 hex digest of a file's bytes, remembered until the file changes.

    Args:
        path: Regular file.

    Raises:
        BadImageError: If the file is missing, unreadable, or changes while it is read.
        DataError: If the cache folder cannot be used.
    """
    return _digests.recall(path)
