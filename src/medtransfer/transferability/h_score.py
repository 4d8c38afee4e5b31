"""H-scores: how much of the features' spread lies between classes, plain and with shrinkage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg
from sklearn.covariance import ledoit_wolf_shrinkage

from medtransfer.core.errors import ShapeError
from medtransfer.transferability.decomposition import checked_features

FloatArray = npt.NDArray[np.float64]

_RCOND = 1e-15


@dataclass(frozen=True)
class HScore:
    """A score, or why there is none."""

    value: float | None
    """At least 0; null when it would say nothing of the labels."""
    reason: str = ""
    """Why it is null."""
    shrinkage: float | None = None
    """Share of the identity in the covariance; null for the plain score."""


def h_score(features: npt.NDArray[np.floating], labels: npt.NDArray[np.integer]) -> HScore:
    """Return ``tr(pinv(cov F) cov(E[F | y]))``; null for N <= D, where it is C - 1 whatever the labels.

    Args:
        features: F, shape (N, D), of training cases only.
        labels: Class numbers, shape (N,).

    Raises:
        ShapeError: If the features are not finite, or the labels do not fit or do not vary.

    Reference:
        Bao et al., "An Information-Theoretic Approach to Transferability in Task Transfer Learning",
        ICIP 2019.
    """
    centred, between = _centred_and_between(features, labels)
    cases, columns = centred.shape
    if cases <= columns:
        return HScore(
            None,
            f"{cases} cases for {columns} features: the score is the number of classes less one, whatever "
            "the labels",
        )
    within = centred.T @ centred / (cases - 1)
    inverse = np.linalg.pinv(within, rcond=_RCOND, hermitian=True)
    return HScore(float(np.sum(inverse * (between.T @ between / (cases - 1)))))


def shrinkage_h_score(features: npt.NDArray[np.floating], labels: npt.NDArray[np.integer]) -> HScore:
    """Return the H-score with a covariance of Ledoit and Wolf, which exists for N <= D as well.

    Args:
        features: F, shape (N, D), of training cases only.
        labels: Class numbers, shape (N,).

    Raises:
        ShapeError: If the features are not finite, or the labels do not fit or do not vary.

    Reference:
        Ibrahim et al., "Newer is not always better: Rethinking transferability metrics, their
        peculiarities, stability and performance", ECML 2022.
    """
    centred, between = _centred_and_between(features, labels)
    cases, columns = centred.shape
    shrinkage = float(ledoit_wolf_shrinkage(centred, assume_centered=True))
    floor = shrinkage * float(np.sum(np.square(centred))) / cases / columns
    kept = (1 - shrinkage) * between.T @ between / (cases - 1)
    if cases > columns:
        covariance = (1 - shrinkage) * centred.T @ centred / cases
        covariance.ravel()[:: columns + 1] += floor
        inverse = linalg.pinvh(covariance)
        return HScore(float(np.sum(inverse * kept)), shrinkage=shrinkage)
    return HScore(_by_cases(centred, between, shrinkage, floor), shrinkage=shrinkage)


def _by_cases(centred: FloatArray, between: FloatArray, shrinkage: float, floor: float) -> float:
    """Return the shrinkage score for N <= D through N x N matrices (Woodbury)."""
    cases = len(centred)
    scale = (1 - shrinkage) / cases
    across = between @ centred.T
    gram = centred @ centred.T
    gram.ravel()[:: cases + 1] += floor / scale
    removed = float(np.sum(across * linalg.solve(gram, across.T, assume_a="pos").T))
    whole = float(np.sum(np.square(between)))
    return (1 - shrinkage) / (cases - 1) * (whole - removed) / floor


def _centred_and_between(
    features: npt.NDArray[np.floating], labels: npt.NDArray[np.integer]
) -> tuple[FloatArray, FloatArray]:
    """Return the centred features, and for each case the centred mean of its class, both (N, D)."""
    table = checked_features(features)
    classes, numbers = np.unique(np.asarray(labels), return_inverse=True)
    if np.shape(labels) != (len(table),):
        raise ShapeError(f"labels: expected shape ({len(table)},), got {np.shape(labels)}.")
    if len(classes) < 2:
        raise ShapeError("H-score: expected cases of two classes, got one. Give labels that vary.")
    centred = table - table.mean(axis=0)
    if not centred.any():
        raise ShapeError("features: expected columns that vary, got constant ones. Check the network.")
    means = np.zeros((len(classes), table.shape[1]))
    np.add.at(means, numbers, centred)
    means /= np.bincount(numbers)[:, None]
    return centred, means[numbers]
