"""Draws of patients, their intervals and their p-values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from medtransfer.core.errors import ShapeError
from medtransfer.stats import patients as patients_module
from medtransfer.stats.patients import bootstrap_interval, paired_bootstrap_p, patient_weights, smallest_p

IDS = ["a", "a", "b", "c", "c", "c"]


class TestWeights:
    def test_patients_come_whole_and_every_draw_has_as_many(self) -> None:
        weights = patient_weights(IDS, 50, seed=3)
        assert (weights[:, 0] == weights[:, 1]).all()
        assert (weights[:, 3] == weights[:, 5]).all()
        assert (weights[:, [0, 2, 3]].sum(axis=1) == 3).all()

    def test_the_order_of_cases_does_not_matter(self) -> None:
        order = [5, 2, 0, 1, 4, 3]
        weights = patient_weights(IDS, 50, seed=3)
        assert (patient_weights([IDS[i] for i in order], 50, seed=3) == weights[:, order]).all()

    def test_patients_are_drawn_evenly_and_independently(self) -> None:
        weights = patient_weights([f"p{i}" for i in range(10)], 20_000, seed=1)
        assert weights.mean(axis=0) == pytest.approx(np.ones(10), abs=0.04)
        assert weights.var(axis=0) == pytest.approx(np.full(10, 0.9), rel=0.05)  # multinomial: 1 - 1/P
        assert np.cov(weights.T)[0, 1:] == pytest.approx(np.full(9, -0.1), abs=0.03)  # and -1/P

    def test_another_seed_draws_others(self) -> None:
        one, same, other = (patient_weights(IDS, 50, seed=seed) for seed in (1, 1, 2))
        assert (one == same).all()
        assert (one != other).any()

    def test_fewer_draws_are_the_first_of_more(self) -> None:
        assert (patient_weights(IDS, 100, seed=1)[:10] == patient_weights(IDS, 10, seed=1)).all()

    def test_small_portions_draw_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = patient_weights(IDS, 50, seed=3)
        monkeypatch.setattr(patients_module, "_CELLS_AT_ONCE", 21)
        assert (patient_weights(IDS, 50, seed=3) == whole).all()

    @pytest.mark.parametrize(("ids", "draws"), [([], 5), (IDS, 0)])
    def test_nothing_to_draw_is_refused(self, ids: list[str], draws: int) -> None:
        with pytest.raises(ShapeError, match=f"got {len(ids)} cases and {draws} draws"):
            patient_weights(ids, draws, seed=1)


class TestInterval:
    def test_ends_are_quantiles_of_the_defined_draws(self) -> None:
        draws = np.append(np.linspace(0, 1, 101), [np.nan] * 5)
        found = bootstrap_interval(draws, 0.5, patients=50, confidence=0.9)
        assert (found.low, found.high) == pytest.approx((0.05, 0.95))
        assert (found.draws, found.undefined, found.flags, found.reason) == (106, 5, (), None)

    def test_five_in_a_hundred_may_be_undefined(self) -> None:
        kept = bootstrap_interval(np.where(np.arange(100) < 5, np.nan, 0.5), 0.5, patients=50)
        assert (kept.low, kept.undefined_share) == (0.5, 0.05)
        lost = bootstrap_interval(np.where(np.arange(100) < 6, np.nan, 0.5), 0.5, patients=50)
        assert (lost.low, lost.high) == (None, None)
        assert lost.reason == "the metric is undefined in 6 of 100 draws of patients"

    def test_without_a_point_there_is_no_interval(self) -> None:
        found = bootstrap_interval(np.full(10, np.nan), None, patients=50)
        assert (found.low, found.reason) == (None, "the metric is undefined on these cases")

    @pytest.mark.parametrize(("patients", "flags"), [(29, ("few_patients",)), (30, ())])
    def test_few_patients_are_flagged(self, patients: int, flags: tuple[str, ...]) -> None:
        assert bootstrap_interval(np.linspace(0.4, 0.6, 10), 0.5, patients=patients).flags == flags

    @pytest.mark.parametrize("draws", [np.array([np.inf]), np.array([]), np.zeros((2, 2))])
    def test_what_are_no_draws_is_refused(self, draws: Any) -> None:
        with pytest.raises(ShapeError, match="draws: expected finite or NaN values"):
            bootstrap_interval(draws, 0.5, patients=5)

    def test_one_patient_gives_no_interval(self) -> None:
        found = bootstrap_interval(np.full(10, 0.5), 0.5, patients=1)
        assert (found.low, found.high, found.reason) == (None, None, "there are fewer than two patients")
        assert "draws_do_not_differ" not in found.flags

    def test_draws_that_do_not_differ_are_flagged(self) -> None:
        perfect = bootstrap_interval(np.full(10, 1.0), 1.0, patients=40)
        assert (perfect.low, perfect.high, perfect.flags) == (1.0, 1.0, ("draws_do_not_differ",))
        rounded = bootstrap_interval(np.array([0.3, 0.1 + 0.2, np.nan] + [0.3] * 30), 0.3, patients=40)
        assert rounded.flags == ("draws_do_not_differ",)
        assert bootstrap_interval(np.array([1.0, 1.0, 0.999]), 1.0, patients=40).flags == ()

    def test_a_level_is_a_share(self) -> None:
        with pytest.raises(ShapeError, match="confidence: expected a share"):
            bootstrap_interval(np.array([0.5]), 0.5, patients=50, confidence=95)


MANY = 1000
"""Patients with which draws are hardly moved, and no p-value is too small."""


class TestP:
    def test_it_counts_the_observed_one_and_both_sides(self) -> None:
        differences = np.array([0.1] * 96 + [-0.1] * 3)
        assert paired_bootstrap_p(differences, 0.09, patients=MANY) == 2 * 4 / 100
        assert paired_bootstrap_p(-differences, -0.09, patients=MANY) == 2 * 4 / 100

    def test_draws_at_zero_count_for_both_sides(self) -> None:
        assert paired_bootstrap_p(np.zeros(50), 0.0, patients=MANY) == 1.0
        some = np.array([0.1] * 94 + [0.0] * 5)
        assert paired_bootstrap_p(some, 0.095, patients=MANY) == pytest.approx(2 * 6 / 100)

    @pytest.mark.parametrize("df", [None, 4.5])
    def test_normal_draws_give_the_p_of_the_t_test(self, df: float | None) -> None:
        draws = 0.05 + 0.02 * stats.norm.ppf(np.arange(1, 10_000) / 10_000)
        found = paired_bootstrap_p(draws, 0.05, patients=10, df=df)
        assert found == pytest.approx(2 * stats.t.sf(0.05 / 0.02, df or 9), abs=2e-4)

    def test_it_has_a_floor(self) -> None:
        sure = np.full(9999, 0.1)
        assert paired_bootstrap_p(sure, 0.1, patients=MANY) == smallest_p(9999, MANY) == 2e-4
        assert smallest_p(1, MANY) == 1.0

    @pytest.mark.parametrize("patients", [2, 3, 4, 5, 6, 10])
    def test_no_p_is_below_that_of_turned_signs(self, patients: int) -> None:
        """The smallest p of all sign patterns is that of differences with one sign: two patterns of 2^n."""
        expected = 2 / 2**patients
        sure = np.full(9999, 0.1)
        assert paired_bootstrap_p(sure, 0.1, patients=patients) == smallest_p(9999, patients) == expected

    def test_one_patient_gives_none(self) -> None:
        assert paired_bootstrap_p(np.full(100, 0.1), 0.1, patients=1) is None
        assert smallest_p(9999, 1) == 1.0

    def test_undefined_draws_leave_it_or_end_it(self) -> None:
        draws = np.full(100, 0.1)
        draws[:5] = np.nan
        assert paired_bootstrap_p(draws, 0.1, patients=MANY) == pytest.approx(2 / 96)
        draws[5] = np.nan
        assert paired_bootstrap_p(draws, 0.1, patients=MANY) is None
