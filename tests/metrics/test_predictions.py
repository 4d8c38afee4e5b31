"""Predictions are checked when they are made and survive their table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from medtransfer.core.errors import ShapeError, TrialError
from medtransfer.core.task_kind import TaskKind
from medtransfer.metrics.predictions import ClassificationPredictions, SegmentationPredictions

Build = Callable[..., Any]


def test_exclusive_classes_survive_their_table(many: Build) -> None:
    found = replace(many([0, 2, 1], [0, 1, 1], 3), patient_ids=("p", "p", "q"))
    again = ClassificationPredictions.from_frame(found.to_frame(), found.kind, found.classes)
    assert np.array_equal(again.scores, found.scores)
    assert np.array_equal(again.labels, found.labels)
    assert (again.case_ids, again.patient_ids) == (found.case_ids, found.patient_ids)


def test_findings_survive_their_table(findings: Build) -> None:
    found = findings([[1, 0], [0, 1], [1, 1]], [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    again = ClassificationPredictions.from_frame(found.to_frame(), found.kind, found.classes)
    assert np.array_equal(again.scores, found.scores)
    assert np.array_equal(again.labels, found.labels)


def regions_and_classes() -> SegmentationPredictions:
    counts = np.arange(3 * 2 * 2 * 3).reshape(3, 2, 2, 3)
    return SegmentationPredictions(
        ("cup", "disc"), ("image", "field-of-view"), ("1", "2", "3"), ("p", "p", "q"), counts
    )


def test_masks_survive_their_table() -> None:
    found = regions_and_classes()
    again = SegmentationPredictions.from_frame(found.to_frame())
    assert np.array_equal(again.counts, found.counts)
    assert replace(again, counts=found.counts) == found


def test_a_table_of_masks_that_was_sorted_or_cut_is_refused() -> None:
    frame = regions_and_classes().to_frame()
    for broken in (frame.sort_values("class"), frame.iloc[:-1], frame.drop(index=3), frame.iloc[::-1][1:]):
        with pytest.raises(ShapeError, match="one row per case, region and class"):
            SegmentationPredictions.from_frame(broken)


def test_shapes_that_do_not_fit_are_refused(many: Build, masks: Build) -> None:
    with pytest.raises(ShapeError, match=r"scores: expected shape \(2, 2\), got \(2, 3\)"):
        ClassificationPredictions(
            TaskKind.BINARY, ("a", "b"), ("1", "2"), ("1", "2"), np.array([0, 1]), np.ones((2, 3))
        )
    with pytest.raises(ShapeError, match=r"counts: expected shape \(1, 1, 1, 3\), got \(1, 1, 1, 2\)"):
        replace(masks((1, 2, 3)), counts=np.zeros((1, 1, 1, 2), int))
    for found in (many([0, 1], [0, 1], 2), masks((1, 2, 3), (1, 2, 3))):
        with pytest.raises(ShapeError, match="patient ids: expected one per case, 2 of them, got 1"):
            replace(found, patient_ids=("p",))


def test_a_binary_task_has_two_classes(many: Build) -> None:
    with pytest.raises(ShapeError, match=r"binary predictions: expected two classes, got \['a', 'b', 'c'\]"):
        replace(many([0, 1], [0, 1], 3), kind=TaskKind.BINARY)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_end_the_trial(many: Build, value: float) -> None:
    found = many([0, 1, 0, 1], [0, 1, 0, 1], 2)
    scores = found.scores.copy()
    scores[1, 1] = scores[3, 0] = value
    with pytest.raises(TrialError, match="NaN or infinity in 2 of 4 cases, first '1'") as failed:
        replace(found, scores=scores)
    assert failed.value.reason == "non_finite_predictions"
