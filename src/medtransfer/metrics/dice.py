"""Dice overlap from pixel counts: per case and then averaged, or pooled over all cases."""

from __future__ import annotations

import numpy as np

from medtransfer.core.errors import ShapeError, UsageError
from medtransfer.metrics.metric import ClassScores, FloatArray
from medtransfer.metrics.predictions import SegmentationPredictions
from medtransfer.metrics.ratios import ratio, weighted_sums
from medtransfer.metrics.volumes import Volumes

WHOLE_IMAGE = "image"
FIELD_OF_VIEW = "field-of-view"
BATCH = 128
"""Cases per batch of :func:`score_batched_dice`."""


def overlap(counts: FloatArray) -> FloatArray:
    """Return the Dice overlap of pixel counts.

    Args:
        counts: True positive, false positive and false negative pixels in the last axis, shape (..., 3).

    Returns:
        2 TP / (2 TP + FP + FN) in [0, 1], shape (...); 1 where both masks are empty.

    Reference:
        Dice, "Measures of the amount of ecologic association between species", Ecology 26, 1945.

    Example:
        >>> overlap(np.array([[2, 1, 1], [0, 0, 0]])).round(6)
        array([0.666667, 1.      ])
    """
    union = 2.0 * counts[..., 0] + counts[..., 1] + counts[..., 2]
    return np.where(union == 0, 1.0, ratio(2.0 * counts[..., 0], union))


def score_dice(predictions: SegmentationPredictions, weights: FloatArray, *, region: str) -> ClassScores:
    """Return the mean over cases of each class's Dice.

    Args:
        predictions: N cases, C foreground classes.
        weights: Weight of each case in each draw, shape (B, N).
        region: Where pixels count.

    Raises:
        UsageError: If pixels were not counted in that region.
    """
    counts = _counts(predictions, region)
    means = ratio(weighted_sums(weights, overlap(counts)), weights.sum(axis=1, keepdims=True))
    return _class_scores(predictions, counts, means)


def score_pooled_dice(
    predictions: SegmentationPredictions, weights: FloatArray, *, region: str
) -> ClassScores:
    """Return the Dice of each class over the pixels of all cases in one count.

    Args:
        predictions: N cases, C foreground classes.
        weights: Weight of each case in each draw, shape (B, N).
        region: Where pixels count.

    Raises:
        UsageError: If pixels were not counted in that region.
    """
    counts = _counts(predictions, region)
    pooled = weighted_sums(weights, counts.reshape(len(counts), -1)).reshape(len(weights), *counts.shape[1:])
    values = overlap(pooled)
    values[weights.sum(axis=1) == 0] = np.nan
    return _class_scores(predictions, counts, values)


def score_nonempty_dice(
    predictions: SegmentationPredictions, weights: FloatArray, *, region: str
) -> ClassScores:
    """Return each class's mean Dice over the cases whose true mask has it.

    Args:
        predictions: N cases, C foreground classes.
        weights: Weight of each case in each draw, shape (B, N).
        region: Where pixels count.

    Raises:
        UsageError: If pixels were not counted in that region.
    """
    counts = _counts(predictions, region)
    shown = (counts[..., 0] + counts[..., 2] > 0).astype(np.float64)
    means = ratio(weighted_sums(weights, overlap(counts) * shown), weighted_sums(weights, shown))
    return _class_scores(predictions, counts, means)


def score_volume_dice(
    predictions: SegmentationPredictions, weights: FloatArray, *, region: str
) -> ClassScores:
    """Return the mean over volumes of each class's Dice, a volume's pixels being those of all its slices.

    Args:
        predictions: N slices, C foreground classes.
        weights: Weight of each slice in each draw, shape (B, N); a volume weighs the mean of its slices.
        region: Where pixels count.

    Raises:
        UsageError: If pixels were not counted in that region, or the cases are not slices of volumes.
    """
    counts = _counts(predictions, region)
    volumes = Volumes.of(predictions.volume_ids, "Dice per volume")
    of_volumes, by_volume = volumes.mean_weights(weights), volumes.sums(counts)
    means = ratio(weighted_sums(of_volumes, overlap(by_volume)), of_volumes.sum(axis=1, keepdims=True))
    return _class_scores(predictions, by_volume, means, unit="volumes")


def score_batched_dice(
    predictions: SegmentationPredictions, weights: FloatArray, *, region: str
) -> ClassScores:
    """Return the mean over batches of 128 cases of each class's Dice over the pixels of the batch.

    It depends on the order and the number of cases; only for comparison with results computed this
    way. A batch without the class in truth and prediction does not count.

    Args:
        predictions: N cases in their order, C foreground classes.
        weights: Weight of each case in each draw, shape (B, N).
        region: Where pixels count.

    Raises:
        UsageError: If pixels were not counted in that region.
    """
    counts = _counts(predictions, region)
    parts = []
    for start in range(0, len(counts), BATCH):
        rows = slice(start, start + BATCH)
        flat = counts[rows].reshape(len(counts[rows]), -1)
        pooled = weighted_sums(weights[:, rows], flat).reshape(len(weights), *counts.shape[1:])
        empty = pooled.sum(axis=-1) == 0
        parts.append(np.where(empty, np.nan, overlap(pooled)))
    values = np.stack(parts)
    defined = np.isfinite(values)
    means = ratio(np.where(defined, values, 0.0).sum(axis=0), defined.sum(axis=0).astype(np.float64))
    return _class_scores(predictions, counts, means)


def _counts(predictions: SegmentationPredictions, region: str) -> FloatArray:
    """Return the counts of one region, shape (N, C, 3)."""
    if region not in predictions.regions:
        raise UsageError(
            f"Dice: expected pixels counted in the region {region!r}, got only {list(predictions.regions)!r}. "
            "Declare a field of view in the task, or choose a metric of the whole image."
        )
    counts = predictions.counts[:, predictions.regions.index(region)]
    if counts.size and counts.min() < 0:
        raise ShapeError(f"counts: expected pixel numbers of at least 0, got {int(counts.min())}.")
    return counts.astype(np.float64)


def _class_scores(
    predictions: SegmentationPredictions, counts: FloatArray, values: FloatArray, unit: str = "cases"
) -> ClassScores:
    support = (counts[..., 0] + counts[..., 2] > 0).sum(axis=0)
    cases = len(counts)
    notes = [
        f"{name!r}: the true mask is empty in {cases - n} of {cases} {unit}"
        for name, n in zip(predictions.classes, support, strict=True)
        if n < cases
    ]
    return ClassScores(
        values=values, names=predictions.classes, support=tuple(int(n) for n in support), notes=tuple(notes)
    )
