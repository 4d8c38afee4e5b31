"""Area under the ROC curve, plain and under many weightings of the same cases at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from medtransfer.core.task_kind import TaskKind
from medtransfer.metrics.metric import ClassScores, FloatArray, quoted
from medtransfer.metrics.predictions import ClassificationPredictions
from medtransfer.metrics.ratios import ratio
from medtransfer.metrics.truth import class_truth, known_classes
from medtransfer.metrics.volumes import Volumes

FEW_POSITIVES = 10
"""A class with fewer positive cases is named in the note."""
_MANY_DRAWS = 48
"""Weightings from which on going through the cases pays."""


def weighted_auc(scores: FloatArray, positive: npt.NDArray[np.bool_], weights: FloatArray) -> FloatArray:
    """Return the AUC under each weighting: the chance that a positive outscores a negative, ties half.

    Many weightings are gone through case by case in the order of the scores, all draws at once: the
    rarer class collects what the other one has summed up below it. That needs a case's weights to lie
    side by side: weights in another layout are copied once (8 B N bytes), else memory grows with B only.
    With a few weightings a cumulated sum per draw is faster. Whole-number weights are summed exactly,
    so both ways give the same digits.

    Args:
        scores: Higher means more likely positive, shape (N,), finite.
        positive: Truth, shape (N,).
        weights: Weight of each case in each draw, shape (B, N), non-negative.

    Returns:
        AUC in [0, 1], shape (B,), NaN where a draw has no positive or no negative.

    Reference:
        Hanley and McNeil, "The meaning and use of the area under a receiver operating
        characteristic (ROC) curve", Radiology 143, 1982.

    Example:
        >>> weighted_auc(np.array([.1, .4, .35, .8]), np.array([0, 0, 1, 1], bool), np.ones((1, 4)))
        array([0.75])
    """
    if len(weights) < _MANY_DRAWS:
        return _draw_by_draw(scores, positive, weights)
    of_case = weights.T
    if of_case.strides[1] != of_case.itemsize:
        of_case = np.ascontiguousarray(of_case)
    if 2 * np.count_nonzero(positive) > len(positive):  # from above, negatives collect positives
        return _case_by_case(-scores, positive, of_case)
    return _case_by_case(scores, ~positive, of_case)


def _draw_by_draw(scores: FloatArray, positive: npt.NDArray[np.bool_], weights: FloatArray) -> FloatArray:
    """Sort negatives once; the weight of those below a positive is two look-ups in a cumulated sum per draw."""
    negatives = np.flatnonzero(~positive)
    negatives = negatives[np.argsort(scores[negatives], kind="stable")]
    positives = np.flatnonzero(positive)
    cumulated = np.zeros((len(weights), len(negatives) + 1))
    np.cumsum(weights[:, negatives], axis=1, out=cumulated[:, 1:])
    lower = np.searchsorted(scores[negatives], scores[positives], side="left")
    upper = np.searchsorted(scores[negatives], scores[positives], side="right")
    of_positives = weights[:, positives]
    outscored = np.einsum("bp,bp->b", of_positives, cumulated[:, lower])
    outscored += np.einsum("bp,bp->b", of_positives, cumulated[:, upper])
    return ratio(outscored, 2 * of_positives.sum(axis=1) * cumulated[:, -1])


def _case_by_case(scores: FloatArray, common: npt.NDArray[np.bool_], of_case: FloatArray) -> FloatArray:
    """Return the chance that a case of the rare class outscores one of the common class, ties half.

    Args:
        scores: Shape (N,).
        common: Whether a case is of the common class, whose weights are summed up, shape (N,).
        of_case: Weights, shape (N, B), those of a case side by side.
    """
    order = np.argsort(scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=np.inf)) + 1
    cases, is_common = order.tolist(), common[order].tolist()
    below, won, rare, product = np.zeros((4, of_case.shape[1]))
    start = 0
    for stop in ends.tolist():
        if stop - start > 1:
            tied = order[start:stop]
            _add_tied(of_case, tied[common[tied]], tied[~common[tied]], (below, won, rare))
        elif is_common[start]:
            np.add(below, of_case[cases[start]], out=below)
        else:
            weight = of_case[cases[start]]
            np.multiply(below, weight, out=product)
            np.add(won, product, out=won)
            np.add(rare, weight, out=rare)
        start = stop
    return ratio(won, rare * below)


def _add_tied(
    of_case: FloatArray,
    of_common: npt.NDArray[np.int64],
    of_rare: npt.NDArray[np.int64],
    sums: tuple[FloatArray, FloatArray, FloatArray],
) -> None:
    """Add cases of one score: a rare one wins against all below and half of the common ones beside it."""
    below, won, rare = sums
    tied_common, tied_rare = np.zeros((2, len(below)))
    for case in of_common.tolist():
        tied_common += of_case[case]
    for case in of_rare.tolist():
        tied_rare += of_case[case]
    won += tied_rare * (below + 0.5 * tied_common)
    below += tied_common
    rare += tied_rare


def _unweighted_aucs(scores: FloatArray, truth: npt.NDArray[np.bool_]) -> FloatArray:
    """Return the AUC of every column, shape (C,), from the ranks of its scores.

    Ranks are halves of whole numbers and summed exactly, so the digits are those of :func:`weighted_auc`.
    """
    from scipy.stats import rankdata  # not at the top: commands that score nothing start without it

    positives = truth.sum(axis=0)
    twice_ranks = np.where(truth, 2 * rankdata(scores, axis=0), 0).sum(axis=0)
    outscored = twice_ranks - positives * (positives + 1)
    return ratio(outscored, 2.0 * positives * (len(truth) - positives))


def score_auc(
    predictions: ClassificationPredictions, weights: FloatArray, *, only_scored: bool = False
) -> ClassScores:
    """Return the AUC of the positive class of a binary task, else of each class against the rest.

    A case whose label of a class is not known does not count for that class.

    Args:
        predictions: N cases, C classes.
        weights: Weight of each case in each draw, shape (B, N).
        only_scored: Whether only the scored classes count, where the task names some.
    """
    first = 1 if predictions.kind is TaskKind.BINARY else 0
    wanted = set(predictions.scored) if only_scored and predictions.scored else set(predictions.classes)
    columns = [k for k in range(first, len(predictions.classes)) if predictions.classes[k] in wanted]
    truth, known = class_truth(predictions)[:, columns], known_classes(predictions)
    scores, names = predictions.scores[:, columns], [predictions.classes[k] for k in columns]
    if known is None and len(weights) == 1 and (weights == 1).all():
        areas = list(_unweighted_aucs(scores, truth)[:, np.newaxis])
    else:
        areas = _areas(scores, truth, None if known is None else known[:, columns], weights)
    return _class_scores(names, areas, truth.sum(axis=0), "case")


def score_volume_auc(predictions: ClassificationPredictions, weights: FloatArray) -> ClassScores:
    """Return the AUC over volumes: a volume has a class when a slice has it, and its slices' highest score.

    A volume of which no slice is known to have a class, and not every slice to lack it, does not count
    for that class.

    Args:
        predictions: N slices, C classes.
        weights: Weight of each slice in each draw, shape (B, N); a volume weighs the mean of its slices.

    Raises:
        UsageError: If the cases are not slices of volumes.
    """
    volumes = Volumes.of(predictions.volume_ids, "AUC per volume")
    first = 1 if predictions.kind is TaskKind.BINARY else 0
    truth = volumes.highest(class_truth(predictions)[:, first:].astype(np.float64)) > 0
    scores = volumes.highest(predictions.scores[:, first:])
    known = known_classes(predictions)
    if known is not None:
        known = truth | (volumes.highest((~known[:, first:]).astype(np.float64)) == 0)
    areas = _areas(scores, truth, known, volumes.mean_weights(weights))
    return _class_scores(predictions.classes[first:], areas, truth.sum(axis=0), "volume")


def _areas(
    scores: FloatArray,
    truth: npt.NDArray[np.bool_],
    known: npt.NDArray[np.bool_] | None,
    weights: FloatArray,
) -> list[FloatArray]:
    """Return the AUC of each of C classes under B weightings, each over the N cases known for it; None is all."""
    of_class = [slice(None) if known is None else np.flatnonzero(known[:, k]) for k in range(truth.shape[1])]
    return [
        weighted_auc(scores[rows, k], truth[rows, k], weights.T[rows].T) for k, rows in enumerate(of_class)
    ]


def _class_scores(
    names: Sequence[str], areas: list[FloatArray], support: npt.NDArray[np.int64], unit: str
) -> ClassScores:
    few = [f"{name} ({n})" for name, n in zip(names, support, strict=True) if 0 < n < FEW_POSITIVES]
    return ClassScores(
        values=np.stack(areas, axis=1),
        names=tuple(names),
        support=tuple(int(n) for n in support),
        notes=(f"fewer than {FEW_POSITIVES} positive {unit}s: {quoted(few)}",) if few else (),
    )
