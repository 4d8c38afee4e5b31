from __future__ import annotations

import numpy as np
import pytest

from medtransfer.metrics.declared_metrics import metrics
from medtransfer.reports.estimates import estimate_over_patients, estimate_over_runs, far_runs
from medtransfer.stats.patients import bootstrap_interval

AUC = metrics.get("auc")


def test_five_runs_give_the_reference_interval() -> None:
    runs = list(enumerate([0.81, 0.83, 0.80, 0.84, 0.82]))
    estimate = estimate_over_runs(runs, 0, AUC)
    assert estimate.n == 5
    assert estimate.mean == pytest.approx(0.82)
    assert estimate.std == pytest.approx(0.015811388, rel=1e-7)
    assert (estimate.low, estimate.high) == pytest.approx((0.800367568, 0.839632432), rel=1e-8)
    assert estimate.over == "training runs"
    assert estimate.remarks == ()


def test_one_run_has_neither_spread_nor_interval() -> None:
    estimate = estimate_over_runs([(0, 0.9)], 0, AUC)
    assert (estimate.mean, estimate.std, estimate.low, estimate.high, estimate.over) == (
        0.9,
        None,
        None,
        None,
        None,
    )


def test_no_run_is_null_and_not_zero() -> None:
    estimate = estimate_over_runs([], 2, AUC)
    assert (estimate.n, estimate.mean) == (0, None)
    assert estimate.remarks == ("undefined in 2 runs, which are not in n",)


def test_an_interval_beyond_the_range_is_printed_and_flagged() -> None:
    estimate = estimate_over_runs([(0, 0.99), (1, 0.80)], 0, AUC)
    assert estimate.high is not None
    assert estimate.high > 1
    assert any("beyond the range 0 to 1" in remark for remark in estimate.remarks)


def test_a_collapsed_run_is_flagged_and_ordinary_spread_is_not() -> None:
    assert far_runs({0: 0.81, 1: 0.82, 2: 0.80, 3: 0.83, 7: 0.0025}) == [7]
    assert far_runs({0: 0.81, 1: 0.82, 2: 0.80, 3: 0.83, 4: 0.79}) == []
    assert far_runs({0: 0.5, 1: 0.5, 2: 0.5, 3: 0.5, 4: 0.6}) == []
    assert far_runs({0: 0.5, 1: 0.5 + 1e-16, 2: 0.5, 3: 0.5}) == []
    assert far_runs({0: 0.1, 1: 0.9, 2: 0.9}) == []


def test_a_deterministic_result_takes_the_interval_over_patients() -> None:
    interval = bootstrap_interval(np.linspace(0.7, 0.9, 1001), 0.8, patients=12)
    estimate = estimate_over_patients([(0, 0.8)], 0, interval)
    assert (estimate.mean, estimate.std, estimate.over, estimate.patients) == (0.8, None, "test patients", 12)
    assert (estimate.low, estimate.high) == pytest.approx((0.705, 0.895))
    assert "12 test patients" in estimate.remarks[0]


def test_an_interval_without_width_says_that_it_says_little() -> None:
    perfect = estimate_over_patients([(0, 1.0)], 0, bootstrap_interval(np.ones(100), 1.0, patients=40))
    assert (perfect.low, perfect.high) == (1.0, 1.0)
    assert perfect.remarks == ("no draw of patients differed: the interval has no width and says little",)
    alone = estimate_over_patients([(0, 1.0)], 0, bootstrap_interval(np.ones(100), 1.0, patients=1))
    assert (alone.low, alone.over) == (None, None)
    assert "no interval: there are fewer than two patients" in alone.remarks


def test_too_many_undefined_draws_leave_no_interval_but_a_reason() -> None:
    draws = np.r_[np.full(90, 0.8), np.full(10, np.nan)]
    estimate = estimate_over_patients([(0, 0.8)], 0, bootstrap_interval(draws, 0.8, patients=50))
    assert (estimate.low, estimate.high, estimate.over) == (None, None, None)
    assert "undefined in 10 of 100 draws" in estimate.remarks[0]
