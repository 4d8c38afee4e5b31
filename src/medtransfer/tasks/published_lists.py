"""A study's own split lists, which the user supplies: recognised by their hashes, never shipped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from medtransfer.core.errors import DataError
from medtransfer.core.fingerprints import hash_file

FOLDER: Final = "splits"
"""Folder in the data set's own folder where a user puts the lists."""

_MAX_BYTES: Final = 1 << 27


def read_published_lists(
    task: str, root: Path, sha256_starts: Mapping[str, str]
) -> dict[str, list[str]] | None:
    """Return the lines of the published lists by split, when the user has put them in ``splits/``.

    Only ``.txt`` files count, whatever their names: which list a file is, its hash says.

    Args:
        task: Name of the task, for messages.
        root: The data set's folder.
        sha256_starts: First hex digits of the SHA-256 of each split's list.

    Returns:
        Non-empty lines by split; None when the folder has no ``.txt`` file.

    Raises:
        DataError: If a file there is none of the lists, or one of them is missing.
    """
    folder = root / FOLDER
    files = sorted(folder.glob("*.txt")) if folder.is_dir() else []
    if not files:
        return None
    found: dict[str, list[str]] = {}
    for path in files:
        split = _recognised(path, sha256_starts)
        if split is None:
            known = ", ".join(f"{split} {start}…" for split, start in sha256_starts.items())
            raise DataError(
                f"task {task!r}: {FOLDER}/{path.name}: expected one of the published lists (SHA-256 {known}), "
                f"got {hash_file(path)[:8]}…. Remove the file, or use a list as it was published."
            )
        found[split] = [
            line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()
        ]
    missing = [split for split in sha256_starts if split not in found]
    if missing:
        raise DataError(
            f"task {task!r}: {FOLDER}: expected the published lists of {list(sha256_starts)!r}, got none for "
            f"{missing!r}. Add them, or remove the others to have a split drawn."
        )
    return found


def _recognised(path: Path, sha256_starts: Mapping[str, str]) -> str | None:
    if path.stat().st_size > _MAX_BYTES:
        return None
    digest = hash_file(path)
    return next((split for split, start in sha256_starts.items() if digest.startswith(start)), None)
