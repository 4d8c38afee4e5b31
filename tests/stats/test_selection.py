"""The best of many: its curse against simulation, and smaller searches by counting."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medtransfer.core.errors import ShapeError
from medtransfer.stats.run_scores import expected_best
from medtransfer.stats.selection import expected_maximum, search_curve


@pytest.mark.parametrize("models", [2, 3, 10, 60])
def test_the_expected_maximum_by_simulation(models: int) -> None:
    best = np.random.default_rng(models).normal(size=(40_000, models)).max(axis=1)
    assert expected_maximum(models) == pytest.approx(best.mean(), abs=4 * best.std() / 200)


def test_the_expected_maximum_in_closed_form() -> None:
    assert expected_maximum(1) == 0.0
    assert expected_maximum(2) == pytest.approx(1 / np.sqrt(np.pi), rel=1e-9)
    assert expected_maximum(3) == pytest.approx(1.5 / np.sqrt(np.pi), rel=1e-9)
    assert expected_maximum(100_000) == pytest.approx(4.38, abs=0.02)
    with pytest.raises(ShapeError, match="one model at least"):
        expected_maximum(0)


@settings(deadline=None)
@given(st.lists(st.integers(0, 9) | st.just(float("-inf")), min_size=1, max_size=7))
def test_a_search_curve_is_the_mean_over_all_smaller_searches(values: list[float]) -> None:
    for budget, found in enumerate(search_curve(values), start=1):
        every = [max(chosen) for chosen in itertools.combinations(values, budget)]
        expected = -np.inf if -np.inf in every else np.mean(every)
        assert found == pytest.approx(expected)


def test_long_curves_are_those_of_exact_fractions() -> None:
    values = np.random.default_rng(1).random(300)
    curve = search_curve(values.tolist())
    for budget in (1, 2, 50, 299, 300):
        assert curve[budget - 1] == pytest.approx(expected_best(values.tolist(), budget), rel=1e-12)
    assert (np.diff(curve) >= -1e-15).all()
    with pytest.raises(ShapeError, match="search curve"):
        search_curve([])
    with pytest.raises(ShapeError, match="search curve"):
        search_curve([0.5, float("nan")])
