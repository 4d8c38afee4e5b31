"""Centring and scaling of features by the training cases alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medtransfer.features.row_blocks import double_blocks

FloatArray = npt.NDArray[np.float64]

CONSTANT_BELOW = 1e-6
"""A feature whose standard deviation is below this share of its mean is rounding noise, not a feature."""


@dataclass(frozen=True)
class Standardisation:
    """What is subtracted from and divided out of each feature."""

    kept: npt.NDArray[np.intp]
    """Columns that vary over the training cases; no penalised head gives weight to the others."""
    mean: FloatArray
    """Mean of the kept columns."""
    scale: FloatArray
    """Standard deviation (ddof 0) of the kept columns, positive."""

    @classmethod
    def of(cls, features: npt.NDArray[Any]) -> Standardisation:
        """Return the standardisation of training features (n, d)."""
        cases = len(features)
        mean = sum(block.sum(axis=0) for _, block in double_blocks(features)) / cases
        squares = sum(np.square(block - mean).sum(axis=0) for _, block in double_blocks(features))
        scale = np.sqrt(squares / cases)
        kept = np.flatnonzero(scale > CONSTANT_BELOW * np.abs(mean))
        return cls(kept, mean[kept], scale[kept])

    def __call__(self, features: npt.NDArray[Any]) -> FloatArray:
        """Return the kept columns of features (m, d), standardised, in double precision."""
        standardised = features[:, self.kept].astype(np.float64)
        standardised -= self.mean
        standardised /= self.scale
        return np.ascontiguousarray(standardised)
