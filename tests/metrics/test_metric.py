"""The one path from predictions to a reported number."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from medtransfer.core.errors import ShapeError
from medtransfer.core.task_kind import TaskKind
from medtransfer.metrics import metric as metric_module
from medtransfer.metrics.declared_metrics import metrics
from medtransfer.metrics.metric import MetricValue, predictions_kind, quoted

Build = Callable[..., Any]


def test_the_kind_of_predictions(binary: Build, masks: Build) -> None:
    assert predictions_kind(binary([0, 1], [0, 1])) is TaskKind.BINARY
    assert predictions_kind(masks((1, 1, 1))) is TaskKind.SEGMENTATION


def test_a_value_as_json_counts_its_classes() -> None:
    value = MetricValue(0.5, "a note", {"a": 0.5, "b": None}, {"a": 3, "b": 0})
    assert json.loads(json.dumps(value.as_json())) == {
        "value": 0.5,
        "note": "a note",
        "per_class": {"a": 0.5, "b": None},
        "support": {"a": 3, "b": 0},
        "classes_used": 1,
        "classes": 2,
    }


def test_many_undefined_classes_are_not_all_named(many: Build) -> None:
    note = metrics.get("balanced-accuracy").compute(many([5], [5], 6)).note or ""
    assert "mean over 1 of 6 classes; undefined for 'a', 'b', 'c', 'd', 'e': no case has the label" in note
    assert quoted(list("abcdef")) == "'a', 'b', 'c', 'd', 'e' and 1 more"


@pytest.mark.parametrize("cells", [1, 7, 64])
def test_draws_in_small_portions_give_the_same_numbers(
    many: Build, monkeypatch: pytest.MonkeyPatch, cells: int
) -> None:
    found = many([0, 1, 2, 0, 1, 2], [0, 1, 1, 0, 2, 2], 3)
    weights = np.random.default_rng(0).integers(0, 3, (20, 6))
    whole = {name: metrics.get(name).resampled(found, weights) for name in ("auc", "balanced-accuracy")}
    monkeypatch.setattr(metric_module, "_CELLS_AT_ONCE", cells)
    for name, values in whole.items():
        assert np.array_equal(metrics.get(name).resampled(found, weights), values, equal_nan=True)


def test_no_draws_give_no_values(binary: Build) -> None:
    assert metrics.get("auc").resampled(binary([0, 1], [0.2, 0.9]), np.empty((0, 2))).shape == (0,)


def test_direction_becomes_a_sign_once() -> None:
    metric = metrics.get("auc")
    assert (metric.sign, replace(metric, higher_is_better=False).sign) == (1, -1)
    assert metric.supports(TaskKind.BINARY)
    assert not metric.supports(TaskKind.SEGMENTATION)


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_weights_that_are_none_are_refused(binary: Build, bad: float) -> None:
    weights = np.array([[1.0, bad]])
    with pytest.raises(ShapeError, match="weights: expected finite numbers of at least 0"):
        metrics.get("auc").resampled(binary([0, 1], [0.2, 0.9]), weights)
