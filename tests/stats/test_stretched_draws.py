"""Draws moved away from the point by t / z, against scipy's t."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from medtransfer.stats.stretched_draws import stretched_draws, stretched_interval

NORMAL = stats.norm.ppf(np.arange(1, 10_000) / 10_000)
"""Draws that are normal to the last rank."""


@pytest.mark.parametrize("df", [1, 2, 4.5, 9, 200])
def test_normal_draws_become_those_of_a_t_distribution(df: float) -> None:
    order = np.random.default_rng(1).permutation(len(NORMAL))
    found = stretched_draws(0.3 + 0.02 * NORMAL[order], 0.3, df)
    np.testing.assert_allclose(found, 0.3 + 0.02 * stats.t.ppf(np.arange(1, 10_000) / 10_000, df), rtol=1e-9)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99])
def test_the_interval_is_the_one_of_t(confidence: float) -> None:
    low, high = stretched_interval(0.3 + 0.02 * NORMAL, 0.3, 4, confidence)
    expected = stats.t.interval(confidence, 4, 0.3, 0.02)
    assert (low, high) == pytest.approx(expected, rel=4e-3)


def test_each_side_keeps_its_own_width() -> None:
    draws = np.concatenate([-3.0 * np.linspace(0, 1, 501)[1:], [0.0], np.linspace(0, 1, 501)[1:]])
    low, high = stretched_interval(0.5 + draws, 0.5, 5, 0.95)
    assert 0.5 - low == pytest.approx(3 * (high - 0.5))
    assert high == pytest.approx(0.5 + 0.95 * stats.t.ppf(0.975, 5) / stats.norm.ppf(0.975), rel=1e-3)


@pytest.mark.parametrize("count", [1, 2, 3, 10])
def test_draws_without_any_spread_stay(count: int) -> None:
    assert stretched_draws(np.full(count, 0.7), 0.7, 1).tolist() == [0.7] * count
    assert stretched_interval(np.full(count, 0.7), 0.7, 1, 0.95) == (0.7, 0.7)


def test_the_median_of_an_odd_number_moves_by_the_limit() -> None:
    (found,) = stretched_draws(np.array([1.0]), 0.0, 3)
    assert found == pytest.approx(stats.norm.pdf(0) / stats.t.pdf(0, 3))
