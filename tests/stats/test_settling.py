"""How many runs or patients find a difference, against statsmodels and against simulated tests."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import NormalIndPower, TTestIndPower

from medtransfer.core.errors import ShapeError
from medtransfer.stats.comparisons import Arm
from medtransfer.stats.settling import (
    MOST_RUNS,
    Spread,
    patients_to_settle,
    runs_to_settle,
    settle,
)


def known_power(n: int, effect: float, alpha: float) -> float:
    """Power of the t-test with equal spreads; scipy's non-central t warns where it is 1 anyway."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(TTestIndPower().power(effect, n, alpha, ratio=1.0))


@pytest.mark.parametrize(("effect", "runs"), [(0.5, 64), (1.0, 17)])
def test_the_numbers_of_the_reference(effect: float, runs: int) -> None:
    assert runs_to_settle(1.0, 1.0, effect) == runs


@pytest.mark.parametrize("alpha", [0.05, 0.01, 0.0025])
@pytest.mark.parametrize("effect", [0.1, 0.3, 0.7, 1.3, 2.0, 3.0])
@pytest.mark.parametrize("power", [0.8, 0.95])
def test_equal_spreads_agree_with_statsmodels(effect: float, alpha: float, power: float) -> None:
    runs = runs_to_settle(0.02, 0.02, 0.02 * effect, alpha=alpha, power=power)
    assert runs is not None
    assert known_power(runs, effect, alpha) >= power
    assert runs == 2 or known_power(runs - 1, effect, alpha) < power


@pytest.mark.parametrize(("std_a", "std_b"), [(1.0, 0.25), (0.0, 1.0), (0.6, 0.9)])
def test_unequal_spreads_reach_the_power_in_simulated_welch_tests(std_a: float, std_b: float) -> None:
    runs = runs_to_settle(std_a, std_b, 0.9)
    assert runs is not None
    draw = np.random.default_rng(5)
    shares = []
    for n in (runs, max(2, runs - 2)):
        a = 0.9 + std_a * draw.standard_normal((n, 20_000))
        b = std_b * draw.standard_normal((n, 20_000))
        variance = a.var(axis=0, ddof=1) / n, b.var(axis=0, ddof=1) / n
        freedom = sum(variance) ** 2 / sum(v**2 / (n - 1) for v in variance)
        p = 2 * stats.t.sf(np.abs(a.mean(axis=0) - b.mean(axis=0)) / np.sqrt(sum(variance)), freedom)
        shares.append((p < 0.05).mean())
    assert shares[0] == pytest.approx(0.8, abs=0.06)
    assert shares[0] > 0.785
    assert shares[1] < shares[0]


def test_a_fixed_error_costs_runs_and_can_make_them_useless() -> None:
    """With many runs nothing but the fixed error is left: a normal test with this standard error."""
    margin = 0.02
    limit = margin / (stats.norm.isf(0.025) + stats.norm.ppf(0.8))
    free = runs_to_settle(0.01, 0.01, margin)
    costly = runs_to_settle(0.01, 0.01, margin, fixed_error=0.8 * limit)
    assert free is not None
    assert costly is not None
    assert free < costly
    assert runs_to_settle(0.01, 0.01, margin, fixed_error=1.001 * limit) is None
    large = runs_to_settle(0.01, 0.01, margin, fixed_error=0.99 * limit)
    assert large is not None
    error = math.sqrt(2 * 0.01**2 / large + (0.99 * limit) ** 2)
    assert NormalIndPower().power(margin / error, 2, 0.05, ratio=1.0) == pytest.approx(0.8, abs=0.002)


@settings(deadline=None)
@given(
    st.floats(1e-4, 1.0),
    st.floats(0.0, 1.0),
    st.floats(0.02, 2.0),
    st.sampled_from([0.05, 0.01, 0.001]),
)
def test_more_is_needed_for_less(std_a: float, std_b: float, margin: float, alpha: float) -> None:
    def needed(**changed: float) -> float:
        wanted = {"std_a": std_a, "std_b": std_b, "margin": margin, "alpha": alpha, **changed}
        return runs_to_settle(**wanted) or math.inf

    assert needed() >= 2
    assert needed(margin=margin / 1.5) >= needed()
    assert needed(std_a=std_a * 1.5) >= needed() - 1  # unequal spreads cost degrees of freedom
    assert needed(alpha=alpha / 10) >= needed()
    assert needed(std_a=std_b, std_b=std_a) == needed() if std_b else True


@settings(deadline=None)
@given(st.floats(1e-4, 0.3), st.integers(2, 100_000), st.floats(1e-3, 0.5))
def test_patients_agree_with_the_normal_power_of_statsmodels(
    error: float, patients: int, margin: float
) -> None:
    needed = patients_to_settle(error, patients, margin)

    def power(n: int) -> float:
        return float(stats.norm.sf(stats.norm.isf(0.025) - margin / (error * math.sqrt(patients / n))))

    assert power(needed) >= 0.8 - 1e-9
    assert needed == 2 or power(needed - 1) < 0.8 + 1e-9
    whole = NormalIndPower().power(margin / (error * math.sqrt(patients / needed)), 2, 0.05, ratio=1.0)
    assert whole >= 0.8 - 1e-9


def test_what_settles_a_difference_that_training_hides() -> None:
    found = settle(Spread(Arm(5, 0.8, 0.02), Arm(3, 0.8, 0.02), 1000, 1e-6), 0.02)
    assert found.runs == 17
    assert (found.more_a, found.more_b, found.hurdle) == (12, 14, None)
    assert not found.more_patients


def test_enough_runs_need_no_more() -> None:
    found = settle(Spread(Arm(20, 0.8, 0.02), Arm(30, 0.8, 0.02), 1000, 1e-6), 0.02)
    assert (found.runs, found.more_a, found.more_b) == (17, 0, 0)


def test_too_few_patients_cannot_be_made_up_by_seeds() -> None:
    found = settle(Spread(Arm(5, 0.8, 0.02), Arm(5, 0.8, 0.02), 100, 0.02), 0.02)
    assert (found.runs, found.more_a, found.hurdle) == (None, None, "patients")
    assert found.patients == 785
    assert found.more_patients
    assert found.patients_detectable == pytest.approx(0.02 * 2.8015853, rel=1e-6)


@pytest.mark.parametrize("ratio", [0.4, 0.51, 0.7, 1.0, 3.0])
def test_an_interval_over_patients_wider_than_the_margin_always_asks_for_patients(ratio: float) -> None:
    """Half the width of the interval is 1.96 standard errors."""
    found = settle(Spread(Arm(9, 0.8, 0.02), Arm(9, 0.8, 0.02), 50, 0.02 * ratio), 0.02)
    if 1.96 * ratio > 1:
        assert found.hurdle == "patients"


@pytest.mark.parametrize(
    ("a", "b", "error", "hurdle"),
    [
        (None, None, 0.001, "deterministic"),
        (None, None, None, "deterministic"),
        (Arm(1, 0.8, None), Arm(5, 0.8, 0.01), 0.001, "few-runs"),
        (Arm(5, 0.8, 0.01), Arm(1, 0.8, None), 0.5, "few-runs"),
        (None, Arm(5, 0.8, 0.01), 0.001, "few-runs"),
        (Arm(5, 0.8, 0.0), Arm(5, 0.7, 0.0), 0.001, "no-variation"),
        (Arm(5, 0.8, 0.0), Arm(5, 0.7, 0.0), 0.5, "patients"),
        (Arm(5, 0.8, 5.0), Arm(5, 0.7, 5.0), 0.001, "too-many-runs"),
        (Arm(5, 0.8, 0.01), Arm(5, 0.7, 0.01), None, None),
    ],
)
def test_what_stands_in_the_way(
    a: Arm | None, b: Arm | None, error: float | None, hurdle: str | None
) -> None:
    found = settle(Spread(a, b, 100, error), 0.02)
    assert found.hurdle == hurdle
    assert (found.runs is None) == (hurdle is not None)
    assert (found.patients is None) == (error is None)


def test_one_patient_says_nothing_about_patients() -> None:
    found = settle(Spread(Arm(5, 0.8, 0.01), Arm(5, 0.8, 0.01), 1, None), 0.02)
    assert (found.patients, found.patients_detectable, found.more_patients) == (None, None, False)


def test_more_runs_than_anybody_has_are_not_told() -> None:
    assert runs_to_settle(1.0, 1.0, 0.04) == 9813
    assert runs_to_settle(1.0, 1.0, 0.039) is None
    assert MOST_RUNS == 10_000


@pytest.mark.parametrize(
    "arguments",
    [
        {"margin": 0.0},
        {"margin": math.nan},
        {"std_a": -1.0},
        {"std_b": math.inf},
        {"alpha": 0.9},
        {"power": 1.0},
        {"fixed_error": math.nan},
        {"std_a": 0.0, "std_b": 0.0},
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ShapeError, match="settl"):
        runs_to_settle(**{"std_a": 0.1, "std_b": 0.1, "margin": 0.1, **arguments})


@pytest.mark.parametrize(("error", "patients"), [(-0.1, 10), (math.nan, 10), (0.1, 1)])
def test_patients_out_of_range_are_refused(error: float, patients: int) -> None:
    with pytest.raises(ShapeError, match="patients to settle"):
        patients_to_settle(error, patients, 0.1)
