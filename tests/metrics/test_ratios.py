"""Division without warnings and sums without threads."""

from __future__ import annotations

import numpy as np
import pytest

from medtransfer.metrics.ratios import ratio, weighted_sums


def test_nothing_divided_by_nothing_is_undefined_without_a_warning() -> None:
    found = ratio(np.array([1.0, 2.0, 0.0]), np.array([2.0, 0.0, 0.0]))
    assert np.array_equal(found, [0.5, np.nan, np.nan], equal_nan=True)


def test_ratios_broadcast() -> None:
    assert ratio(np.ones((2, 3)), np.array([[2.0], [4.0]])).tolist() == [[0.5] * 3, [0.25] * 3]


@pytest.mark.parametrize("kind", [float, bool])
def test_sums_are_those_of_a_matrix_product(kind: type) -> None:
    draw = np.random.default_rng(0)
    weights, values = draw.random((3, 7)), (draw.random((7, 2)) * 2).astype(kind)
    assert weighted_sums(weights, values) == pytest.approx(weights @ values)
