"""Macro F1 and Matthews' correlation of the most probable class."""

from __future__ import annotations

import numpy as np

from medtransfer.metrics.accuracy import predicted_classes
from medtransfer.metrics.metric import ClassScores, FloatArray
from medtransfer.metrics.predictions import ClassificationPredictions
from medtransfer.metrics.ratios import ratio, weighted_sums
from medtransfer.metrics.truth import class_truth


def score_macro_f1(predictions: ClassificationPredictions, weights: FloatArray) -> ClassScores:
    """Return the F1 of each class of the full list; one that is neither in truth nor predicted has none.

    Args:
        predictions: N cases of C exclusive classes; of equal scores the first class is predicted.
        weights: Weight of each case in each draw, shape (B, N).
    """
    truth, predicted = class_truth(predictions), predicted_classes(predictions)
    both = weighted_sums(weights, truth & predicted)
    either = weighted_sums(weights, truth) + weighted_sums(weights, predicted)
    return ClassScores(
        values=ratio(2 * both, either),
        names=predictions.classes,
        support=tuple(int(n) for n in truth.sum(axis=0)),
    )


def score_matthews(predictions: ClassificationPredictions, weights: FloatArray) -> ClassScores:
    """Return the correlation between true and predicted classes, in [-1, 1].

    Args:
        predictions: N cases of C exclusive classes; of equal scores the first class is predicted.
        weights: Weight of each case in each draw, shape (B, N).

    Reference:
        Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient",
        Computational Biology and Chemistry 28, 2004.
    """
    truth, predicted = class_truth(predictions), predicted_classes(predictions)
    of_truth, of_predicted = weighted_sums(weights, truth), weighted_sums(weights, predicted)
    right, total = weighted_sums(weights, truth & predicted).sum(axis=1), of_truth.sum(axis=1)
    covariance = right * total - (of_truth * of_predicted).sum(axis=1)
    spread = (total**2 - (of_truth**2).sum(axis=1)) * (total**2 - (of_predicted**2).sum(axis=1))
    return ClassScores(values=ratio(covariance, np.sqrt(np.maximum(spread, 0.0)))[:, None])
