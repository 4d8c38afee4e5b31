"""Prediction records bear the ids and labels of their own rows."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from medtransfer.core.errors import TrialError
from medtransfer.core.task_kind import TaskKind
from medtransfer.training.case_predictions import classification_predictions, segmentation_predictions

ROWS = np.array([7, 2, 5])


@pytest.mark.parametrize("kind", [TaskKind.BINARY, TaskKind.MULTI_LABEL])
def test_labels(drawn: ModuleType, kind: TaskKind) -> None:
    cases = drawn.drawn_labels(12, kind=kind)
    scores = np.array([[0.2, 0.8], [0.9, 0.1], [0.4, 0.6]])
    found = classification_predictions(cases, ROWS, scores)
    assert found.case_ids == ("c7", "c2", "c5")
    assert found.patient_ids == ("p7", "p2", "p5")
    np.testing.assert_array_equal(found.labels, cases.labels()[ROWS])
    np.testing.assert_array_equal(found.scores, scores)
    with pytest.raises(TrialError, match="'c2'"):
        classification_predictions(cases, ROWS, np.where(scores == 0.9, np.nan, scores))


def test_masks(drawn: ModuleType) -> None:
    counts = np.arange(9).reshape(3, 1, 1, 3)
    found = segmentation_predictions(drawn.drawn_masks(12), ROWS, ("image",), iter(counts))
    assert found.case_ids == ("c7", "c2", "c5")
    np.testing.assert_array_equal(found.counts, counts)
