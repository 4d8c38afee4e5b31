"""One call from embeddings and labels of a training subset to the scores of every strength."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import ShapeError
from medtransfer.core.task_kind import TaskKind
from medtransfer.features.row_blocks import row_slices
from medtransfer.protocols.logistic_heads.binary_path import Head, fit_binary_path
from medtransfer.protocols.logistic_heads.softmax_grid import fit_softmax_grid
from medtransfer.protocols.logistic_heads.standardisation import Standardisation
from medtransfer.protocols.logistic_heads.training_features import TrainingFeatures

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class HeadFit:
    """How the solution of one strength was reached; for several heads, the worst of them."""

    steps: int
    """Most steps any head took."""
    gradient_norm: float
    """Largest Euclidean norm of the gradient of ``mean(log loss) + |w|^2 / (2 C n)``, intercept included."""
    converged: bool
    """Whether every head reached its tolerance."""
    unfinished: tuple[str, ...] = ()
    """Of separate heads, the classes whose head did not."""

    def as_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        return {**asdict(self), "unfinished": list(self.unfinished)}


@dataclass(frozen=True)
class LogisticHeads:
    """The heads of one training subset for S strengths and C classes."""

    kind: TaskKind
    """Binary, multi-class or multi-label."""
    strengths: tuple[float, ...]
    """Inverse regularisation C, ascending: the first is the strongest regularisation."""
    standardisation: Standardisation
    """Of the training subset."""
    weights: FloatArray
    """(S, H, d') for the d' kept features; H = 1 for binary tasks, else C; 0 for classes without a head."""
    intercepts: FloatArray
    """(S, H); minus infinity for a class an exclusive task's subset does not show."""
    fits: tuple[HeadFit, ...]
    """One per strength."""
    notes: tuple[str, ...] = ()
    """What a reader must know, such as classes without cases."""

    def probabilities(self, features: npt.NDArray[Any]) -> FloatArray:
        """Return the probabilities of each strength.

        Args:
            features: Raw embeddings, shape (m, d).

        Returns:
            (S, m, C); two columns for binary tasks; rows sum to 1 unless multi-label.
        """
        strengths, heads, columns = self.weights.shape
        weights = self.weights.reshape(strengths * heads, columns).T
        scores = np.empty((len(features), strengths * heads))
        for rows in row_slices(*features.shape, wide=True):
            scores[rows] = self.standardisation(features[rows]) @ weights
        scores = scores.reshape(len(features), strengths, heads).transpose(1, 0, 2) + self.intercepts[:, None]
        if self.kind is TaskKind.MULTI_CLASS:
            powers = np.exp(scores - scores.max(axis=2, keepdims=True))
            return np.asarray(powers / powers.sum(axis=2, keepdims=True))
        positive = _sigmoid(scores)
        if self.kind is TaskKind.MULTI_LABEL:
            return positive
        return np.concatenate([_sigmoid(-scores), positive], axis=2)


def fit_heads(
    features: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    kind: TaskKind,
    classes: Sequence[str],
    strengths: Sequence[float],
    *,
    balanced: bool = False,
) -> LogisticHeads:
    """Fit L2-regularised logistic regression for every strength, each at its minimum.

    The objective is scikit-learn's, ``C * sum(log loss) + |w|^2 / 2`` with a free intercept, on features
    standardised by these cases. Binary tasks get one head, multi-label tasks one per class, exclusive
    classes a softmax. A class that all or none of the cases have gets a constant score, its share of
    the cases, because logistic regression has no minimum there.

    Args:
        features: Raw embeddings of the training subset, shape (n, d).
        labels: (n,) class numbers, or (n, C) for multi-label: zeros and ones, shares of which those
            above half count as one, and NaN for cases a class's head does not learn from.
        kind: A classification kind.
        classes: C class names.
        strengths: Inverse regularisation C, positive, strictly ascending.
        balanced: Whether every class's cases count as much together as any other's, as scikit-learn's
            ``class_weight="balanced"``; for multi-label tasks those with and those without each label.

    Raises:
        ShapeError: If the strengths are not positive and ascending, or the arrays disagree on n.
    """
    if not len(strengths) or min(strengths) <= 0 or any(np.diff(strengths) <= 0):
        raise ShapeError(f"strengths: expected positive numbers in rising order, got {list(strengths)!r}.")
    if len(features) != len(labels) or not len(labels):
        raise ShapeError(
            f"labels: expected one for each of {len(features)} training cases, got {len(labels)}."
        )
    inputs = TrainingFeatures(features)
    grid = tuple(float(strength) for strength in strengths)
    if kind is TaskKind.MULTI_CLASS:
        fitted = _fit_softmax(inputs, labels, classes, grid, balanced)
    else:
        truth = labels[:, None] if kind is TaskKind.BINARY else _hard(labels)
        names = classes[-truth.shape[1] :]
        fitted = _fit_separate(inputs, truth.astype(np.float64), names, grid, balanced)
    return LogisticHeads(kind, grid, inputs.standardisation, *fitted)


_Fitted = tuple[FloatArray, FloatArray, tuple[HeadFit, ...], tuple[str, ...]]


def _fit_separate(
    inputs: TrainingFeatures,
    truth: FloatArray,
    names: Sequence[str],
    strengths: tuple[float, ...],
    balanced: bool,
) -> _Fitted:
    """Fit one head per column of the truth, each on the cases whose label is known."""
    weights = np.zeros((len(strengths), truth.shape[1], inputs.size))
    intercepts = np.zeros(weights.shape[:2])
    fits = [HeadFit(steps=0, gradient_norm=0.0, converged=True)] * len(strengths)
    notes = []
    for column, name in enumerate(names):
        known = ~np.isnan(truth[:, column])
        targets = truth[known, column]
        share = float(targets.mean()) if len(targets) else 0.0
        if share in {0.0, 1.0}:
            intercepts[:, column] = np.inf if share else -np.inf
            notes.append(
                f"constant score {share:.0f} for {name!r}: {_all_or_none(share)} training case has it"
            )
            continue
        geometry = inputs.geometry(known)
        counts = _balance(targets) if balanced else None
        heads = fit_binary_path(geometry, np.ascontiguousarray(targets), strengths, counts)
        weights[:, column] = geometry.weights(np.stack([head.vector for head in heads]))
        del geometry  # before the next is built, as either may hold a copy of the features
        intercepts[:, column] = [head.intercept for head in heads]
        fits = [_worse(fit, _fit_of(head, name)) for fit, head in zip(fits, heads, strict=True)]
    return weights, intercepts, tuple(fits), tuple(notes)


def _fit_of(head: Head, name: str) -> HeadFit:
    return HeadFit(head.steps, head.gradient_norm, head.converged, () if head.converged else (name,))


def _balance(labels: npt.NDArray[Any]) -> FloatArray:
    """Return how much each case counts, (n,): n over the classes that occur and over its own's cases.

    Example:
        >>> _balance(np.array([0, 0, 0, 1])).round(2).tolist()
        [0.67, 0.67, 0.67, 2.0]
    """
    _, numbers, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    return np.asarray((len(labels) / (len(sizes) * sizes))[numbers], dtype=np.float64)


def _fit_softmax(
    inputs: TrainingFeatures,
    labels: npt.NDArray[Any],
    classes: Sequence[str],
    strengths: tuple[float, ...],
    balanced: bool,
) -> _Fitted:
    """Fit a softmax over the classes that occur; the others get probability 0."""
    present = np.unique(labels)
    weights = np.zeros((len(strengths), len(classes), inputs.size))
    intercepts = np.full(weights.shape[:2], -np.inf)
    absent = [name for number, name in enumerate(classes) if number not in present]
    notes = tuple(f"constant score 0 for {name!r}: no training case has it" for name in absent)
    if len(present) == 1:
        intercepts[:, present] = 0.0
        return weights, intercepts, (HeadFit(0, 0.0, converged=True),) * len(strengths), notes
    truth = (labels[:, None] == present).astype(np.float64)
    counts = _balance(labels) if balanced else None
    heads = fit_softmax_grid(inputs.for_softmax(), truth, np.array(strengths), counts)
    weights[:, present], intercepts[:, present] = heads.weights, heads.intercepts
    fits = tuple(
        HeadFit(int(steps), float(norm), bool(converged))
        for steps, norm, converged in zip(heads.steps, heads.gradient_norms, heads.converged, strict=True)
    )
    return weights, intercepts, fits, notes


def _hard(labels: npt.NDArray[Any]) -> FloatArray:
    """Return shares as zeros and ones; NaN stays."""
    return np.where(np.isnan(labels), np.nan, (labels > 0.5).astype(np.float64))


def _worse(first: HeadFit, second: HeadFit) -> HeadFit:
    return HeadFit(
        max(first.steps, second.steps),
        max(first.gradient_norm, second.gradient_norm),
        first.converged and second.converged,
        first.unfinished + second.unfinished,
    )


def _all_or_none(share: float) -> str:
    return "every" if share else "no"


def _sigmoid(scores: FloatArray) -> FloatArray:
    from scipy.special import expit

    return np.asarray(expit(scores), dtype=np.float64)
