"""Arrays on disk under a key: written whole, verified when read, the least recently used ones removed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import numpy.typing as npt

from medtransfer.core.atomic import atomic_writer, cache_faults, write_atomically
from medtransfer.core.errors import StoreError, UsageError
from medtransfer.core.verified_files import is_as_declared, size_and_hash

Arrays = Mapping[str, npt.NDArray[Any]]

LIMIT_VARIABLE = "MEDTRANSFER_FEATURES_LIMIT"
"""Environment variable with the most gigabytes a folder of features may take."""
DEFAULT_LIMIT_GB = 50.0

_GIGABYTE = 10**9


def open_arrays(folder: Path, key: str, make: Callable[[], Arrays]) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays called ``key``, making and storing them where they are not on disk yet.

    Arrays are written first and declared whole by a manifest with their sizes and hashes; both are checked
    when a process opens them for the first time. What does not match is made again. Every opening counts
    as a use; when new arrays take the folder over its limit, those used longest ago are removed, never the
    new ones and never those that somebody is writing.

    Args:
        folder: Where arrays lie; it is created.
        key: Hash of everything the arrays depend on.
        make: Called at most once; returns arrays by name.

    Returns:
        Read-only memory maps by name.

    Raises:
        StoreError: If the folder cannot be written, such as on a full disk.
        UsageError: If the limit in the environment is no number.
    """
    found = _read(folder, key)
    if found is not None:
        return found
    limit = folder_limit_bytes()
    with cache_faults("features", folder):
        folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder / f"{key}.lock"):
            found = _read(folder, key)
            if found is None:
                _write(folder, key, make())
                found = _read(folder, key)
        remove_least_recently_used(folder, limit, keep=key)
    if found is None:
        raise StoreError(f"features: expected {key}.npy in {folder} to read back as written. Check the disk.")
    return found


def folder_limit_bytes() -> int:
    """Return the most bytes a folder of arrays may take.

    Raises:
        UsageError: If the environment variable is not a positive number.
    """
    given = os.environ.get(LIMIT_VARIABLE, "")
    try:
        limit = float(given) if given else DEFAULT_LIMIT_GB
    except ValueError:
        limit = 0.0
    if not 0 < limit < float("inf"):
        raise UsageError(
            f"{LIMIT_VARIABLE}: expected a number of gigabytes above 0, got {given!r}. "
            f"Correct it, or unset it for the usual {DEFAULT_LIMIT_GB:g}."
        )
    return int(limit * _GIGABYTE)


def remove_least_recently_used(folder: Path, limit_bytes: int, *, keep: str) -> list[str]:
    """Remove entries until the folder fits its limit, longest unused first; return their keys.

    A process that has mapped an entry keeps its pages; on systems that forbid removing open files the
    entry stays.

    Args:
        folder: Where arrays lie.
        limit_bytes: Most bytes of all entries together.
        keep: Key that stays in any case.
    """
    entries = sorted(_entries(folder), key=lambda entry: (entry[1], entry[0]))
    total = sum(size for _, _, size in entries)
    removed = []
    for key, _, size in entries:
        if total <= limit_bytes:
            break
        if key != keep and _remove(folder, key):
            total -= size
            removed.append(key)
    return removed


def _entries(folder: Path) -> Iterator[tuple[str, float, int]]:
    """Yield key, time of the last use and bytes of each entry that is whole."""
    for manifest in folder.glob("*.json"):
        with suppress(FileNotFoundError):
            size = sum(path.stat().st_size for path in folder.glob(f"{manifest.stem}.*npy"))
            yield manifest.stem, manifest.stat().st_mtime, size


def _remove(folder: Path, key: str) -> bool:
    """Remove an entry unless somebody is writing it; its manifest goes first."""
    lock = filelock.FileLock(folder / f"{key}.lock", timeout=0)
    try:
        with lock:
            (folder / f"{key}.json").unlink(missing_ok=True)
            for path in folder.glob(f"{key}.*npy"):
                path.unlink(missing_ok=True)
    except (filelock.Timeout, PermissionError):
        return False
    return True


def _array_name(key: str, name: str) -> str:
    return f"{key}.{name}.npy"


def _write(folder: Path, key: str, arrays: Arrays) -> None:
    manifest = folder / f"{key}.json"
    manifest.unlink(missing_ok=True)
    declared = {}
    for name, values in arrays.items():
        path = folder / _array_name(key, name)
        with atomic_writer(path) as stream:
            np.save(stream, np.ascontiguousarray(values), allow_pickle=False)
        declared[name] = size_and_hash(path)
    write_atomically(manifest, json.dumps({"key": key, "arrays": declared}))


def _read(folder: Path, key: str) -> dict[str, npt.NDArray[Any]] | None:
    manifest = folder / f"{key}.json"
    try:
        declared = json.loads(manifest.read_text(encoding="utf-8"))
        paths = {name: folder / _array_name(key, name) for name in declared["arrays"]}
        whole = declared["key"] == key and all(
            is_as_declared(path, declared["arrays"][name]) for name, path in paths.items()
        )
        if not whole:
            return None
        found = {name: np.load(path, mmap_mode="r", allow_pickle=False) for name, path in paths.items()}
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        return None
    with suppress(OSError):  # a folder that is shared read-only does not note its uses
        os.utime(manifest)
    return found
