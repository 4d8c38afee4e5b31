"""Every metric a task can name, and the two ways to compute them: once, or under many weightings."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from medtransfer.core.registry import Registry
from medtransfer.core.task_kind import TaskKind
from medtransfer.metrics.accuracy import score_accuracy, score_balanced_accuracy
from medtransfer.metrics.dice import FIELD_OF_VIEW, WHOLE_IMAGE, score_dice, score_pooled_dice
from medtransfer.metrics.metric import ClassScores, FloatArray, Metric, MetricValue
from medtransfer.metrics.predictions import Predictions
from medtransfer.metrics.roc_auc import score_auc

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


def _add_dice(name: str, title: str, pooled: bool, region: str) -> None:
    how = (
        "All pixels of the split in one count per class, then mean over classes."
        if pooled
        else "Per case, mean over cases, then mean over classes."
    )
    metric = Metric(
        name=name,
        title=title,
        version=1,
        kinds=frozenset({TaskKind.SEGMENTATION}),
        lower=0.0,
        upper=1.0,
        higher_is_better=True,
        edge_policy=f"{how} {_DICE_EDGES}",
        undefined_when="there are no cases",
        score=partial(score_pooled_dice if pooled else score_dice, region=region),
    )
    metrics.add(name, metric)


_add_dice("dice", "Dice", pooled=False, region=WHOLE_IMAGE)
_add_dice("dice-pooled", "Dice, pooled", pooled=True, region=WHOLE_IMAGE)
_add_dice("dice-fov", "Dice in the field of view", pooled=False, region=FIELD_OF_VIEW)
_add_dice("dice-pooled-fov", "Dice in the field of view, pooled", pooled=True, region=FIELD_OF_VIEW)
