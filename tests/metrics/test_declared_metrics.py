"""Metrics by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from medtransfer.core.errors import NotRegisteredError, UsageError
from medtransfer.metrics.declared_metrics import compute_metrics, metrics, resampled

Build = Callable[..., Any]


def test_the_names_study_files_use() -> None:
    assert {
        "auc",
        "accuracy",
        "balanced-accuracy",
        "dice",
        "dice-pooled",
        "dice-fov",
        "dice-pooled-fov",
    } <= set(metrics.names())


def test_all_metrics_of_a_task_are_computed_in_the_order_of_their_names(binary: Build) -> None:
    found = compute_metrics(("balanced-accuracy", "auc"), binary([0, 1, 1], [0.2, 0.9, 0.4]))
    assert {name: value.value for name, value in found.items()} == {"balanced-accuracy": 0.75, "auc": 1.0}
    assert list(found) == ["balanced-accuracy", "auc"]


def test_draws_by_name(binary: Build) -> None:
    values = resampled("accuracy", binary([0, 1, 1], [0.2, 0.9, 0.4]), np.array([[1, 1, 1], [0, 1, 3]]))
    assert values == pytest.approx([2 / 3, 0.25])


def test_a_name_nobody_declared_is_refused_with_its_neighbour(binary: Build) -> None:
    with pytest.raises(NotRegisteredError, match=r"'acuracy' is not registered. Did you mean 'accuracy'"):
        compute_metrics(("acuracy",), binary([0, 1], [0.2, 0.9]))


def test_a_metric_of_another_kind_is_refused(binary: Build) -> None:
    with pytest.raises(UsageError, match="'dice': expected segmentation predictions, got binary"):
        compute_metrics(("auc", "dice"), binary([0, 1], [0.2, 0.9]))
