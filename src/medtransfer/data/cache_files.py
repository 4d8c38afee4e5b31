"""The files of one decoded cache: two arrays and a manifest that makes them count."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medtransfer.core.atomic import write_atomically
from medtransfer.core.verified_files import is_as_declared, size_and_hash

UInt8Array = npt.NDArray[np.uint8]

IMAGES = "images.npy"
MASKS = "masks.npy"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class CacheFiles:
    """The verified arrays of a cache, mapped read-only."""

    images: UInt8Array
    """(N, S, S, C)."""
    masks: UInt8Array | None
    """(N, S, S), or None."""


def write_manifest(folder: Path, key: str) -> None:
    """Declare the arrays in ``folder`` whole: their sizes and hashes, written last and atomically."""
    files = {path.name: size_and_hash(path) for path in sorted(folder.glob("*.npy"))}
    write_atomically(folder / MANIFEST, json.dumps({"key": key, "files": files}, indent=1))


def read_cache_files(folder: Path) -> CacheFiles | None:
    """Return the arrays of a cache whose files are as its manifest says, else None.

    Every size is checked on every call; contents are hashed the first time this process meets them and
    again when a file's modification time or inode has changed.
    """
    try:
        declared = _declared_files(folder)
        if not all(is_as_declared(folder / name, found) for name, found in declared.items()):
            return None
        masks = _map(folder / MASKS) if MASKS in declared else None
        return CacheFiles(images=_map(folder / IMAGES), masks=masks)
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        return None


def is_declared_whole(folder: Path) -> bool:
    """Return whether a manifest and all its files are there with the declared sizes; reads no content."""
    try:
        declared = _declared_files(folder)
        return all((folder / name).stat().st_size == found["size"] for name, found in declared.items())
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        return False


def _declared_files(folder: Path) -> dict[str, Any]:
    """Return what a manifest says of its files.

    Raises:
        ValueError: If it is damaged, or another cache's.
    """
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    declared: dict[str, Any] = manifest["files"]
    if manifest["key"] != folder.name or IMAGES not in declared:
        raise ValueError(f"{folder}: expected the manifest of this cache")
    return declared


def _map(path: Path) -> UInt8Array:
    mapped: UInt8Array = np.load(path, mmap_mode="r", allow_pickle=False)
    return mapped
