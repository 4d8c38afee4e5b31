"""Labels become one truth matrix, or are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from medtransfer.core.errors import ShapeError
from medtransfer.metrics.truth import class_truth

Build = Callable[..., Any]


def test_exclusive_classes_become_columns(many: Build) -> None:
    assert class_truth(many([2, 0], [0, 0], 3)).tolist() == [[False, False, True], [True, False, False]]


def test_findings_are_columns_already(findings: Build) -> None:
    assert class_truth(findings([[1, 0], [1, 1]], [[0.5, 0.5]] * 2)).tolist() == [[True, False], [True, True]]


@pytest.mark.parametrize("labels", [[0, 2, 1], [0, -1, 1], [0, 0.5, 1], [0, np.nan, 1]])
def test_labels_that_are_no_class_are_refused(binary: Build, labels: list[float]) -> None:
    with pytest.raises(ShapeError, match=r"labels: expected integers from 0 to 1, got .* Map labels"):
        class_truth(binary(labels, [0.1, 0.2, 0.3]))


def test_findings_are_there_or_not(findings: Build) -> None:
    with pytest.raises(ShapeError, match=r"expected integers from 0 to 1, got \[2\]"):
        class_truth(findings([[1, 2], [0, 0]], [[0.5, 0.5]] * 2))


def test_labels_of_another_shape_are_refused(binary: Build, findings: Build) -> None:
    found = binary([0, 1], [0.1, 0.9])
    with pytest.raises(
        ShapeError, match=r"labels: expected shape \(2,\) for binary predictions, got \(2, 2\)"
    ):
        class_truth(replace(found, labels=np.zeros((2, 2))))
    with pytest.raises(ShapeError, match=r"labels: expected shape \(2, 2\) for multi-label .*, got \(2,\)"):
        class_truth(replace(findings([[1, 0]] * 2, [[0.5, 0.5]] * 2), labels=np.array([0, 1])))
