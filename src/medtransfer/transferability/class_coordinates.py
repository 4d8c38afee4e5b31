"""Classes in the basis of a decomposition: what H-scores need of features that were decomposed without centring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medtransfer.transferability.decomposition import Decomposition, one_hot

FloatArray = npt.NDArray[np.float64]

NOTHING_LEFT = 1e-8
"""Share of the constant target below which the features hold it all; the rest is rounding."""


@dataclass(frozen=True)
class ClassCoordinates:
    """The constant target and those of the classes, along the left singular vectors ``U`` of features F."""

    energies: FloatArray
    """Squared singular values of F, (K,)."""
    constant: FloatArray
    """``U' 1``, (K,)."""
    classes: FloatArray
    """``U' t`` of each class's centred 0/1 target over the root of its number of cases, (K, C)."""
    outside: float
    """Squared length of the part of the constant target that no combination of the features gives."""

    @classmethod
    def of(
        cls, decomposition: Decomposition, features: npt.NDArray[Any], labels: npt.NDArray[np.integer]
    ) -> ClassCoordinates:
        """Return the coordinates of the classes that occur.

        Args:
            decomposition: That of the features.
            features: F, shape (N, D), not centred.
            labels: Class numbers, shape (N,).
        """
        cases = len(features)
        targets = one_hot(labels, cases)
        sizes = targets.sum(axis=0)
        along = decomposition.coordinates(features, targets)
        constant = along.sum(axis=1)
        classes = (along - np.outer(constant, sizes / cases)) / np.sqrt(sizes)
        return cls(decomposition.energies, constant, classes, outside_of(constant, cases))

    def explained(self, penalty: float) -> float:
        """Return ``tr(B (G'G + p I)^-1 B')``, G the centred features, B each case's class mean of G.

        Centring takes one direction out of ``F F'``, so its inverse follows from that of F by the formula
        of Sherman and Morrison; written with centred targets, no term cancels another.

        Args:
            penalty: p, at least 0; 0 takes the pseudo-inverse.
        """
        gains = self.energies / (self.energies + penalty)
        left = self.outside + float((1 - gains) @ np.square(self.constant))
        total = float(np.sum(gains[:, None] * np.square(self.classes)))
        if left > 0:
            total += float(np.sum(np.square((gains * self.constant) @ self.classes))) / left
        return total


def outside_of(constant: FloatArray, cases: int) -> float:
    """Return the squared length of the part of the constant target that no combination of features gives.

    Args:
        constant: The constant target along the left singular vectors, (K,).
        cases: N, its squared length.
    """
    found = float(cases - constant @ constant)
    return found if found > NOTHING_LEFT * cases else 0.0
