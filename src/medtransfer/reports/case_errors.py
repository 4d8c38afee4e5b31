"""How wrong each result is on each test case: what is kept of predictions to find the worst cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from medtransfer.core.task_kind import TaskKind
from medtransfer.metrics.dice import FIELD_OF_VIEW, overlap
from medtransfer.metrics.predictions import ClassificationPredictions, FloatArray, Predictions
from medtransfer.metrics.truth import class_truth, known_classes
from medtransfer.reports.subjects import ReportTask


@dataclass(frozen=True)
class ModelErrors:
    """One cell on N test cases, its runs averaged; seven bytes a case."""

    error: npt.NDArray[np.float32]
    """(N,) error in [0, 1], see :func:`case_errors`; NaN where no label of the case is known."""
    shown: npt.NDArray[np.int16]
    """(N,) class that is predicted; of several labels the one that is furthest from the truth; else -1."""
    wrong: npt.NDArray[np.bool_]
    """(N,) whether the shown class is not right; never for masks, which are more or less right."""


@dataclass(frozen=True)
class CaseErrors:
    """The cells of one row on the same test cases."""

    case_ids: tuple[str, ...]
    """N case ids, sorted."""
    truth: npt.NDArray[Any] | None
    """(N,) class numbers, or (N, C) labels with NaN where not known; None for masks."""
    by_model: Mapping[str, ModelErrors] = field(default_factory=dict)
    """By model key."""


def case_errors(task: ReportTask, runs: Sequence[Predictions]) -> ModelErrors:
    """Return how wrong a cell is on each case, from the mean over its runs.

    The error of a case is one minus the probability of its true class; for several labels, the mean
    distance between label and probability over the labels that are known and scored; for masks, one
    minus the Dice of the case, mean over classes, in the region the primary metric looks at.

    Args:
        task: The task.
        runs: Predictions of the same N cases, at least one.
    """
    first = runs[0]
    if isinstance(first, ClassificationPredictions):
        scores = np.mean([run.scores for run in runs if isinstance(run, ClassificationPredictions)], axis=0)
        if first.kind is TaskKind.MULTI_LABEL:
            return _of_labels(first, scores)
        return _of_classes(first, scores)
    error = 1 - np.mean([_dice(task, run) for run in runs], axis=0)
    return _kept(error, np.full(len(error), -1), np.zeros(len(error), dtype=bool))


def _of_classes(predictions: ClassificationPredictions, scores: FloatArray) -> ModelErrors:
    truth = class_truth(predictions).argmax(axis=1)
    shown = scores.argmax(axis=1)
    return _kept(1 - scores[np.arange(len(truth)), truth], shown, shown != truth)


def _of_labels(predictions: ClassificationPredictions, scores: FloatArray) -> ModelErrors:
    known = known_classes(predictions)
    counted = np.ones(scores.shape, dtype=bool) if known is None else known.copy()
    if predictions.scored:
        counted &= np.isin(predictions.classes, predictions.scored)
    distance = np.where(counted, np.abs(class_truth(predictions) - scores), 0.0)
    number = counted.sum(axis=1)
    error = np.where(number > 0, distance.sum(axis=1) / np.maximum(number, 1), np.nan)
    furthest = np.where(number > 0, distance.argmax(axis=1), -1)
    return _kept(error, furthest, distance.max(axis=1) > 0.5)


def _dice(task: ReportTask, predictions: Predictions) -> FloatArray:
    assert not isinstance(predictions, ClassificationPredictions)
    in_field = task.primary.needs == FIELD_OF_VIEW and FIELD_OF_VIEW in predictions.regions
    region = predictions.regions.index(FIELD_OF_VIEW) if in_field else 0
    return np.asarray(overlap(predictions.counts[:, region].astype(np.float64)).mean(axis=1))


def _kept(error: FloatArray, shown: npt.NDArray[Any], wrong: npt.NDArray[np.bool_]) -> ModelErrors:
    return ModelErrors(error.astype(np.float32), shown.astype(np.int16), wrong)
