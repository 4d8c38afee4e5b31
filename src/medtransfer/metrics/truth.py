"""Labels of any classification kind as one truth matrix, checked once for every metric."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import ShapeError
from medtransfer.core.task_kind import TaskKind
from medtransfer.metrics.predictions import ClassificationPredictions

BoolArray = npt.NDArray[np.bool_]


def class_truth(predictions: ClassificationPredictions) -> BoolArray:
    """Return which classes each case has, shape (N, C); a class that is not known counts as absent.

    Raises:
        ShapeError: If labels have the wrong shape, or values other than class numbers (0 and 1 for
            multi-label).
    """
    cases, classes = predictions.scores.shape
    labels = np.asarray(predictions.labels)
    multi_label = predictions.kind is TaskKind.MULTI_LABEL
    expected = (cases, classes) if multi_label else (cases,)
    if labels.shape != expected:
        raise ShapeError(
            f"labels: expected shape {expected} for {predictions.kind} predictions, got {labels.shape}."
        )
    if multi_label:
        labels = np.nan_to_num(labels)
    allowed = np.arange(2 if multi_label else classes)
    strange = np.unique(labels[~np.isin(labels, allowed)])
    if len(strange):
        raise ShapeError(
            f"labels: expected integers from 0 to {allowed[-1]}, got {strange[:5].tolist()!r}. "
            "Map labels to class numbers first."
        )
    truth: BoolArray = labels == 1 if multi_label else labels[:, None] == allowed
    return truth


def known_classes(predictions: ClassificationPredictions) -> BoolArray | None:
    """Return for which cases each class of a multi-label task is known, shape (N, C); None when all are."""
    labels = np.asarray(predictions.labels)
    if predictions.kind is not TaskKind.MULTI_LABEL or labels.dtype.kind != "f":
        return None
    known = ~np.isnan(labels)
    return None if known.all() else known
