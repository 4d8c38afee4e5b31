"""Accuracy and balanced accuracy of the most probable class."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medtransfer.metrics.metric import ClassScores, FloatArray, quoted
from medtransfer.metrics.predictions import ClassificationPredictions
from medtransfer.metrics.ratios import ratio, weighted_sums
from medtransfer.metrics.truth import class_truth


def score_accuracy(predictions: ClassificationPredictions, weights: FloatArray) -> ClassScores:
    """Return the share of cases whose most probable class is the true one.

    Args:
        predictions: N cases of exclusive classes; of equal scores the first class is predicted.
        weights: Weight of each case in each draw, shape (B, N).
    """
    right = np.any(class_truth(predictions) & predicted_classes(predictions), axis=1, keepdims=True)
    return ClassScores(values=ratio(weighted_sums(weights, right), weights.sum(axis=1, keepdims=True)))


def score_balanced_accuracy(predictions: ClassificationPredictions, weights: FloatArray) -> ClassScores:
    """Return the recall of each class; a class without cases has none.

    Args:
        predictions: N cases of C exclusive classes; of equal scores the first class is predicted.
        weights: Weight of each case in each draw, shape (B, N).
    """
    truth, predicted = class_truth(predictions), predicted_classes(predictions)
    support = truth.sum(axis=0)
    surplus = [
        f"{name} ({n})"
        for name, n, cases in zip(predictions.classes, predicted.sum(axis=0), support, strict=True)
        if n and not cases
    ]
    return ClassScores(
        values=ratio(weighted_sums(weights, truth & predicted), weighted_sums(weights, truth)),
        names=predictions.classes,
        support=tuple(int(n) for n in support),
        notes=(f"predicted though absent from the labels: {quoted(surplus)}",) if surplus else (),
    )


def predicted_classes(predictions: ClassificationPredictions) -> npt.NDArray[np.bool_]:
    """Return the most probable class of each case as (N, C) truth values."""
    best: npt.NDArray[np.bool_] = predictions.scores.argmax(axis=1)[:, None] == np.arange(
        len(predictions.classes)
    )
    return best
