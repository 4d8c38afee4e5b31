"""Scores over runs and tasks: reference values and plain counting."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from medtransfer.core.errors import ShapeError
from medtransfer.stats.run_scores import (
    expected_best,
    interquartile_mean,
    interquartile_mean_interval,
    optimality_gap,
    performance_profile,
    probability_of_outperforming,
    profile_band,
    runs_to_detect,
)

X = np.array([[1, 2], [2, 2], [1, 1], [2, 1]])
Y = np.array([[1, 1], [2, 2], [3, 3]])
M = np.array([[0.1, 0.5], [0.2, 0.6], [0.3, 0.7], [0.9, 0.8]])


def test_the_reference_values() -> None:
    assert probability_of_outperforming(X, Y) == pytest.approx(1 / 3)
    assert (interquartile_mean(X), interquartile_mean(Y)) == (1.5, 2.0)
    assert performance_profile(M, np.array([0.25])).tolist() == [0.75]
    assert optimality_gap(M, 0.75) == pytest.approx(0.2625)
    assert (runs_to_detect(0.75), runs_to_detect(0.65)) == (29, 81)
    assert expected_best([1, 2, 3], 2) == pytest.approx(8 / 3)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_outperforming_is_u_over_all_pairs(a: list[float], b: list[float]) -> None:
    expected = stats.mannwhitneyu(a, b, method="asymptotic").statistic / (len(a) * len(b))
    assert probability_of_outperforming(np.array(a), np.array(b)) == pytest.approx(expected)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=7), st.data())
def test_the_expected_best_is_the_mean_over_all_smaller_searches(
    values: list[int], data: st.DataObject
) -> None:
    budget = data.draw(st.integers(1, len(values)))
    expected = np.mean([max(chosen) for chosen in itertools.combinations(values, budget)])
    assert expected_best(values, budget) == pytest.approx(expected)


def test_failed_trials_count_in_the_budget() -> None:
    failed = float("-inf")
    assert expected_best([failed, 1.0, 2.0], 1) == failed
    assert expected_best([failed, 1.0, 2.0], 2) == pytest.approx(5 / 3)
    assert expected_best([failed, 1.0, 2.0], 3) == 2.0


def test_a_profile_falls_from_one_to_nothing_inside_its_band() -> None:
    thresholds = np.linspace(-0.01, 1, 30)
    profile = performance_profile(M, thresholds)
    assert (profile[0], profile[-1]) == (1.0, 0.0)
    assert (np.diff(profile) <= 0).all()
    low, high = profile_band(M, thresholds, seed=2)
    assert ((low <= profile) & (profile <= high)).all()
    assert (high - low).max() > 0.2


def test_what_is_no_table_of_runs_is_refused() -> None:
    for act in (
        lambda: probability_of_outperforming(X, Y[:, :1]),
        lambda: interquartile_mean(np.array([np.nan])),
        lambda: runs_to_detect(0.5),
        lambda: expected_best([1.0], 2),
        lambda: performance_profile(np.zeros((2, 2, 2)), np.zeros(1)),
    ):
        with pytest.raises(ShapeError):
            act()


def test_the_interval_of_the_interquartile_mean_draws_runs_within_tasks() -> None:
    """Two runs of one task: the four equally likely draws are known."""
    low, high = interquartile_mean_interval(np.array([[0.2], [0.6]]), seed=1, confidence=0.4)
    assert (low, high) == pytest.approx((0.4, 0.4))
    assert interquartile_mean_interval(np.array([[0.2], [0.6]]), seed=1) == pytest.approx((0.2, 0.6))
    tasks = np.tile(np.arange(50) / 50, (3, 1))  # runs that do not vary within a task
    assert interquartile_mean_interval(tasks, seed=1) == pytest.approx((interquartile_mean(tasks),) * 2)
    with pytest.raises(ShapeError, match="confidence"):
        interquartile_mean_interval(tasks, seed=1, confidence=95)
