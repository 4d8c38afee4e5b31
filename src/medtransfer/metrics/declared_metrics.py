"""Every metric a task can name, and the two ways to compute them: once, or under many weightings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from medtransfer.core.registry import Registry
from medtransfer.core.task_kind import TaskKind
from medtransfer.metrics.accuracy import score_accuracy, score_balanced_accuracy
from medtransfer.metrics.confusion import score_macro_f1, score_matthews
from medtransfer.metrics.dice import (
    FIELD_OF_VIEW,
    WHOLE_IMAGE,
    score_batched_dice,
    score_dice,
    score_nonempty_dice,
    score_pooled_dice,
    score_volume_dice,
)
from medtransfer.metrics.metric import ClassScores, FloatArray, Metric, MetricValue
from medtransfer.metrics.predictions import Predictions
from medtransfer.metrics.roc_auc import score_auc, score_volume_auc

__all__ = ["ClassScores", "Metric", "MetricValue", "compute_metrics", "metrics", "resampled"]

metrics: Registry[Metric] = Registry("metric", see="medtransfer.metrics.declared_metrics")
"""All metrics by name."""

_EXCLUSIVE = frozenset({TaskKind.BINARY, TaskKind.MULTI_CLASS})
_DICE_EDGES = "Both masks empty: 1. One mask empty: 0."


def compute_metrics(names: Iterable[str], predictions: Predictions) -> dict[str, MetricValue]:
    """Return the named metrics of one split, in the order of the names.

    Raises:
        NotRegisteredError: If a name is not a metric.
        UsageError: If a metric does not apply to these predictions.
    """
    return {name: metrics.get(name).compute(predictions) for name in names}


def resampled(name: str, predictions: Predictions, weights: npt.NDArray[Any]) -> FloatArray:
    """Return a metric under each of B weightings of the cases, for bootstraps.

    Args:
        name: Registry name of the metric.
        predictions: N cases.
        weights: How often each case is in each draw, shape (B, N), integers of at least 0.

    Returns:
        Values, shape (B,), NaN where a draw lacks a class the metric needs.

    Raises:
        NotRegisteredError: If the name is not a metric.
        UsageError: If the metric does not apply to these predictions.
        ShapeError: If the weights do not fit the cases.
    """
    return metrics.get(name).resampled(predictions, np.asarray(weights))


metrics.add(
    "auc",
    Metric(
        name="auc",
        title="AUC",
        version=1,
        kinds=frozenset({TaskKind.BINARY, TaskKind.MULTI_CLASS, TaskKind.MULTI_LABEL}),
        lower=0.0,
        upper=1.0,
        higher_is_better=True,
        edge_policy=(
            "Ties count half. Several classes: each against the rest, mean over the classes that have "
            "positive and negative cases; the others are null, never 0 or 0.5."
        ),
        undefined_when="its labels are all positive or all negative",
        score=score_auc,
    ),
)
metrics.add(
    "auc-scored",
    Metric(
        name="auc-scored",
        title="AUC, scored classes",
        version=1,
        kinds=frozenset({TaskKind.MULTI_LABEL}),
        lower=0.0,
        upper=1.0,
        higher_is_better=True,
        edge_policy="As AUC, over the classes the task scores; over all where it names none.",
        undefined_when="its labels are all positive or all negative",
        score=partial(score_auc, only_scored=True),
    ),
)
metrics.add(
    "auc-volume",
    Metric(
        name="auc-volume",
        title="AUC per volume",
        version=1,
        kinds=frozenset({TaskKind.BINARY, TaskKind.MULTI_LABEL}),
        lower=0.0,
        upper=1.0,
        higher_is_better=True,
        edge_policy=(
            "A volume has a class when one of its slices has it; its score is the highest of its slices. "
            "Else as AUC."
        ),
        undefined_when="the volumes' labels are all positive or all negative",
        score=score_volume_auc,
        needs="volumes",
    ),
)
metrics.add(
    "accuracy",
    Metric(
        name="accuracy",
        title="Accuracy",
        version=1,
        kinds=_EXCLUSIVE,
        lower=0.0,
        upper=1.0,
        higher_is_better=True,
        edge_policy="The most probable class is predicted; of equal scores the first.",
        undefined_when="there are no cases",
        score=score_accuracy,
    ),
)
metrics.add(
    "balanced-accuracy",
    Metric(
        name="balanced-accuracy",
        title="Balanced accuracy",
        version=1,
        kinds=_EXCLUSIVE,
        lower=0.0,
        upper=1.0,
        higher_is_better=True,
        edge_policy=(
            "Mean recall over the classes that occur in the labels; a class that is predicted but does not "
            "occur is named in the note. Of equal scores the first class is predicted."
        ),
        undefined_when="no case has the label",
        score=score_balanced_accuracy,
    ),
)
metrics.add(
    "f1-macro",
    Metric(
        name="f1-macro",
        title="F1, macro",
        version=1,
        kinds=_EXCLUSIVE,
        lower=0.0,
        upper=1.0,
        higher_is_better=True,
        edge_policy=(
            "Mean over the classes of the full list that occur in the labels or the predictions; the others "
            "are null, never 0. Of equal scores the first class is predicted."
        ),
        undefined_when="no case has the label or is predicted to have it",
        score=score_macro_f1,
    ),
)
metrics.add(
    "mcc",
    Metric(
        name="mcc",
        title="Matthews correlation",
        version=1,
        kinds=_EXCLUSIVE,
        lower=-1.0,
        upper=1.0,
        higher_is_better=True,
        edge_policy=(
            "Null, not 0, where all labels or all predictions are one class. Of equal scores the first class "
            "is predicted."
        ),
        undefined_when="all labels or all predictions are of one class",
        score=score_matthews,
    ),
)


def _add_dice(
    name: str,
    title: str,
    how: str,
    score: Callable[..., ClassScores],
    *,
    region: str = WHOLE_IMAGE,
    undefined_when: str = "there are no cases",
    needs: Literal["", "volumes", "field-of-view"] = "",
) -> None:
    metric = Metric(
        name=name,
        title=title,
        version=1,
        kinds=frozenset({TaskKind.SEGMENTATION}),
        lower=0.0,
        upper=1.0,
        higher_is_better=True,
        edge_policy=how,
        undefined_when=undefined_when,
        score=partial(score, region=region),
        needs=needs,
    )
    metrics.add(name, metric)


_PER_CASE = f"Per case, mean over cases, then mean over classes. {_DICE_EDGES}"
_POOLED = f"All pixels of the split in one count per class, then mean over classes. {_DICE_EDGES}"

_add_dice("dice", "Dice", _PER_CASE, score_dice)
_add_dice("dice-pooled", "Dice, pooled", _POOLED, score_pooled_dice)
_add_dice(
    "dice-fov",
    "Dice in the field of view",
    _PER_CASE,
    score_dice,
    region=FIELD_OF_VIEW,
    needs="field-of-view",
)
_add_dice(
    "dice-pooled-fov",
    "Dice in the field of view, pooled",
    _POOLED,
    score_pooled_dice,
    region=FIELD_OF_VIEW,
    needs="field-of-view",
)
_add_dice(
    "dice-nonempty",
    "Dice, non-empty masks",
    "Per case whose true mask has the class, mean over these cases, then mean over classes.",
    score_nonempty_dice,
    undefined_when="every true mask is empty",
)
_add_dice(
    "dice-volume",
    "Dice per volume",
    f"All slices of a volume in one count, mean over volumes, then mean over classes. {_DICE_EDGES}",
    score_volume_dice,
    needs="volumes",
)
_add_dice(
    "dice-batch128-compat",
    "Dice, batches of 128",
    "Pixels of 128 cases in one count, mean over the batches that have any, then mean over classes. "
    "Depends on the order of the cases: only for comparison with results computed this way.",
    score_batched_dice,
    undefined_when="truth and prediction are empty everywhere",
)
