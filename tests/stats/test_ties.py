"""Who is in the tie group, who is out, and who is neither."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medtransfer.core.errors import ShapeError
from medtransfer.stats.comparisons import welch
from medtransfer.stats.corrections import holm
from medtransfer.stats.patients import smallest_p
from medtransfer.stats.power import detectable_from_standard_error, minimum_detectable_difference
from medtransfer.stats.ties import tie_group, tie_group_by_cases

SCORES = {
    "best": [0.90, 0.91, 0.92],
    "near": [0.89, 0.90, 0.93],
    "far": [0.70, 0.71, 0.72],
    "once": [0.99],
    "failed": [],
}


class TestOverRuns:
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
        assert (group.family_size, group.correction, group.unit) == (2, "Holm", "runs")
        assert group.n == {"best": 3, "near": 3, "far": 3, "once": 1, "failed": 0}
        assert set(group.family) == set(SCORES)

    def test_lower_may_be_better(self) -> None:
        group = tie_group(SCORES, higher_is_better=False)
        assert (group.best, group.members) == ("far", ("far",))
        assert all(comparison.leader == "a" for comparison in group.comparisons.values())

    def test_order_of_models_and_runs_changes_nothing(self) -> None:
        mixed = {name: SCORES[name][::-1] for name in reversed(SCORES)}
        assert tie_group(mixed) == tie_group(SCORES)

    def test_models_that_never_vary(self) -> None:
        group = tie_group({"a": [0.8, 0.8], "b": [0.8, 0.8], "c": [0.7, 0.7]})
        assert group.members == ("a", "b")
        assert group.undetermined == ("c",)
        assert (group.adjusted_p, group.family_size) == ({"b": None, "c": None}, 0)

    def test_one_that_never_varies_is_tested_against_one_that_does(self) -> None:
        group = tie_group({"a": [0.8, 0.8, 0.8], "b": [0.5, 0.55, 0.6]})
        assert group.standing("b") == "separated"
        assert group.comparisons["b"].flags == ("constant_arm",)

    def test_adjusted_p_is_holm_over_the_tests_with_the_best(self) -> None:
        group = tie_group(SCORES)
        raw = [welch(SCORES["best"], SCORES[name]).p for name in ("near", "far")]
        assert [group.adjusted_p[name] for name in ("near", "far")] == list(holm(raw).values)
        assert group.adjusted_p["once"] is None
        assert "best" not in group.adjusted_p

    def test_alpha_decides(self) -> None:
        scores = {"a": [0.90, 0.92, 0.94], "b": [0.85, 0.87, 0.89]}
        p = tie_group(scores).adjusted_p["b"]
        assert p is not None
        assert tie_group(scores, alpha=p).standing("b") == "not-separable"
        assert tie_group(scores, alpha=p * 1.001).standing("b") == "separated"

    def test_the_detectable_difference_is_at_the_corrected_rate(self) -> None:
        scores = {"a": [0.90, 0.91, 0.92], "b": [0.89, 0.90, 0.94], "c": [0.88, 0.90, 0.93]}
        group = tie_group(scores)
        pooled = ((np.var(scores["a"], ddof=1) + np.var(scores["b"], ddof=1)) / 2) ** 0.5
        expected = minimum_detectable_difference(float(pooled), 3, alpha=0.05 / 2)
        assert group.comparisons["b"].minimum_detectable_effect == pytest.approx(expected)
        assert group.minimum_detectable_difference == max(
            comparison.minimum_detectable_effect for comparison in group.comparisons.values()
        )

    def test_a_failed_run_changes_only_n(self) -> None:
        """Runs that gave no number stay outside; the others keep their values."""
        group = tie_group({**SCORES, "near": SCORES["near"][:2]})
        assert group.comparisons["near"].n_b == 2
        assert group.comparisons["far"] == replace(
            tie_group(SCORES).comparisons["far"], adjusted_p=group.adjusted_p["far"]
        )
        with pytest.raises(ShapeError, match="Leave failed runs out"):
            tie_group({**SCORES, "near": [0.9, float("nan")]})

    def test_a_lone_model_and_none(self) -> None:
        lone = tie_group({"a": [0.5, 0.6]})
        assert (lone.members, lone.family_size, lone.minimum_detectable_difference) == (("a",), 0, None)
        assert (tie_group({}).best, tie_group({}).members) == (None, ())
        with pytest.raises(ShapeError, match=r"tie group: expected one of .*, got 'nobody'"):
            tie_group(SCORES).standing("nobody")

    def test_models_with_one_mean_are_ordered_by_name(self) -> None:
        scores = {"b": [0.5, 0.6], "a": [0.6, 0.5]}
        assert tie_group(scores).members == ("a", "b")


class TestOverPatients:
    def cells(self) -> tuple[dict[str, float | None], dict[str, np.ndarray]]:
        draw = np.random.default_rng(0)
        shared = draw.normal(0, 0.02, 1000)
        draws = {
            "a": 0.9 + shared,
            "b": 0.895 + shared + draw.normal(0, 0.01, 1000),
            "c": 0.7 + shared,
            "d": np.full(1000, np.nan),
        }
        return {"a": 0.9, "b": 0.895, "c": 0.7, "d": None}, draws

    def test_members_separated_and_undetermined(self) -> None:
        points, draws = self.cells()
        group = tie_group_by_cases(points, draws, patients=50)
        assert (group.best, group.members, group.undetermined) == ("a", ("a", "b"), ("d",))
        assert group.unit == "patients"
        assert group.n == dict.fromkeys("abcd", 50)
        assert group.smallest_adjusted_p == pytest.approx(2 * smallest_p(1000, 50))
        assert group.adjusted_p["c"] == pytest.approx(2 * smallest_p(1000, 50))

    def test_few_patients_separate_nobody(self) -> None:
        points, draws = self.cells()
        group = tie_group_by_cases(points, draws, patients=5)
        assert group.members == ("a", "b", "c")
        assert group.smallest_adjusted_p == group.adjusted_p["c"] == 2 * 2**-4

    def test_the_detectable_difference_is_at_the_corrected_rate(self) -> None:
        points, draws = self.cells()
        group = tie_group_by_cases(points, draws, patients=50)
        spread = float(np.std(draws["a"] - draws["b"], ddof=1))
        expected = detectable_from_standard_error(spread, alpha=0.05 / 2)
        assert group.comparisons["b"].minimum_detectable_effect == pytest.approx(expected)
        assert group.minimum_detectable_difference == group.comparisons["b"].minimum_detectable_effect

    def test_a_point_without_draws_is_refused(self) -> None:
        points, draws = self.cells()
        with pytest.raises(ShapeError, match=r"got none for \['a', 'c'\]"):
            tie_group_by_cases(points, {"b": draws["b"]}, patients=50)

    def test_too_many_undefined_draws_leave_a_model_undetermined(self) -> None:
        points, draws = self.cells()
        draws["b"][:100] = np.nan
        group = tie_group_by_cases(points, draws, patients=50)
        assert group.undetermined == ("b", "d")
        assert group.family_size == 1

    def test_lower_may_be_better(self) -> None:
        points, draws = self.cells()
        group = tie_group_by_cases(points, draws, patients=50, higher_is_better=False)
        assert (group.best, group.members) == ("c", ("c",))

    def test_one_patient_tells_nothing(self) -> None:
        points, draws = self.cells()
        group = tie_group_by_cases(points, draws, patients=1)
        assert (group.best, group.members, group.undetermined) == (None, (), ("a", "b", "c", "d"))
