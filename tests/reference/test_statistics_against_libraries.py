"""Our statistics against scipy, statsmodels and printed values."""

from __future__ import annotations

import gc
import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower, TTestIndPower

from medtransfer.metrics.roc_auc import weighted_auc
from medtransfer.stats.comparisons import Arm, welch, welch_from_summaries
from medtransfer.stats.corrections import benjamini_hochberg, holm
from medtransfer.stats.patients import bootstrap_interval, paired_bootstrap_p, patient_weights
from medtransfer.stats.power import detectable_from_standard_error, minimum_detectable_difference
from medtransfer.stats.summaries import summarise_runs

A = [0.81, 0.83, 0.80, 0.84, 0.82]
B = [0.78, 0.82, 0.77, 0.80, 0.79]
R = [0.94456, 0.93572, 0.93280, 0.93312]
I = [0.93852, 0.93108, 0.94704, 0.92500]  # noqa: E741
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)
RUNS = st.lists(st.floats(0.1, 0.9), min_size=2, max_size=8)


@pytest.fixture
def little_garbage() -> Iterator[None]:
    """Put aside what is alive: statsmodels collects garbage at every correction."""
    gc.freeze()
    yield
    gc.unfreeze()


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


def test_welch_of_real_fine_tuning_runs() -> None:
    found = welch(R, I)
    assert found.statistic == pytest.approx(0.207352027, abs=1e-9)
    assert found.df == pytest.approx(4.799911072, abs=1e-8)
    assert found.p == pytest.approx(0.844243210, abs=1e-8)
    assert found.relative_percent == pytest.approx(0.121872, abs=1e-6)
    assert found.difference * 100 == pytest.approx(0.114, abs=1e-9)


def test_the_relative_interval_is_that_of_the_log_ratio() -> None:
    found = welch(A, B)
    parts = [np.var(arm, ddof=1) / (len(arm) * np.mean(arm) ** 2) for arm in (A, B)]
    freedom = sum(parts) ** 2 / sum(part**2 / (len(A) - 1) for part in parts)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(sum(parts))
    ends = [np.exp(math.log(np.mean(A) / np.mean(B)) + sign * half) for sign in (-1, 1)]
    assert (found.relative_low, found.relative_high) == pytest.approx(tuple((end - 1) * 100 for end in ends))


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
    unlike = welch_from_summaries(Arm(3, 0.8, 0.02), Arm(9, 0.75, 0.05))
    expected = stats.ttest_ind_from_stats(0.8, 0.02, 3, 0.75, 0.05, 9, equal_var=False)
    assert (unlike.statistic, unlike.p) == pytest.approx(tuple(expected), rel=1e-9)


def test_corrections_by_printed_values() -> None:
    p = [0.01, 0.04, 0.03, 0.005]
    assert holm(p).values == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert benjamini_hochberg(p).values == pytest.approx((0.02, 0.04, 0.04, 0.02))


@pytest.mark.usefixtures("little_garbage")
@given(P_VALUES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


def power_by_integration(effect: float, n_a: int, n_b: int, alpha: float) -> float:
    """Integrate the chance of a significant result over the spread that the runs happen to show."""
    freedom, shift = n_a + n_b - 2, effect * math.sqrt(n_a * n_b / (n_a + n_b))
    critical = stats.t.isf(alpha / 2, freedom)

    def found_given(quantile: float) -> float:
        edge = critical * math.sqrt(stats.chi2.ppf(quantile, freedom) / freedom)
        return float(stats.norm.sf(edge - shift) + stats.norm.cdf(-edge - shift))

    return float(integrate.quad(found_given, 0, 1, epsabs=1e-10)[0])


@pytest.mark.parametrize(("n_a", "n_b"), [(2, 2), (2, 5), (5, 5), (40, 20)])
@pytest.mark.parametrize(
    ("alpha", "power"),
    [
        pytest.param(0.05, 0.8, id="usual"),
        pytest.param(0.0017, 0.8, id="where the solver of statsmodels stops at 10"),
        pytest.param(0.05 / 200, 0.8, id="large family"),
        pytest.param(0.05, 0.051, id="power near alpha: the other tail counts as much"),
        pytest.param(0.5, 0.55, id="wide alpha: the other tail counts"),
    ],
)
def test_detectable_difference_has_its_power(n_a: int, n_b: int, alpha: float, power: float) -> None:
    effect = minimum_detectable_difference(1.0, n_a, n_b, alpha=alpha, power=power)
    assert power_by_integration(effect, n_a, n_b, alpha) == pytest.approx(power, abs=1e-8)


def test_detectable_difference_by_the_printed_value() -> None:
    assert minimum_detectable_difference(1.0, 5) == pytest.approx(2.024440, abs=1e-6)
    found = welch(A, B)
    pooled = math.sqrt((np.var(A, ddof=1) + np.var(B, ddof=1)) / 2)
    assert found.minimum_detectable_effect == pytest.approx(2.024440 * pooled, rel=1e-6)


def test_detectable_difference_of_a_standard_error_is_that_of_a_normal_test() -> None:
    effect = detectable_from_standard_error(1.0, alpha=0.01, power=0.9)
    assert NormalIndPower(ddof=0).power(effect * math.sqrt(2), 1, 0.01) == pytest.approx(0.9, abs=1e-6)


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


def test_bootstrap_interval_of_a_mean_is_that_of_scipy() -> None:
    """One case per patient: our weights against the percentile bootstrap of scipy."""
    values = np.random.default_rng(2).gamma(2.0, 1.0, 60)
    weights = patient_weights([f"p{row}" for row in range(60)], 10_000, seed=3)
    ours = bootstrap_interval(weights @ values / 60, float(values.mean()), patients=60)
    scipys = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=10_000, rng=np.random.default_rng(4)
    )
    expected = scipys.confidence_interval
    assert (ours.low, ours.high) == pytest.approx((expected.low, expected.high), abs=0.02)


def delong_variance(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return DeLong's covariance matrix of the AUCs of two models, from all pairs of cases."""
    wins = [
        np.heaviside(scores[labels == 1][:, None] - scores[labels == 0], 0.5) for scores in (first, second)
    ]
    by_positive, by_negative = (np.cov([win.mean(axis=axis) for win in wins]) for axis in (1, 0))
    return by_positive / (labels == 1).sum() + by_negative / (labels == 0).sum()


def test_auc_by_printed_values() -> None:
    labels, scores = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
    assert weighted_auc(scores, labels == 1, np.ones((1, 4)))[0] == 0.75
    assert delong_variance(labels, scores, scores)[0, 0] == pytest.approx(0.125, abs=1e-15)
    labels = np.array([0, 0, 0, 1, 1, 1])
    first, second = np.array([[0.1, 0.4, 0.35, 0.8, 0.3, 0.4], [0.2, 0.6, 0.1, 0.7, 0.5, 0.65]])
    values = [weighted_auc(scores, labels == 1, np.ones((1, 6)))[0] for scores in (first, second)]
    assert values == pytest.approx([0.722222222, 0.888888889], abs=1e-9)
    expected = np.array([[0.061728395, 0.033950617], [0.033950617, 0.024691358]])
    assert delong_variance(labels, first, second) == pytest.approx(expected, abs=1e-9)


def test_paired_draws_vary_as_delong_says() -> None:
    """Two AUCs on the same cases: spread and covariance of our draws against the formula."""
    draw = np.random.default_rng(5)
    labels = np.arange(300) % 3 == 0
    shared = draw.normal(0, 1, 300) + labels
    first, second = shared + draw.normal(0, 0.7, (2, 300))
    weights = patient_weights([f"p{row}" for row in range(300)], 4000, seed=6).astype(np.float64)
    draws = [weighted_auc(scores, labels, weights) for scores in (first, second)]
    expected = delong_variance(labels.astype(int), first, second)
    assert np.cov(draws) == pytest.approx(expected, rel=0.1)
    differences = draws[0] - draws[1]
    spread = math.sqrt(expected[0, 0] + expected[1, 1] - 2 * expected[0, 1])
    gap = float(weighted_auc(first, labels, np.ones((1, 300)))[0]) - float(
        weighted_auc(second, labels, np.ones((1, 300)))[0]
    )
    expected = 2 * stats.norm.sf(abs(gap) / spread)
    assert paired_bootstrap_p(differences, gap, patients=300) == pytest.approx(expected, abs=0.05)
