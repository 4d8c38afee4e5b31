"""H-scores: how much of the features' spread lies between classes, plain and with shrinkage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import linalg
from sklearn.covariance import ledoit_wolf_shrinkage

from medtransfer.core.errors import ShapeError
from medtransfer.features.row_blocks import double_blocks, is_large, small_slices
from medtransfer.transferability.class_coordinates import ClassCoordinates
from medtransfer.transferability.decomposition import Decomposition, checked_features, decompose

AnyArray = npt.NDArray[Any]
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


def h_score(
    features: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    decomposition: Decomposition | None = None,
) -> HScore:
    """Return ``tr(pinv(cov F) cov(E[F | y]))``; null for N <= D, where it is C - 1 whatever the labels.

    Args:
        features: F, shape (N, D), of training cases only.
        labels: Class numbers, shape (N,).
        decomposition: That of ``features``, not centred, where it is known already; saves all that is
            quadratic in N or D.

    Raises:
        ShapeError: If the features are not finite, the labels do not fit or do not vary, or the
            decomposition is that of other features.

    Reference:
        Bao et al., "An Information-Theoretic Approach to Transferability in Task Transfer Learning",
        ICIP 2019.
    """
    table, numbers = _checked(features, labels)
    cases, columns = table.shape
    if cases <= columns:
        return HScore(
            None,
            f"{cases} cases for {columns} features: the score is the number of classes less one, whatever "
            "the labels",
        )
    if decomposition is None and is_large(cases, columns):
        decomposition = decompose(table)
    if decomposition is not None:
        decomposition.require_fit(table, "H-score")
        return HScore(ClassCoordinates.of(decomposition, table, numbers).explained(0.0))
    centred, between = _centred_and_between(table, numbers)
    within = centred.T @ centred / (cases - 1)
    inverse = np.linalg.pinv(within, rcond=_RCOND, hermitian=True)
    return HScore(float(np.sum(inverse * (between.T @ between / (cases - 1)))))


def shrinkage_h_score(
    features: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    decomposition: Decomposition | None = None,
) -> HScore:
    """Return the H-score with a covariance of Ledoit and Wolf, which exists for N <= D as well.

    Args:
        features: F, shape (N, D), of training cases only.
        labels: Class numbers, shape (N,).
        decomposition: That of ``features``, not centred, where it is known already; saves all that is
            quadratic in N or D.

    Raises:
        ShapeError: If the features are not finite, the labels do not fit or do not vary, or the
            decomposition is that of other features.

    Reference:
        Ibrahim et al., "Newer is not always better: Rethinking transferability metrics, their
        peculiarities, stability and performance", ECML 2022.
    """
    table, numbers = _checked(features, labels)
    cases, columns = table.shape
    if decomposition is None and is_large(cases, columns):
        decomposition = decompose(table)
    if decomposition is not None:
        decomposition.require_fit(table, "H-score")
        return _shrunk_by_spectrum(decomposition, table, numbers)
    centred, between = _centred_and_between(table, numbers)
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


def _shrunk_by_spectrum(
    decomposition: Decomposition, table: AnyArray, numbers: npt.NDArray[np.intp]
) -> HScore:
    cases, columns = table.shape
    shrinkage, variance = _ledoit_wolf(decomposition, table)
    if shrinkage == 1:
        return HScore(0.0, shrinkage=shrinkage)
    penalty = shrinkage / (1 - shrinkage) * variance / columns
    between = ClassCoordinates.of(decomposition, table, numbers).explained(penalty)
    return HScore(cases / (cases - 1) * between, shrinkage=shrinkage)


def _ledoit_wolf(decomposition: Decomposition, table: AnyArray) -> tuple[float, float]:
    """Return the shrinkage of centred features, and the sum of their squares, without a product of matrices.

    Reference:
        Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", Journal of
        Multivariate Analysis 88, 2004, lemmas 3.2 to 3.5.
    """
    cases, columns = table.shape
    mean = sum(block.sum(axis=0) for _, block in double_blocks(table)) / cases
    lengths, along = np.empty(cases), np.empty(cases)
    for rows, block in double_blocks(table):
        lengths[rows] = np.square(block - mean).sum(axis=1)
        along[rows] = block @ mean
    total, square = float(lengths.sum()), float(mean @ mean)
    whole = float(np.square(decomposition.energies).sum())  # squared norm of F'F, then of the centred one
    whole += -2 * cases * float(np.square(along).sum()) + (cases * square) ** 2
    spread = whole / cases**2 - (total / cases) ** 2 / columns
    noise = (float(np.square(lengths).sum()) - whole / cases) / cases**2
    return (min(noise, spread) / spread if spread > 0 and noise > 0 else 0.0), total


def _checked(
    features: npt.NDArray[np.floating], labels: npt.NDArray[np.integer]
) -> tuple[AnyArray, npt.NDArray[np.intp]]:
    """Return checked features and classes numbered from 0, (N, D) and (N,)."""
    table = checked_features(features)
    classes, numbers = np.unique(np.asarray(labels), return_inverse=True)
    if np.shape(labels) != (len(table),):
        raise ShapeError(f"labels: expected shape ({len(table)},), got {np.shape(labels)}.")
    if len(classes) < 2:
        raise ShapeError("H-score: expected cases of two classes, got one. Give labels that vary.")
    if all((table[rows] == table[0]).all() for rows in small_slices(*table.shape)):
        raise ShapeError("features: expected columns that vary, got constant ones. Check the network.")
    return table, numbers


def _centred_and_between(table: FloatArray, numbers: npt.NDArray[np.intp]) -> tuple[FloatArray, FloatArray]:
    """Return the centred features, and for each case the centred mean of its class, both (N, D)."""
    centred = table - table.mean(axis=0)
    means = np.zeros((numbers.max() + 1, table.shape[1]))
    np.add.at(means, numbers, centred)
    means /= np.bincount(numbers)[:, None]
    return centred, means[numbers]
