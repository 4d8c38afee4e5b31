"""The features heads are fitted to, in the form that suits their number."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from medtransfer.features.row_blocks import is_large, small_slices
from medtransfer.protocols.logistic_heads.blocked_geometry import BlockedGeometry
from medtransfer.protocols.logistic_heads.geometry import Geometry, build_geometry
from medtransfer.protocols.logistic_heads.softmax_features import (
    BlockedSoftmaxFeatures,
    HeldSoftmaxFeatures,
    SoftmaxFeatures,
)
from medtransfer.protocols.logistic_heads.standardisation import Standardisation


class TrainingFeatures:
    """Raw features of the training cases, which a solver sees standardised.

    Small ones are standardised once and held. Of large ones nothing is copied but rows or columns that are
    left out; more cases than features are needed for that, else the copy is no larger than what the solver
    holds anyway.

    Args:
        features: Raw embeddings, shape (n, d).
    """

    def __init__(self, features: npt.NDArray[Any]) -> None:
        self._features = features
        self.standardisation = Standardisation.of(features)

    @property
    def size(self) -> int:
        """Number of columns that vary."""
        return len(self.standardisation.kept)

    def geometry(self, known: npt.NDArray[np.bool_]) -> Geometry:
        """Return the geometry of some of the cases; that of all is built once.

        Args:
            known: Which cases count, shape (n,).
        """
        return self._of_all if known.all() else self._geometry_of(known)

    def for_softmax(self) -> SoftmaxFeatures:
        """Return what a softmax over all cases works with."""
        every = np.ones(len(self._features), dtype=np.bool_)
        if self._in_blocks(len(every)):
            return BlockedSoftmaxFeatures(self._varying(every), self.standardisation)
        return HeldSoftmaxFeatures(self._held)

    @cached_property
    def _held(self) -> npt.NDArray[np.float64]:
        return self.standardisation(self._features)

    @cached_property
    def _of_all(self) -> Geometry:
        return self._geometry_of(np.ones(len(self._features), dtype=np.bool_))

    def _geometry_of(self, known: npt.NDArray[np.bool_]) -> Geometry:
        if self._in_blocks(int(known.sum())):
            return BlockedGeometry(self._varying(known), self.standardisation)
        if self._in_blocks(len(known)):
            return build_geometry(self.standardisation(self._features[known]))
        return build_geometry(self._held if known.all() else self._held[known])

    def _in_blocks(self, cases: int) -> bool:
        return cases > self.size and is_large(cases, self.size)

    def _varying(self, known: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
        """Return the raw features of some cases without constant columns, not copied where that is all."""
        kept, columns = self.standardisation.kept, self._features.shape[1]
        if known.all() and len(kept) == columns:
            return self._features
        rows = np.flatnonzero(known)
        found = np.empty((len(rows), len(kept)), self._features.dtype)
        for part in small_slices(len(rows), columns):
            found[part] = self._features[rows[part]][:, kept]
        return found
