"""Our statistics against scipy, statsmodels and printed values."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestIndPower

from medtransfer.metrics.ratios import ratio, weighted_sums
from medtransfer.stats.comparisons import Arm, welch, welch_from_summaries
from medtransfer.stats.corrections import benjamini_hochberg, holm
from medtransfer.stats.patients import bootstrap_interval, paired_bootstrap_p, patient_weights
from medtransfer.stats.power import minimum_detectable_difference
from medtransfer.stats.summaries import summarise_runs

A = [0.81, 0.83, 0.80, 0.84, 0.82]
B = [0.78, 0.82, 0.77, 0.80, 0.79]
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)
RUNS = st.lists(st.floats(0.1, 0.9), min_size=2, max_size=8)


def test_runs_of_a_cell() -> None:
    found = summarise_runs(A)
    assert (found.n, found.mean) == (5, pytest.approx(0.82, abs=1e-12))
    assert found.std == pytest.approx(0.015811388, abs=1e-9)
    assert (found.low, found.high) == pytest.approx((0.800367568, 0.839632432), abs=1e-9)


@given(RUNS)
@settings(max_examples=60, deadline=None)
def test_t_intervals_are_those_of_scipy(runs: list[float]) -> None:
    found = summarise_runs(runs)
    if found.std:
        expected = stats.t.interval(0.95, len(runs) - 1, loc=np.mean(runs), scale=stats.sem(runs))
        assert (found.low, found.high) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_welch_by_printed_values() -> None:
    found = welch(A, B)
    assert found.statistic == pytest.approx(2.514474228, abs=1e-9)
    assert found.df == pytest.approx(7.711133400, abs=1e-8)
    assert found.p == pytest.approx(0.037161641, abs=1e-9)
    assert (found.low, found.high) == pytest.approx((0.002153018, 0.053846982), abs=1e-9)
    assert welch(A, B, sidedness="greater").p == pytest.approx(0.018580821, abs=1e-9)


@given(RUNS, RUNS)
@settings(max_examples=60, deadline=None)
def test_welch_is_that_of_scipy(a: list[float], b: list[float]) -> None:
    found = welch(a, b)
    if np.ptp(a) < 1e-6 or np.ptp(b) < 1e-6:
        return
    for sidedness in ("two-sided", "greater", "less"):
        expected = stats.ttest_ind(a, b, equal_var=False, alternative=sidedness)
        assert welch(a, b, sidedness=sidedness).p == pytest.approx(expected.pvalue, rel=1e-8, abs=1e-14)
    interval = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-8, abs=1e-12)


def test_welch_from_a_published_table() -> None:
    found = welch_from_summaries(Arm(5, 98.31, 0.05), Arm(5, 98.25, 0.04))
    assert found.p == pytest.approx(0.071109, abs=1e-6)
    assert found.relative_percent == pytest.approx((98.31 / 98.25 - 1) * 100)


def test_corrections_by_printed_values() -> None:
    p = [0.01, 0.04, 0.03, 0.005]
    assert holm(p).values == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert benjamini_hochberg(p).values == pytest.approx((0.02, 0.04, 0.04, 0.02))


@given(P_VALUES)
@settings(max_examples=25, deadline=None)
def test_corrections_are_those_of_statsmodels(p: list[float]) -> None:
    assert holm(p).values == pytest.approx(multipletests(p, method="holm")[1], abs=1e-12)
    assert benjamini_hochberg(p).values == pytest.approx(multipletests(p, method="fdr_bh")[1], abs=1e-12)


@pytest.mark.parametrize(("n_a", "n_b"), [(5, 5), (3, 3), (3, 8), (10, 10), (40, 20)])
@pytest.mark.parametrize("alpha", [0.05, 0.0125])
def test_detectable_difference_is_that_of_statsmodels(n_a: int, n_b: int, alpha: float) -> None:
    expected = TTestIndPower().solve_power(nobs1=n_a, alpha=alpha, power=0.8, ratio=n_b / n_a)
    assert minimum_detectable_difference(1.0, n_a, n_b, alpha=alpha) == pytest.approx(
        float(expected), abs=2e-5
    )


@pytest.mark.parametrize(("effect", "n"), [(0.5, 64), (1.0, 17)])
def test_detectable_difference_by_the_known_sizes(effect: float, n: int) -> None:
    assert minimum_detectable_difference(1.0, n) <= effect < minimum_detectable_difference(1.0, n - 1)


def test_detectable_difference_where_the_solver_of_statsmodels_gives_up() -> None:
    """Power by integrating over the spread that the two runs of each arm happen to show."""
    shift = minimum_detectable_difference(1.0, 2, alpha=0.0017)
    critical = stats.t.isf(0.0017 / 2, 2)

    def found_given(chi2: float) -> float:
        edge = critical * math.sqrt(chi2 / 2)
        found = stats.norm.sf(edge - shift) + stats.norm.cdf(-edge - shift)
        return float(found * stats.chi2.pdf(chi2, 2))

    assert integrate.quad(found_given, 0, 60)[0] == pytest.approx(0.8, abs=1e-6)


def test_bootstrap_of_patients_by_enumeration() -> None:
    """The mean of patient means over all 4^4 draws, against our draws of whole patients."""
    values = {"p1": [1, 1, 0, 1], "p2": [0, 0], "p3": [1], "p4": [1, 0, 1]}
    means = np.array([np.mean(cases) for cases in values.values()])
    every = [means[list(drawn)].mean() for drawn in itertools.product(range(4), repeat=4)]
    assert np.std(every) == pytest.approx(0.184877493, abs=1e-9)
    ids = [name for name, cases in values.items() for _ in cases]
    weights = patient_weights(ids, 20_000, seed=1)
    first_of_patient = [ids.index(name) for name in values]
    ours = weights[:, first_of_patient] @ means / 4
    assert ours.mean() == pytest.approx(0.604166667, rel=0.02)
    assert np.std(ours) == pytest.approx(np.std(every), rel=0.02)
    found = bootstrap_interval(ours, float(means.mean()), patients=4)
    assert (found.low, found.high) == pytest.approx(np.quantile(every, [0.025, 0.975]), abs=0.03)
    assert found.flags == ("few_patients",)


def test_p_of_paired_draws_counts_the_observed_one() -> None:
    differences = np.array([0.1] * 96 + [-0.1] * 3)
    assert paired_bootstrap_p(differences) == pytest.approx(2 * 4 / 100)
    assert paired_bootstrap_p(np.zeros(50)) == 1.0


def test_ratio_and_sums() -> None:
    assert np.array_equal(ratio(np.array([1.0, 2.0]), np.array([2.0, 0.0])), [0.5, np.nan], equal_nan=True)
    draw = np.random.default_rng(0)
    weights, values = draw.random((3, 7)), draw.random((7, 2))
    assert weighted_sums(weights, values) == pytest.approx(weights @ values)
