"""All pairs of models as one family: both orders, Holm over every pair, who outperforms whom."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from medtransfer.core.errors import ShapeError
from medtransfer.stats.case_comparisons import compare_by_cases
from medtransfer.stats.comparison_record import Comparison
from medtransfer.stats.comparisons import welch
from medtransfer.stats.pairwise import pairwise_by_cases, pairwise_by_runs
from medtransfer.stats.patients import smallest_p

SCORES = {
    "far": [0.70, 0.71, 0.72],
    "near": [0.89, 0.90, 0.93],
    "best": [0.90, 0.91, 0.92],
    "once": [0.99],
    "failed": [],
}
CORRECTED = {"adjusted_p", "correction", "family_size"}


def same(one: Comparison, other: Comparison, *, without: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    for field in fields(Comparison):
        if field.name in without:
            continue
        expected = getattr(other, field.name)
        wanted = pytest.approx(expected, rel=1e-9, abs=1e-12) if isinstance(expected, float) else expected
        assert getattr(one, field.name) == wanted, field.name


class TestOverRuns:
    def test_every_ordered_pair_is_the_welch_test_of_the_two(self) -> None:
        found = pairwise_by_runs(SCORES)
        assert found.models == ("best", "failed", "far", "near", "once")
        assert set(found.comparisons) == set(permutations(("best", "far", "near", "once"), 2))
        for (a, b), comparison in found.comparisons.items():
            same(comparison, welch(SCORES[a], SCORES[b], alpha=0.05 / 3), without=CORRECTED)

    def test_holm_runs_over_all_pairs_that_have_a_p(self) -> None:
        found = pairwise_by_runs(SCORES)
        tested = list(combinations(("best", "far", "near"), 2))
        raw = [stats.ttest_ind(SCORES[a], SCORES[b], equal_var=False).pvalue for a, b in tested]
        for (a, b), expected in zip(tested, multipletests(raw, method="holm")[1], strict=True):
            for pair in ((a, b), (b, a)):
                assert found.comparisons[pair].adjusted_p == pytest.approx(expected, abs=1e-12)
                assert found.comparisons[pair].family_size == 3
        assert (found.family_size, found.without_p, found.correction) == (3, 7, "Holm")
        assert found.separated("far", "best")
        assert not found.separated("near", "best")
        assert not found.separated("once", "best")

    @pytest.mark.parametrize("higher", [True, False])
    def test_outperforming_is_u_over_the_pairs_and_follows_the_direction(self, higher: bool) -> None:
        found = pairwise_by_runs(SCORES, higher)
        for a, b in permutations(("best", "far", "near"), 2):
            one, other = (SCORES[a], SCORES[b]) if higher else (SCORES[b], SCORES[a])
            u = stats.mannwhitneyu(one, other, method="asymptotic").statistic
            assert found.outperforms[a, b] == pytest.approx(u / 9)
        assert found.outperforms["once", "best"] is None
        assert found.comparisons["best", "far"].leader == ("a" if higher else "b")

    def test_runs_that_never_vary_have_neither_p_nor_chance(self) -> None:
        found = pairwise_by_runs({"a": [0.8, 0.8], "b": [0.7, 0.7], "c": [0.7, 0.9]})
        assert found.comparisons["a", "b"].flags == ("zero_variance",)
        assert found.outperforms["a", "b"] is None
        assert found.outperforms["a", "c"] == 0.5
        assert (found.family_size, found.without_p) == (2, 1)
        assert not found.separated("a", "b")

    def test_a_missing_model_has_no_comparison_and_a_stranger_is_refused(self) -> None:
        found = pairwise_by_runs(SCORES)
        assert found.between("best", "failed") is None
        assert not found.separated("failed", "best")
        with pytest.raises(ShapeError, match=r"pair: expected two of .*, got 'nobody'"):
            found.between("best", "nobody")
        with pytest.raises(ShapeError, match="got 'best' twice"):
            found.between("best", "best")

    def test_one_model_and_none(self) -> None:
        for scores in ({}, {"a": [0.5, 0.6]}, {"a": []}):
            found = pairwise_by_runs(scores)
            assert (found.comparisons, found.family_size, found.without_p) == ({}, 0, 0)

    @settings(deadline=None, max_examples=40)
    @given(
        st.dictionaries(
            st.sampled_from("abcdef"),
            st.lists(st.integers(0, 6).map(lambda value: value / 8), min_size=1, max_size=4),
            max_size=5,
        ),
        st.randoms(),
    )
    def test_order_changes_nothing_and_pairs_mirror(self, scores: dict[str, list[float]], order) -> None:
        found = pairwise_by_runs(scores)
        names = order.sample(list(scores), len(scores))
        assert pairwise_by_runs({n: order.sample(scores[n], len(scores[n])) for n in names}) == found
        for (a, b), comparison in found.comparisons.items():
            same(comparison, welch(scores[a], scores[b], alpha=comparison.alpha), without=CORRECTED)
            chance, back = found.outperforms[a, b], found.outperforms[b, a]
            assert (chance is None) == (back is None)
            assert chance is None or chance + back == pytest.approx(1)


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
        return {"c": 0.7, "d": None, "a": 0.9, "b": 0.895}, draws

    def test_every_ordered_pair_is_the_paired_bootstrap_of_the_two(self) -> None:
        points, draws = self.cells()
        found = pairwise_by_cases(points, draws, patients=50)
        assert set(found.comparisons) == set(permutations("abc", 2))
        ends = {"relative_low", "relative_high"}
        for (a, b), comparison in found.comparisons.items():
            direct = compare_by_cases(
                points[a],
                points[b],
                draws[a],
                draws[b],
                patients=50,
                alpha=0.05 / 3,  # type: ignore[arg-type]
            )
            same(comparison, direct, without=CORRECTED | ends)
            for end in ends:
                assert getattr(comparison, end) == pytest.approx(getattr(direct, end), rel=1e-9)

    def test_holm_the_floor_and_what_runs_cannot_say(self) -> None:
        points, draws = self.cells()
        found = pairwise_by_cases(points, draws, patients=50)
        pairs = list(combinations("abc", 2))
        raw = [found.comparisons[pair].p for pair in pairs]
        expected = multipletests(raw, method="holm")[1]
        assert [found.comparisons[pair].adjusted_p for pair in pairs] == pytest.approx(list(expected))
        assert (found.family_size, found.without_p) == (3, 3)
        assert found.smallest_adjusted_p == pytest.approx(3 * smallest_p(1000, 50))
        few = pairwise_by_cases(points, draws, patients=5)
        assert few.smallest_adjusted_p == few.comparisons["a", "c"].adjusted_p == 3 * 2**-4
        assert set(found.outperforms.values()) == {None}
        assert found.n == dict.fromkeys("abcd", 50)
        assert found.separated("a", "c")
        assert not found.separated("a", "b")

    def test_draws_at_zero_leave_no_relative_interval(self) -> None:
        line = np.linspace(0.5, 0.9, 100)
        points, draws = {"a": 0.7, "b": 0.2}, {"a": line, "b": line - 0.5}
        found = pairwise_by_cases(points, draws, patients=50)
        assert found.comparisons["a", "b"].relative_low is None
        back = compare_by_cases(0.2, 0.7, line - 0.5, line, patients=50)
        same(found.comparisons["b", "a"], back, without=CORRECTED)
        assert (back.relative_percent, back.relative_low) == (pytest.approx(-500 / 7), None)

    def test_one_patient_tells_nothing(self) -> None:
        points, draws = self.cells()
        found = pairwise_by_cases(points, draws, patients=1)
        assert {comparison.p for comparison in found.comparisons.values()} == {None}
        assert (found.family_size, found.without_p, found.smallest_adjusted_p) == (0, 6, 0.0)

    def test_undefined_draws_take_a_model_out_of_the_family(self) -> None:
        points, draws = self.cells()
        draws["b"][:100] = np.nan
        found = pairwise_by_cases(points, draws, patients=50)
        assert (found.family_size, found.without_p) == (1, 5)
        assert found.comparisons["a", "b"].flags == ("undetermined", "too_many_undefined_draws")

    def test_a_point_without_draws_is_refused(self) -> None:
        points, draws = self.cells()
        with pytest.raises(ShapeError, match=r"got none for \['a', 'c'\]"):
            pairwise_by_cases(points, {"b": draws["b"]}, patients=50)


def test_a_declared_side_turns_with_the_pair() -> None:
    from medtransfer.stats.comparison_record import mirrored

    a, b = [0.81, 0.83, 0.80], [0.78, 0.82, 0.77, 0.75]
    one = welch(a, b, sidedness="greater")
    same(mirrored(one), welch(b, a, sidedness="less"))
    assert mirrored(mirrored(one)) == replace(
        one,
        relative_low=pytest.approx(one.relative_low),  # type: ignore[arg-type]
        relative_high=pytest.approx(one.relative_high),  # type: ignore[arg-type]
    )
    assert mirrored(replace(one, relative_low=-100.0)).relative_high is None


def test_one_model_under_many_names_is_rarely_separated() -> None:
    """The chance of any false claim among the ten pairs of five equal models."""
    draw = np.random.default_rng(21)
    wrong = 0
    for runs in draw.normal(0.8, 0.02, (400, 5, 5)):
        found = pairwise_by_runs(dict(zip("abcde", runs.tolist(), strict=True)))
        wrong += any(found.separated(a, b) for a, b in combinations("abcde", 2))
    assert 0.005 < wrong / 400 < 0.07
