"""Equivalence within a margin, against statsmodels and by the interval it is equal to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm, t
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from medtransfer.core.errors import ShapeError
from medtransfer.stats.equivalence import equivalence_by_cases, equivalence_of_pairs, equivalence_of_runs

D = [0.002, -0.001, 0.003, 0, -0.002, 0.001, 0.004, -0.003, 0.002, 0.001]
runs = st.lists(st.floats(-1, 1).map(lambda value: round(value, 4)), min_size=2, max_size=9)


def test_the_reference_values() -> None:
    found = equivalence_of_pairs(D, 0.005)
    assert found.difference == pytest.approx(0.0007)
    assert (found.t_low, found.t_high) == (pytest.approx(8.142857143), pytest.approx(-6.142857143))
    assert found.p == pytest.approx(8.5091e-05, rel=1e-4)
    assert found.equivalent
    assert not equivalence_of_pairs(D, 0.001).equivalent


@settings(deadline=None)
@given(a=runs, b=runs, margin=st.floats(0.01, 2))
def test_unpaired_runs_are_statsmodels_unequal_variance(
    a: list[float], b: list[float], margin: float
) -> None:
    found = equivalence_of_runs(a, b, margin)
    if found.p is None:
        assert len({*a}) == len({*b}) == 1
        return
    compared = CompareMeans(DescrStatsW(np.array(a)), DescrStatsW(np.array(b)))
    p, (low, high) = compared.ttost_ind(-margin, margin, usevar="unequal")
    assert found.p == pytest.approx(p, rel=1e-9, abs=1e-12)
    assert (found.t_low, found.t_high) == (pytest.approx(low[0], rel=1e-9), pytest.approx(high[0], rel=1e-9))
    assert found.low is not None
    assert found.high is not None
    if abs(found.p - found.alpha) > 1e-9:
        assert found.equivalent == (-margin < found.low and found.high < margin)


def test_one_run_or_no_variation_decides_nothing() -> None:
    for found in (
        equivalence_of_runs([0.8], [0.8, 0.81], 0.01),
        equivalence_of_runs([0.8, 0.8], [0.8, 0.8], 0.01),
        equivalence_of_pairs([0.0, 0.0], 0.01),
        equivalence_of_pairs([0.1], 0.01),
    ):
        assert (found.p, found.low, found.equivalent) == (None, None, False)


@pytest.mark.parametrize(("margin", "alpha"), [(0, 0.05), (-1, 0.05), (float("nan"), 0.05), (1, 0.6)])
def test_margins_and_levels_out_of_range_are_refused(margin: float, alpha: float) -> None:
    with pytest.raises(ShapeError, match="a positive margin and alpha"):
        equivalence_of_pairs(D, margin, alpha=alpha)


class TestOverPatients:
    """Draws of deterministic cells, where no seed can tell how sure the difference is."""

    SHARED = np.random.default_rng(1).normal(0, 0.05, 4000)

    def test_a_normal_difference_gives_the_normal_tests(self) -> None:
        noise = np.random.default_rng(2).normal(0, 0.004, 4000)
        found = equivalence_by_cases(
            0.802, 0.8, 0.802 + self.SHARED + noise, 0.8 + self.SHARED, 0.01, patients=50
        )
        expected = max(norm.sf((0.01 + 0.002) / 0.004), norm.cdf((0.002 - 0.01) / 0.004))
        assert found.p == pytest.approx(expected, abs=0.006)
        half = t.ppf(0.95, 49) * 0.004
        assert (found.low, found.high) == pytest.approx((0.002 - half, 0.002 + half), abs=3e-4)
        assert (found.equivalent, found.unit, found.paired) == (True, "patients", True)
        assert (found.t_low, found.t_high, found.df) == (None, None, None)
        assert found.difference == pytest.approx(0.002)

    @settings(deadline=None)
    @given(st.integers(0, 10**6), st.floats(0.001, 0.05), st.integers(20, 200))
    def test_it_is_equivalent_only_where_the_interval_lies_within(
        self, seed: int, margin: float, draws: int
    ) -> None:
        d = np.random.default_rng(seed).normal(0.005, 0.01, draws)
        found = equivalence_by_cases(0.505, 0.5, 0.5 + d, np.full(draws, 0.5), margin, patients=9, alpha=0.1)
        ends = 0.005 + t.ppf(0.9, 8) / norm.ppf(0.9) * (np.quantile(d, [0.1, 0.9]) - 0.005)
        assert (found.low, found.high) == pytest.approx(tuple(ends))
        if found.equivalent:
            assert max(abs(found.low or 0), abs(found.high or 0)) < margin
        elif found.p is not None and found.p > 0.1 + 2 / draws:  # one draw of slack between rank and quantile
            assert max(abs(found.low or 0), abs(found.high or 0)) >= margin

    def test_it_counts_the_draws_beyond_the_margin_and_the_observed_one(self) -> None:
        line = np.concatenate([np.full(3, -0.02), np.full(94, 0.0), np.full(2, 0.02)])
        found = equivalence_by_cases(0.5, 0.5, 0.5 + line, np.full(99, 0.5), 0.01, patients=50)
        assert found.p == pytest.approx(4 / 100)
        at_the_margin = equivalence_by_cases(0.5, 0.5, line, np.zeros(99), 0.02, patients=50)
        assert at_the_margin.p == pytest.approx(4 / 100)

    @pytest.mark.parametrize(("patients", "shown"), [(12, False), (50, False), (298, False), (299, True)])
    def test_equal_scores_say_nothing_of_patients_who_were_not_there(
        self, patients: int, shown: bool
    ) -> None:
        found = equivalence_by_cases(0.8, 0.8, self.SHARED, self.SHARED, 0.01, patients=patients)
        # none of n patients differs although one in a hundred does
        assert found.p == pytest.approx(binom.pmf(0, patients, 0.01))
        assert found.equivalent is shown
        rounded = equivalence_by_cases(0.8, 0.8, self.SHARED + 1e-17, self.SHARED, 0.01, patients=patients)
        assert rounded.p == found.p
        perfect = equivalence_by_cases(1.0, 1.0, np.ones(99), np.ones(99), 0.01, patients=patients)
        assert not perfect.equivalent or shown

    @pytest.mark.parametrize("df", [None, 3.5])
    def test_few_patients_give_the_p_of_the_t_test(self, df: float | None) -> None:
        draws = 0.002 + 0.004 * norm.ppf(np.arange(1, 10_000) / 10_000)
        found = equivalence_by_cases(0.802, 0.8, draws, np.zeros(9999), 0.01, patients=12, df=df)
        assert found.p == pytest.approx(t.sf((0.01 - 0.002) / 0.004, df or 11), abs=2e-4)

    @pytest.mark.parametrize("patients", [2, 3, 4, 5, 8])
    def test_no_p_is_below_that_of_turned_signs(self, patients: int) -> None:
        near = self.SHARED + np.linspace(-1e-4, 1e-4, len(self.SHARED))
        found = equivalence_by_cases(0.8, 0.8, near, self.SHARED, 0.1, patients=patients)
        assert found.p == 2**-patients
        assert found.equivalent == (patients > 4)
        assert (found.low is None) == (patients <= 4)

    def test_one_patient_or_too_many_undefined_draws_decide_nothing(self) -> None:
        holes = np.where(np.arange(100) < 6, np.nan, 0.5)
        for found in (
            equivalence_by_cases(0.5, 0.5, np.full(100, 0.5), np.full(100, 0.5), 0.01, patients=1),
            equivalence_by_cases(0.5, 0.5, holes, np.full(100, 0.5), 0.01, patients=50),
        ):
            assert (found.p, found.low, found.high, found.equivalent) == (None, None, None, False)
        few = np.where(np.arange(100) < 5, np.nan, np.linspace(0.499, 0.501, 100))
        assert equivalence_by_cases(0.5, 0.5, few, np.full(100, 0.5), 0.01, patients=50).p == pytest.approx(
            1 / 96
        )

    def test_what_does_not_fit_is_refused(self) -> None:
        with pytest.raises(ShapeError, match="same draws for both models"):
            equivalence_by_cases(0.5, 0.5, np.zeros(5), np.zeros(6), 0.01, patients=50)
        with pytest.raises(ShapeError, match="expected finite points"):
            equivalence_by_cases(float("nan"), 0.5, np.zeros(5), np.zeros(5), 0.01, patients=50)
        with pytest.raises(ShapeError, match="a positive margin"):
            equivalence_by_cases(0.5, 0.5, np.zeros(5), np.zeros(5), 0.0, patients=50)
