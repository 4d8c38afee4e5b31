"""Content hashes: of JSON values, files and arrays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_BLOCK = 1 << 20


def canonical_json(value: Any) -> str:
    """Return JSON text that is the same for equal values (sorted keys, no spaces).

    Raises:
        ValueError: If a number is NaN or infinite.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def hash_json(value: Any) -> str:
    """Return the SHA-256 hex digest of a JSON value's canonical text."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def hash_file(path: Path) -> str:
    """Return the SHA-256 hex digest of a file's bytes, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def hash_array(array: npt.NDArray[Any]) -> str:
    """Return the SHA-256 hex digest of an array's type, shape and values."""
    array = np.ascontiguousarray(array)
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    digest.update(array.data if array.size else b"")
    return digest.hexdigest()


def fingerprint(parts: Mapping[str, Any]) -> str:
    """Return the fingerprint of a trial from all that determines its result.

    Args:
        parts: Resolved configuration, data hash, weights hash, recipe revision; JSON values.
    """
    return hash_json(dict(parts))
