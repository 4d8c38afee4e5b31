"""DeLong's variance of AUC values on the same cases: fast, with ties, one case per patient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from medtransfer.core.errors import ShapeError

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class AucCovariance:
    """AUC values of several models on the same cases."""

    auc: FloatArray
    """(K,) one per model; ties between a positive and a negative count half."""
    covariance: FloatArray
    """(K, K) covariance over the draw of cases."""
    positives: int
    """Number of positive cases."""
    negatives: int
    """Number of negative cases."""


@dataclass(frozen=True)
class AucDifference:
    """Two models' AUC on the same cases."""

    difference: float
    """First minus second."""
    z: float | None
    """Difference over its standard error; null when that is 0."""
    p: float | None
    """Two-sided p-value; null when undetermined."""
    low: float | None
    """Lower end of the interval of the difference."""
    high: float | None
    """Upper end of that interval."""


def auc_covariance(labels: Sequence[int] | npt.NDArray[np.integer], scores: FloatArray) -> AucCovariance:
    """Return AUC values and their covariance.

    Args:
        labels: 0 or 1 per case, shape (N,), at least two of each; every case another patient.
        scores: Scores of K models, shape (K, N), finite.

    Raises:
        ShapeError: If the arrays disagree, a score is not finite, or a class has fewer than two cases.

    Reference:
        DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated
        receiver operating characteristic curves", Biometrics 44, 1988; Sun and Xu, "Fast
        implementation of DeLong's algorithm", IEEE Signal Processing Letters 21, 2014 (midranks).

    Example:
        >>> found = auc_covariance([0, 0, 1, 1], np.array([[.1, .4, .35, .8]]))
        >>> float(found.auc[0]), round(float(found.covariance[0, 0]), 12)
        (0.75, 0.125)
    """
    positive = np.asarray(labels) == 1
    _check(np.asarray(labels), scores)
    m, n = int(positive.sum()), int((~positive).sum())
    ranks = stats.rankdata(scores, axis=1)
    among_positives = stats.rankdata(scores[:, positive], axis=1)
    among_negatives = stats.rankdata(scores[:, ~positive], axis=1)
    of_positives = (ranks[:, positive] - among_positives) / n
    of_negatives = 1 - (ranks[:, ~positive] - among_negatives) / m
    covariance = np.atleast_2d(np.cov(of_positives)) / m + np.atleast_2d(np.cov(of_negatives)) / n
    return AucCovariance(of_positives.mean(axis=1), covariance, m, n)


def compare_aucs(
    labels: Sequence[int] | npt.NDArray[np.integer],
    first: FloatArray,
    second: FloatArray,
    *,
    confidence: float = 0.95,
) -> AucDifference:
    """Test whether two models have the same AUC on other patients, from the same cases.

    Args:
        labels: 0 or 1 per case, shape (N,).
        first: Scores of the first model, shape (N,).
        second: Scores of the second model, shape (N,).
        confidence: Level of the interval, in (0, 1).

    Raises:
        ShapeError: As for :func:`auc_covariance`.

    Example:
        >>> y = [0, 0, 0, 1, 1, 1]
        >>> found = compare_aucs(y, np.array([.1, .4, .35, .8, .3, .4]), np.array([.2, .6, .1, .7, .5, .65]))
        >>> f"{found.z:.6f} {found.p:.6f}"
        '-1.224745 0.220671'
    """
    found = auc_covariance(labels, np.stack([first, second]))
    difference = float(found.auc[0] - found.auc[1])
    variance = float(found.covariance[0, 0] + found.covariance[1, 1] - 2 * found.covariance[0, 1])
    if variance <= 1e-15:
        return AucDifference(difference, None, None, None, None)
    error = math.sqrt(variance)
    half = float(stats.norm.ppf((1 + confidence) / 2)) * error
    z = difference / error
    return AucDifference(
        difference, z, float(2 * stats.norm.sf(abs(z))), difference - half, difference + half
    )


def auc_interval(auc: float, variance: float, confidence: float = 0.95) -> tuple[float, float] | None:
    """Return the interval of an AUC on the logit scale, which never leaves [0, 1].

    Args:
        auc: AUC in [0, 1].
        variance: Its variance.
        confidence: Level, in (0, 1).

    Returns:
        Both ends; None for an AUC of 0 or 1, whose variance says nothing: use a bootstrap there.

    Example:
        >>> [round(end, 6) for end in auc_interval(0.75, 0.125)]
        [0.069323, 0.991792]
    """
    if not 0 < auc < 1 or variance <= 0:
        return None
    centre = math.log(auc / (1 - auc))
    half = float(stats.norm.ppf((1 + confidence) / 2)) * math.sqrt(variance) / (auc * (1 - auc))
    return 1 / (1 + math.exp(half - centre)), 1 / (1 + math.exp(-half - centre))


def _check(labels: npt.NDArray[np.integer], scores: FloatArray) -> None:
    if scores.ndim != 2 or labels.shape != scores.shape[1:] or not np.isin(labels, (0, 1)).all():
        raise ShapeError(
            f"AUC covariance: expected labels 0 or 1 of shape (N,) and scores (K, N), got {labels.shape} and "
            f"{scores.shape}."
        )
    if not np.isfinite(scores).all():
        raise ShapeError("AUC covariance: expected finite scores, got NaN or infinity.")
    if min((labels == 1).sum(), (labels == 0).sum()) < 2:
        raise ShapeError(
            f"AUC covariance: expected two positive and two negative cases at least, got {(labels == 1).sum()} and "
            f"{(labels == 0).sum()}."
        )
