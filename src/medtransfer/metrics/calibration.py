"""Whether predicted probabilities are true: reliability curves, calibration error and Brier score for reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import ShapeError
from medtransfer.core.task_kind import TaskKind
from medtransfer.metrics.metric import FloatArray
from medtransfer.metrics.predictions import ClassificationPredictions
from medtransfer.metrics.truth import class_truth, known_classes

BinRule = Literal["equal-width", "equal-mass"]
"""Bins of one width over [0, 1], or bins of as many predictions each."""

BINS = 15
"""Number of bins unless another one is asked for."""


@dataclass(frozen=True)
class ReliabilityCurve:
    """Predicted probability against observed frequency, over the bins that hold a prediction."""

    rule: BinRule
    """How the bins were cut."""
    bins: int
    """Number of bins that were asked for."""
    predicted: tuple[float, ...]
    """Mean predicted probability of each bin, in [0, 1], rising."""
    observed: tuple[float, ...]
    """Share of true predictions in each bin, in [0, 1]."""
    counts: tuple[int, ...]
    """Number of predictions in each bin, at least 1."""

    @property
    def error_id(self) -> str:
        """Name of the calibration error with its bin rule, such as ``ece-equal-width-15``."""
        return f"ece-{self.rule}-{self.bins}"

    @property
    def predictions(self) -> int:
        """Number of predictions in all bins."""
        return sum(self.counts)

    @property
    def expected_error(self) -> float:
        """Expected calibration error, in [0, 1]: mean gap of the bins, weighted by their predictions.

        It depends on the bins, falls with fewer of them, and is above 0 by chance even for true
        probabilities: compare only values of one id and one number of predictions.
        """
        gaps = np.abs(np.array(self.predicted) - np.array(self.observed))
        return float(np.average(gaps, weights=self.counts))

    @property
    def largest_error(self) -> float:
        """Largest gap of a bin, in [0, 1]."""
        return float(np.max(np.abs(np.array(self.predicted) - np.array(self.observed))))


def reliability_curve(
    predictions: ClassificationPredictions, rule: BinRule = "equal-width", bins: int = BINS
) -> ReliabilityCurve:
    """Return the reliability curve of one split.

    Which probabilities count depends on the kind of task: of a binary task that of the positive class; of
    exclusive classes that of the predicted class, true where it is right (of equal scores the first is
    predicted); of a multi-label task those of all classes together, without labels that are not known.

    Args:
        predictions: N cases.
        rule: ``equal-width``: [0, 1/bins], then half-open upwards, (1/bins, 2/bins] and so on;
            ``equal-mass``: as many predictions per bin as can be, cut between different probabilities.
        bins: Number of bins, at least 1.

    Raises:
        ShapeError: If there is no labelled case, a score is no probability, or there is no bin.

    Reference:
        Guo et al., "On calibration of modern neural networks", ICML 2017 (equal width); Nguyen and
        O'Connor, "Posterior calibration and exploratory analysis for natural language processing
        models", EMNLP 2015 (equal mass).
    """
    if bins < 1:
        raise ShapeError(f"reliability curve: expected one bin at least, got {bins!r}.")
    probabilities, right = _claims(predictions)
    places = _by_width(probabilities, bins) if rule == "equal-width" else _by_mass(probabilities, bins)
    counts = np.bincount(places)
    held = np.flatnonzero(counts)
    means, shares = (
        np.bincount(places, weights=values)[held] / counts[held]
        for values in (probabilities, right.astype(np.float64))
    )
    return ReliabilityCurve(
        rule=rule,
        bins=bins,
        predicted=tuple(means.tolist()),
        observed=tuple(shares.tolist()),
        counts=tuple(int(n) for n in counts[held]),
    )


def class_reliability_curves(
    predictions: ClassificationPredictions, rule: BinRule = "equal-width", bins: int = BINS
) -> dict[str, ReliabilityCurve]:
    """Return the reliability curve of each class against the rest, by class name; of binary tasks one.

    Classes without a known label are left out.

    Args:
        predictions: N cases, C classes.
        rule: As for :func:`reliability_curve`.
        bins: Number of bins, at least 1.

    Raises:
        ShapeError: If there is no case, a score is no probability, or there is no bin.
    """
    known, truth = known_classes(predictions), class_truth(predictions)
    first = 1 if predictions.kind is TaskKind.BINARY else 0
    curves = {}
    for k in range(first, len(predictions.classes)):
        rows = np.arange(len(truth)) if known is None else np.flatnonzero(known[:, k])
        if len(rows):
            curves[predictions.classes[k]] = reliability_curve(
                _one_class(predictions, truth, rows, k), rule, bins
            )
    return curves


def brier_score(predictions: ClassificationPredictions) -> float:
    """Return the mean squared error of the probabilities; lower is better.

    Binary: of the positive class, in [0, 1]. Exclusive classes: summed over the classes of a case, in
    [0, 2]. Multi-label: mean over all known labels, in [0, 1].

    Args:
        predictions: N cases.

    Raises:
        ShapeError: If there is no labelled case or a score is no probability.

    Reference:
        Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78,
        1950 (whose own form sums over the classes).
    """
    _check(predictions)
    truth, known = class_truth(predictions), known_classes(predictions)
    squares = (predictions.scores - truth) ** 2
    if predictions.kind is TaskKind.BINARY:
        return float(squares[:, 1].mean())
    if predictions.kind is TaskKind.MULTI_CLASS:
        return float(squares.sum(axis=1).mean())
    return float((squares if known is None else squares[known]).mean())


def _claims(predictions: ClassificationPredictions) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Return the probabilities that count, and whether what they claim is true, one-dimensional."""
    _check(predictions)
    truth, known = class_truth(predictions), known_classes(predictions)
    if predictions.kind is TaskKind.BINARY:
        return predictions.scores[:, 1], truth[:, 1]
    if predictions.kind is TaskKind.MULTI_CLASS:
        rows, best = np.arange(len(truth)), predictions.scores.argmax(axis=1)
        return predictions.scores[rows, best], truth[rows, best]
    chosen = np.ones_like(truth) if known is None else known
    return predictions.scores[chosen], truth[chosen]


def _check(predictions: ClassificationPredictions) -> None:
    scores, known = predictions.scores, known_classes(predictions)
    if not scores.size or (known is not None and not known.any()):
        raise ShapeError("calibration: expected at least one labelled case, got none. Check the split.")
    if scores.min() < 0 or scores.max() > 1:
        raise ShapeError(
            f"calibration: expected probabilities in [0, 1], got {scores.min():.4g} to {scores.max():.4g}. "
            "Scores that are no probabilities have no calibration."
        )


def _one_class(
    predictions: ClassificationPredictions, truth: npt.NDArray[np.bool_], rows: npt.NDArray[np.int64], k: int
) -> ClassificationPredictions:
    """Return one class against the rest as binary predictions."""
    score = predictions.scores[rows, k]
    return ClassificationPredictions(
        kind=TaskKind.BINARY,
        classes=("rest", predictions.classes[k]),
        case_ids=tuple(predictions.case_ids[row] for row in rows),
        patient_ids=tuple(predictions.patient_ids[row] for row in rows),
        labels=truth[rows, k].astype(np.int64),
        scores=np.stack([1 - score, score], axis=1),
    )


def _by_width(probabilities: FloatArray, bins: int) -> npt.NDArray[np.int64]:
    edges = np.linspace(0, 1, bins + 1)[1:-1]
    return np.asarray(np.searchsorted(edges, probabilities, side="left"), dtype=np.int64)


def _by_mass(probabilities: FloatArray, bins: int) -> npt.NDArray[np.int64]:
    """Cut at the quantiles; equal probabilities never fall into two bins."""
    ordered = np.sort(probabilities)
    places = np.arange(1, bins) * len(ordered) // bins
    edges = np.unique(ordered[places])  # a bin begins at its edge
    return np.asarray(np.searchsorted(edges, probabilities, side="right"), dtype=np.int64)
