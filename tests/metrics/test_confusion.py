"""F1 and Matthews' correlation: printed values, scikit-learn, and absent classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, matthews_corrcoef

from medtransfer.core.task_kind import TaskKind
from medtransfer.metrics.declared_metrics import metrics
from medtransfer.metrics.predictions import ClassificationPredictions

Build = Callable[..., Any]
F1, MCC = metrics.get("f1-macro"), metrics.get("mcc")


def test_rare_positives_by_printed_values(binary: Build) -> None:
    """90 negatives all right and 2 of 10 positives found."""
    found = binary([0] * 90 + [1] * 10, [0.1] * 90 + [0.9] * 2 + [0.1] * 8)
    assert F1.compute(found).value == pytest.approx(0.645391, abs=1e-6)
    assert MCC.compute(found).value == pytest.approx(0.428571, abs=1e-6)
    assert metrics.get("accuracy").compute(found).value == pytest.approx(0.92)


def test_a_class_that_is_nowhere_is_left_out_and_counted(many: Build) -> None:
    value = F1.compute(many([0, 1, 0, 1], [0, 1, 1, 1], 3))
    assert value.value == pytest.approx(0.733333, abs=1e-6)
    assert (value.classes_used, value.per_class["c"]) == (2, None)
    assert "mean over 2 of 3 classes; undefined for 'c'" in (value.note or "")
    as_zero = f1_score([0, 1, 0, 1], [0, 1, 1, 1], labels=[0, 1, 2], average="macro", zero_division=0)
    assert as_zero == pytest.approx(0.488889, abs=1e-6)  # what the same predictions give where 0 is filled in


def test_a_class_that_is_only_predicted_has_an_f1_of_zero(many: Build) -> None:
    assert F1.compute(many([0, 0, 1], [0, 2, 1], 3)).per_class == pytest.approx(
        {"a": 2 / 3, "b": 1.0, "c": 0.0}
    )


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(2, 60), st.integers(2, 5))
def test_both_are_scikit_learns_weights_included(seed: int, cases: int, classes: int) -> None:
    draw = np.random.default_rng(seed)
    labels, scores = draw.integers(0, classes, cases), draw.random((cases, classes))
    scores /= scores.sum(axis=1, keepdims=True)
    ids = tuple(map(str, range(cases)))
    kind = TaskKind.BINARY if classes == 2 else TaskKind.MULTI_CLASS
    found = ClassificationPredictions(kind, tuple("abcde"[:classes]), ids, ids, labels, scores)
    predicted, weights = scores.argmax(axis=1), draw.integers(1, 4, (3, cases)).astype(float)
    present = sorted({*labels, *predicted})
    f1, mcc = F1.resampled(found, weights), MCC.resampled(found, weights)
    for row, weight in enumerate(weights):
        expected = f1_score(
            labels, predicted, labels=present, average="macro", sample_weight=weight, zero_division=0
        )
        assert f1[row] == pytest.approx(expected)
        if len(set(labels)) > 1 and len(set(predicted)) > 1:
            assert mcc[row] == pytest.approx(
                matthews_corrcoef(labels, predicted, sample_weight=weight), abs=1e-12
            )
        else:
            assert np.isnan(mcc[row])


@pytest.mark.parametrize(("labels", "predicted"), [([0, 0, 0], [0, 1, 1]), ([0, 1, 1], [0, 0, 0])])
def test_one_class_leaves_no_correlation(many: Build, labels: list[int], predicted: list[int]) -> None:
    value = MCC.compute(many(labels, predicted, 3))
    assert value.value is None
    assert (value.note or "") == "undefined: all labels or all predictions are of one class"
