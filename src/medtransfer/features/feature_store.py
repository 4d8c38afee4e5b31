"""Embeddings on disk, named by the hash of everything they depend on, so that no model sees a case twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medtransfer.core.fingerprints import hash_json
from medtransfer.core.provenance import package_versions
from medtransfer.features.array_files import open_arrays
from medtransfer.features.extraction import PLAIN_EXTRACTION, Extraction
from medtransfer.models.source_model import InputContract, SourceModel, WeightsFile

FeatureArray = npt.NDArray[np.float32] | npt.NDArray[np.float16]

REVISION = 4
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
    extraction: Extraction = PLAIN_EXTRACTION,
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
        extraction: Engine and number format.
    """
    versions = package_versions()
    parts = {
        "revision": REVISION,
        "dtype": extraction.dtype.name,
        "weights": weights,
        "rules": _weights_rules(model.weights),
        "architecture": asdict(model.architecture),
        "contract": asdict(contract),
        "decoded": decoded_key,
        "size": size,
        "device": device.partition(":")[0],
        "libraries": {name: versions[name] for name in _LIBRARIES},
    }
    if extraction.engine != "torch":
        parts["engine"] = [extraction.engine, extraction.engine_version()]
    return hash_json(parts)


def open_features(folder: Path, key: str, extract: Callable[[], FeatureArray]) -> FeatureArray:
    """Return the embeddings called ``key``, extracting and storing them where they are not on disk yet.

    See :func:`~medtransfer.features.array_files.open_arrays` for what is verified and what is removed.

    Args:
        folder: Where embeddings lie; it is created.
        key: From :func:`feature_key`.
        extract: Called at most once.

    Returns:
        (N, F) read-only memory map, in the format it was extracted in.

    Raises:
        StoreError: If the folder cannot be written, such as on a full disk.
    """
    return open_arrays(folder, key, lambda: {"embeddings": extract()})["embeddings"]


def _weights_rules(weights: WeightsFile | None) -> dict[str, Any] | None:
    if weights is None:
        return None
    return {name: value for name, value in asdict(weights).items() if name not in {"file", "url", "sha256"}}
