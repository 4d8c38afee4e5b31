"""Accuracy and balanced accuracy at their edges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from medtransfer.metrics.declared_metrics import metrics

Build = Callable[..., Any]
ACCURACY, BALANCED = metrics.get("accuracy"), metrics.get("balanced-accuracy")


def test_they_differ_on_rare_classes(many: Build) -> None:
    found = many([0] * 90 + [1] * 10, [0] * 90 + [1] * 2 + [0] * 8, 2)
    assert ACCURACY.compute(found).value == pytest.approx(0.92)
    assert BALANCED.compute(found).value == pytest.approx(0.6)


def test_of_equal_scores_the_first_class_is_predicted(binary: Build) -> None:
    found = binary([0, 0, 1], [0.5, 0.5, 0.5])
    assert ACCURACY.compute(found).value == pytest.approx(2 / 3)
    assert BALANCED.compute(found).per_class == {"no": 1.0, "yes": 0.0}


def test_a_class_predicted_though_absent_is_named_and_not_averaged(many: Build) -> None:
    value = BALANCED.compute(many([0, 0, 1, 1], [0, 2, 1, 1], 3))
    assert value.value == pytest.approx(0.75)
    assert value.per_class["c"] is None
    assert "predicted though absent from the labels: 'c (1)'" in (value.note or "")


def test_a_class_neither_present_nor_predicted_is_only_undefined(many: Build) -> None:
    note = BALANCED.compute(many([0, 1], [0, 1], 3)).note
    assert note == "mean over 2 of 3 classes; undefined for 'c': no case has the label"


def test_accuracy_has_no_classes(many: Build) -> None:
    value = ACCURACY.compute(many([0, 1, 2], [0, 1, 1], 3))
    assert (value.per_class, value.support, value.note) == ({}, {}, None)


def test_draws_weigh_cases(many: Build) -> None:
    found = many([0, 0, 1], [0, 1, 1], 2)
    weights = np.array([[1, 3, 0], [0, 0, 0], [2, 1, 1]])
    assert ACCURACY.resampled(found, weights) == pytest.approx([0.25, np.nan, 0.75], nan_ok=True)
    assert BALANCED.resampled(found, weights) == pytest.approx([np.nan, np.nan, 5 / 6], nan_ok=True)
