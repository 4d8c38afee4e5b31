"""Embeddings on disk, named by the hash of everything they depend on, so that no model sees a case twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import numpy.typing as npt

from medtransfer.core.atomic import atomic_writer, write_atomically
from medtransfer.core.errors import StoreError
from medtransfer.core.fingerprints import hash_json
from medtransfer.core.provenance import package_versions
from medtransfer.core.verified_files import is_as_declared, size_and_hash
from medtransfer.models.source_model import InputContract, SourceModel, WeightsFile

FloatArray = npt.NDArray[np.float32]

REVISION = 1
"""Raised whenever the same network and images would give other embeddings."""

_LIBRARIES = ("torch", "torchvision", "timm")


def feature_key(
    model: SourceModel,
    *,
    weights: str,
    contract: InputContract,
    decoded_key: str,
    size: int,
    device: str,
) -> str:
    """Return the name of a matrix of embeddings.

    Args:
        model: The source model; its network and the rules by which weights are taken from the file count,
            its name, pretraining and licence do not.
        weights: Hash of the weights; for random ones their seed as well.
        contract: What the network expects of its input.
        decoded_key: Key of the decoded images.
        size: Side of the views in pixels.
        device: Device the network runs on; its type counts, because kernels differ in the last digits,
            and so do the versions of the libraries the kernels come from.
    """
    versions = package_versions()
    parts = {
        "revision": REVISION,
        "dtype": "float32",
        "weights": weights,
        "rules": _weights_rules(model.weights),
        "architecture": asdict(model.architecture),
        "contract": asdict(contract),
        "decoded": decoded_key,
        "size": size,
        "device": device.partition(":")[0],
        "libraries": {name: versions[name] for name in _LIBRARIES},
    }
    return hash_json(parts)


def open_features(folder: Path, key: str, extract: Callable[[], FloatArray]) -> FloatArray:
    """Return the embeddings called ``key``, extracting and storing them where they are not on disk yet.

    The array is written first and declared whole by a manifest with its size and hash; both are checked
    when a process opens it for the first time. What does not match is extracted again.

    Args:
        folder: Where embeddings lie; it is created.
        key: From :func:`feature_key`.
        extract: Called at most once.

    Returns:
        (N, F) read-only memory map.

    Raises:
        StoreError: If the folder cannot be written, such as on a full disk.
    """
    found = _read(folder, key)
    if found is not None:
        return found
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder / f"{key}.lock"):
            found = _read(folder, key)
            if found is None:
                _write(folder, key, np.ascontiguousarray(extract(), dtype=np.float32))
                found = _read(folder, key)
    except OSError as error:
        raise StoreError(
            f"features: expected a writable folder with room at {folder}, got {error.strerror!r}. "
            "Free space or choose another cache folder."
        ) from error
    if found is None:
        raise StoreError(f"features: expected {key}.npy in {folder} to read back as written. Check the disk.")
    return found


def _weights_rules(weights: WeightsFile | None) -> dict[str, Any] | None:
    if weights is None:
        return None
    return {name: value for name, value in asdict(weights).items() if name not in {"file", "url", "sha256"}}


def _write(folder: Path, key: str, embeddings: FloatArray) -> None:
    manifest, array = folder / f"{key}.json", folder / f"{key}.npy"
    manifest.unlink(missing_ok=True)
    with atomic_writer(array) as stream:
        np.save(stream, embeddings, allow_pickle=False)
    write_atomically(manifest, json.dumps({"key": key, **size_and_hash(array)}))


def _read(folder: Path, key: str) -> FloatArray | None:
    path = folder / f"{key}.npy"
    try:
        declared = json.loads((folder / f"{key}.json").read_text(encoding="utf-8"))
        if declared["key"] != key or not is_as_declared(path, declared):
            return None
        embeddings: FloatArray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        return None
    return embeddings
