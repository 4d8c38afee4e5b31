"""Tie groups, comparisons, corrections and bootstraps at their edges."""

from __future__ import annotations

import numpy as np
import pytest

from medtransfer.core.errors import ShapeError, UsageError
from medtransfer.stats.case_comparisons import compare_by_cases
from medtransfer.stats.comparisons import Arm, welch
from medtransfer.stats.corrections import holm
from medtransfer.stats.patients import bootstrap_interval, patient_weights, smallest_p
from medtransfer.stats.power import detectable_from_standard_error, minimum_detectable_difference
from medtransfer.stats.summaries import sample_std, summarise_runs
from medtransfer.stats.ties import tie_group, tie_group_by_cases
from medtransfer.stats.wording import (
    describe_comparison,
    describe_interval,
    describe_runs,
    describe_standing,
    describe_tie_group,
)

SCORES = {
    "best": [0.90, 0.91, 0.92],
    "near": [0.89, 0.90, 0.93],
    "far": [0.70, 0.71, 0.72],
    "once": [0.99],
    "failed": [],
}
FORBIDDEN = ("equal", "equivalent", "comparable", "match", "same as", "as good as")


class TestRuns:
    def test_one_run_has_no_spread(self) -> None:
        found = summarise_runs([0.5])
        assert (found.n, found.std, found.low, found.high) == (1, None, None, None)

    def test_rounding_is_no_spread(self) -> None:
        assert sample_std([0.1 + 0.2, 0.3]) == 0.0
        assert summarise_runs([0.3, 0.3]).low == pytest.approx(0.3)

    @pytest.mark.parametrize("values", [[], [0.5, float("nan")], [float("inf")]])
    def test_what_is_no_result_is_refused(self, values: list[float]) -> None:
        with pytest.raises(ShapeError, match="runs: expected"):
            summarise_runs(values)

    def test_an_interval_may_leave_the_range(self) -> None:
        assert summarise_runs([0.99, 0.9, 1.0]).leaves(0, 1)
        assert not summarise_runs([0.5, 0.51]).leaves(0, 1)


class TestWelch:
    def test_direction_decides_who_leads_once(self) -> None:
        assert welch([1.0, 1.1], [2.0, 2.2]).leader == "b"
        assert welch([1.0, 1.1], [2.0, 2.2], "lower").leader == "a"

    def test_without_spread_there_is_no_p(self) -> None:
        found = welch([0.5, 0.5], [0.7, 0.7])
        assert (found.p, found.flags) == (None, ("zero_variance",))
        assert not found.significant()

    def test_one_run_is_undetermined(self) -> None:
        found = welch([0.5], [0.7, 0.8])
        assert (found.p, found.low, found.flags) == (None, None, ("undetermined",))

    def test_one_constant_arm_is_flagged_and_tested(self) -> None:
        found = welch([0.5, 0.5, 0.5], [0.7, 0.8, 0.75])
        assert found.flags == ("constant_arm",)
        assert found.p is not None

    def test_identical_runs_are_not_significant(self) -> None:
        found = welch([0.5, 0.6], [0.5, 0.6])
        assert found.p == 1.0
        assert found.leader is None

    def test_unknown_words_and_arms_are_refused(self) -> None:
        with pytest.raises(UsageError, match="sidedness"):
            welch([1, 2], [2, 3], sidedness="both")  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="direction"):
            welch([1, 2], [2, 3], "up")  # type: ignore[arg-type]
        with pytest.raises(ShapeError, match="number of runs cannot be tested"):
            Arm(0, 0.5, None)

    def test_relative_difference_needs_positive_means(self) -> None:
        assert welch([-0.1, 0.0], [0.2, 0.3]).relative_percent is None


class TestTieGroup:
    def test_members_separated_and_undetermined(self) -> None:
        group = tie_group(SCORES)
        assert group.best == "best"
        assert group.members == ("best", "near")
        assert group.undetermined == ("failed", "once")
        assert {name: group.standing(name) for name in SCORES} == {
            "best": "best",
            "near": "not-separable",
            "far": "separated",
            "once": "undetermined",
            "failed": "undetermined",
        }
        assert (group.family_size, group.correction) == (2, "Holm")
        assert set(group.family) == set(SCORES)

    def test_lower_may_be_better(self) -> None:
        assert tie_group(SCORES, higher_is_better=False).best == "far"

    def test_order_of_models_and_runs_changes_nothing(self) -> None:
        mixed = {name: SCORES[name][::-1] for name in reversed(SCORES)}
        assert tie_group(mixed) == tie_group(SCORES)

    def test_models_that_never_vary(self) -> None:
        group = tie_group({"a": [0.8, 0.8], "b": [0.8, 0.8], "c": [0.7, 0.7]})
        assert group.members == ("a", "b")
        assert group.undetermined == ("c",)

    def test_adjusted_p_is_holm_over_the_tests_with_the_best(self) -> None:
        group = tie_group(SCORES)
        raw = [welch(SCORES["best"], SCORES[name]).p for name in ("near", "far")]
        assert [group.adjusted_p[name] for name in ("near", "far")] == list(holm(raw).values)

    def test_a_lone_model_and_none(self) -> None:
        assert tie_group({"a": [0.5, 0.6]}).members == ("a",)
        assert tie_group({}).best is None
        with pytest.raises(ShapeError, match="expected one of"):
            tie_group(SCORES).standing("nobody")

    def test_over_patients(self) -> None:
        draw = np.random.default_rng(0)
        shared = draw.normal(0, 0.02, 1000)
        draws = {
            "a": 0.9 + shared,
            "b": 0.895 + shared + draw.normal(0, 0.01, 1000),
            "c": 0.7 + shared,
            "d": np.full(1000, np.nan),
        }
        points = {"a": 0.9, "b": 0.895, "c": 0.7, "d": None}
        group = tie_group_by_cases(points, draws, patients=50)
        assert (group.best, group.members, group.undetermined) == ("a", ("a", "b"), ("d",))
        assert group.unit == "patients"
        assert group.n == dict.fromkeys("abcd", 50)
        assert group.smallest_adjusted_p == pytest.approx(2 * smallest_p(1000))
        with pytest.raises(ShapeError, match=r"got none for \['a', 'c'\]"):
            tie_group_by_cases(points, {"b": draws["b"]}, patients=50)


class TestCases:
    def test_pairs_share_their_draws(self) -> None:
        shared = np.random.default_rng(1).normal(0, 0.1, 2000)
        found = compare_by_cases(0.8, 0.75, 0.8 + shared, 0.75 + shared, patients=40)
        assert found.p == pytest.approx(smallest_p(2000))
        assert (found.low, found.high) == pytest.approx((0.05, 0.05))
        assert (found.paired, found.unit) == (True, "patients")

    def test_too_many_undefined_draws_or_one_patient_give_no_p(self) -> None:
        draws = np.linspace(0.5, 0.9, 100)
        holes = np.where(np.arange(100) < 6, np.nan, draws)
        found = compare_by_cases(0.7, 0.6, holes, draws, patients=40)
        assert (found.p, found.flags) == (None, ("undetermined", "too_many_undefined_draws"))
        assert compare_by_cases(0.7, 0.6, draws, draws, patients=1).flags == ("undetermined",)
        with pytest.raises(ShapeError, match="same draws"):
            compare_by_cases(0.7, 0.6, draws, draws[:50], patients=40)

    def test_patients_come_whole_and_every_draw_has_as_many(self) -> None:
        ids = ["a", "a", "b", "c", "c", "c"]
        weights = patient_weights(ids, 50, seed=3)
        assert (weights[:, 0] == weights[:, 1]).all()
        assert (weights[:, 3] == weights[:, 5]).all()
        assert (weights[:, [0, 2, 3]].sum(axis=1) == 3).all()
        order = [5, 2, 0, 1, 4, 3]
        assert (patient_weights([ids[i] for i in order], 50, seed=3) == weights[:, order]).all()
        with pytest.raises(ShapeError, match="0 draws"):
            patient_weights(ids, 0, seed=1)

    def test_an_interval_says_why_there_is_none(self) -> None:
        draws = np.where(np.arange(100) < 10, np.nan, 0.5)
        assert "undefined in 10 of 100" in (bootstrap_interval(draws, 0.5, patients=50).reason or "")
        assert bootstrap_interval(draws, None, patients=50).low is None
        kept = bootstrap_interval(np.where(np.arange(100) < 5, np.nan, 0.5), 0.5, patients=50)
        assert (kept.low, kept.undefined_share, kept.flags) == (0.5, 0.05, ())
        with pytest.raises(ShapeError, match="draws"):
            bootstrap_interval(np.array([np.inf]), 0.5, patients=5)


class TestPower:
    def test_it_scales_with_the_deviation_and_falls_with_n(self) -> None:
        assert minimum_detectable_difference(0.02, 5) == pytest.approx(
            0.02 * minimum_detectable_difference(1, 5)
        )
        assert minimum_detectable_difference(1, 10) < minimum_detectable_difference(1, 5)
        assert detectable_from_standard_error(0.01) == pytest.approx(0.02802, abs=1e-5)

    @pytest.mark.parametrize(("std", "n"), [(1.0, 1), (-1.0, 5), (float("nan"), 5)])
    def test_nonsense_is_refused(self, std: float, n: int) -> None:
        with pytest.raises(ShapeError, match="detectable difference"):
            minimum_detectable_difference(std, n)


class TestCorrections:
    def test_null_leaves_the_family_and_is_counted(self) -> None:
        found = holm([0.01, None, 0.04])
        assert found.values == pytest.approx((0.02, None, 0.04))
        assert (found.tests, found.without_p) == (2, 1)
        assert holm([]).values == ()

    @pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
    def test_what_is_no_probability_is_refused(self, p: float) -> None:
        with pytest.raises(ShapeError, match="p-values"):
            holm([0.5, p])


class TestWording:
    def sentences(self) -> list[str]:
        group = tie_group(SCORES)
        close = welch(SCORES["best"], SCORES["near"])
        return [
            describe_tie_group(group),
            *(describe_standing(group, name) for name in SCORES),
            describe_comparison(close, "best", "near"),
            describe_comparison(welch([0.5, 0.5], [0.5, 0.5]), "a", "b"),
            describe_runs(summarise_runs(SCORES["best"])),
            describe_interval(bootstrap_interval(np.full(10, 0.5), 0.5, patients=5)),
        ]

    def test_a_missing_difference_is_never_worded_as_agreement(self) -> None:
        for sentence in self.sentences():
            assert not any(word in sentence.lower() for word in FORBIDDEN), sentence

    def test_not_separable_says_n_and_what_would_have_been_found(self) -> None:
        group = tie_group(SCORES)
        assert describe_standing(group, "near").startswith(
            "not separable from the best at n = 3; smallest detectable"
        )
        text = describe_tie_group(group)
        assert (
            "Not separable from the best, best, at n = 3: near (2 tests, Holm correction, alpha 0.05)" in text
        )
        assert text.endswith("Undetermined: failed, once.")

    def test_a_winner_is_named_with_its_test(self) -> None:
        text = describe_comparison(welch(SCORES["best"], SCORES["far"]), "best", "far")
        assert text.startswith("best is better than far: difference +0.200")
        assert "Welch t, two-sided, n = 3 and 3 runs" in text

    def test_few_patients_and_few_draws_are_said(self) -> None:
        interval = bootstrap_interval(np.full(10, 0.5), 0.5, patients=5)
        assert "few patients" in describe_interval(interval)
        draws = {"a": np.array([0.8, 0.9, 0.85]), "b": np.array([0.7, 0.6, 0.65])}
        group = tie_group_by_cases({"a": 0.85, "b": 0.65}, draws, patients=40)
        assert "cannot be significant with so few draws" in describe_standing(group, "b")
