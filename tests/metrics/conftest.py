"""Small predictions written by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from medtransfer.core.task_kind import TaskKind
from medtransfer.metrics.predictions import ClassificationPredictions, SegmentationPredictions


@pytest.fixture
def binary() -> Callable[..., ClassificationPredictions]:
    """Build binary predictions from labels and scores of the positive class."""

    def build(labels: list[int], scores: list[float]) -> ClassificationPredictions:
        ids = tuple(map(str, range(len(labels))))
        positive = np.array(scores)
        both = np.stack([1 - positive, positive], axis=1)
        return ClassificationPredictions(TaskKind.BINARY, ("no", "yes"), ids, ids, np.array(labels), both)

    return build


@pytest.fixture
def many() -> Callable[..., ClassificationPredictions]:
    """Build predictions of exclusive classes a, b, c… from true and predicted class numbers."""

    def build(labels: list[int], predicted: list[int], classes: int) -> ClassificationPredictions:
        ids = tuple(map(str, range(len(labels))))
        scores = np.full((len(labels), classes), 0.1)
        scores[np.arange(len(labels)), predicted] = 0.8
        names = tuple("abcdef"[:classes])
        return ClassificationPredictions(TaskKind.MULTI_CLASS, names, ids, ids, np.array(labels), scores)

    return build


@pytest.fixture
def findings() -> Callable[..., ClassificationPredictions]:
    """Build multi-label predictions of findings a, b, c… from rows of labels and rows of scores."""

    def build(labels: list[list[int]], scores: list[list[float]]) -> ClassificationPredictions:
        ids = tuple(map(str, range(len(labels))))
        names = tuple("abcdef"[: len(scores[0])])
        return ClassificationPredictions(
            TaskKind.MULTI_LABEL, names, ids, ids, np.array(labels), np.array(scores)
        )

    return build


@pytest.fixture
def masks() -> Callable[..., SegmentationPredictions]:
    """Build predictions of one organ from true positive, false positive and false negative pixels per case."""

    def build(*counts: tuple[int, int, int]) -> SegmentationPredictions:
        ids = tuple(map(str, range(len(counts))))
        pixels = np.array(counts)[:, None, None, :]
        return SegmentationPredictions(("organ",), ("image",), ids, ids, pixels)

    return build
