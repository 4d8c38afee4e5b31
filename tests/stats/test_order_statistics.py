"""Medians by order and runs that stand apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from medtransfer.core.errors import ShapeError
from medtransfer.stats.order_statistics import far_from_the_others, median_interval


@settings(deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=1, max_size=40), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_narrowest_ranks_that_reach_the_level(values: list[int], confidence: float) -> None:
    found = median_interval(values, confidence)
    n = len(values)
    assert found.median == np.median(values)
    coverage = {
        j: stats.binom.cdf(n - j, n, 0.5) - stats.binom.cdf(j - 1, n, 0.5) for j in range(1, n // 2 + 1)
    }
    enough = [j for j, chance in coverage.items() if chance >= confidence - 1e-12]
    if not enough:
        assert (found.low, found.high, found.ranks, found.coverage) == (None, None, None, None)
        return
    j, ordered = max(enough), sorted(values)
    assert found.ranks == (j, n + 1 - j)
    assert (found.low, found.high) == (ordered[j - 1], ordered[n - j])
    assert found.coverage == pytest.approx(coverage[j])


def test_it_covers_the_median_of_a_skewed_distribution_as_often_as_it_says() -> None:
    draw, held = np.random.default_rng(41), 0
    for sample in draw.exponential(1.0, (1500, 10)):
        found = median_interval(sample.tolist())
        held += (found.low or 0) <= np.log(2) <= (found.high or 0)
    assert held / 1500 == pytest.approx(0.9785, abs=0.012)


def test_five_values_reach_no_ninety_five_percent_and_six_do() -> None:
    assert median_interval([1, 2, 3, 4, 5]).low is None
    assert median_interval([1, 2, 3, 4, 5, 6]).ranks == (1, 6)
    with pytest.raises(ShapeError, match="median: expected finite values"):
        median_interval([])
    with pytest.raises(ShapeError, match="median: expected finite values"):
        median_interval([1.0, float("nan")])


def test_a_collapsed_run_stands_apart() -> None:
    assert far_from_the_others([0.81, 0.82, 0.80, 0.83, 0.20]) == (False, False, False, False, True)
    assert far_from_the_others([0.79, 0.80, 0.0025]) == (False,) * 3  # of three runs none can be called far
    assert far_from_the_others([]) == ()


def test_the_limit_is_five_scaled_deviations_of_the_median() -> None:
    others = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]  # median 2.5 or 3, deviation 1.5 or 2
    values = [*others, 3.0 + 5 * 1.4826 * 2.0 - 0.01]
    spread = stats.median_abs_deviation(values, scale="normal")
    assert abs(values[-1] - np.median(values)) < 5 * spread * 1.0001
    assert not any(far_from_the_others(values))
    assert far_from_the_others([*others, values[-1] + 0.02])[-1]


def test_where_most_runs_are_equal_none_is_apart() -> None:
    """An accuracy of few cases repeats itself, and then there is no deviation to measure by."""
    assert not any(far_from_the_others([0.90, 0.90, 0.90, 0.92, 0.90]))
    assert not any(far_from_the_others([0.3, 0.1 + 0.2, 0.3, 0.1 + 0.2, 0.4]))


def test_equal_runs_with_rounding_are_not_apart() -> None:
    assert not any(far_from_the_others([0.3, 0.1 + 0.2, 0.3, 0.3]))
    assert far_from_the_others([0.3, 0.31, 0.3, 0.29, 0.4])[-1]
    with pytest.raises(ShapeError, match="Leave failed runs out"):
        far_from_the_others([0.3, float("nan")])
