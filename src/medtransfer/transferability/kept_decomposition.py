"""Decompositions kept beside the features they belong to, so that no score computes one twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from medtransfer.core.fingerprints import hash_array, hash_json
from medtransfer.features.array_files import open_arrays
from medtransfer.transferability.decomposition import Decomposition, decompose

REVISION = 1
"""Raised whenever the same features would be decomposed otherwise."""


def open_decomposition(
    folder: Path, key: str, features: npt.NDArray[np.floating], rows: npt.NDArray[np.integer]
) -> Decomposition:
    """Return the decomposition of some cases' features, from disk where it is there already.

    It lies in the cache of features under the same rules: verified when read, removed when the folder is
    over its limit.

    Args:
        folder: Where features lie.
        key: Of the features, from :func:`~medtransfer.features.feature_store.feature_key`.
        features: Embeddings of all cases, shape (N, D).
        rows: Cases that count, shape (n,); their order matters.

    Raises:
        ShapeError: If the features of these cases are not finite, or all zero.
        StoreError: If the folder cannot be written.
    """
    name = hash_json(
        {"decomposition": REVISION, "features": key, "rows": hash_array(np.asarray(rows, np.int64))}
    )
    arrays = open_arrays(folder, name, lambda: _as_arrays(decompose(features[rows])))
    facts = arrays["facts"]
    return Decomposition(
        energies=arrays["energies"],
        directions=arrays["directions"],
        of_features=bool(facts[0]),
        cases=int(facts[1]),
        features=int(facts[2]),
    )


def _as_arrays(found: Decomposition) -> dict[str, npt.NDArray[np.generic]]:
    return {
        "energies": found.energies,
        "directions": found.directions,
        "facts": np.array([found.of_features, found.cases, found.features], dtype=np.int64),
    }
