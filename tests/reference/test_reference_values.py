"""Every printed value of the statistics reference, section by section, against our functions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from medtransfer.core.errors import ShapeError
from medtransfer.metrics.dice import overlap
from medtransfer.metrics.roc_auc import weighted_auc
from medtransfer.stats.bayesian import posterior_chances
from medtransfer.stats.comparisons import Arm, welch, welch_from_summaries
from medtransfer.stats.corrections import benjamini_hochberg, benjamini_yekutieli, bonferroni, holm
from medtransfer.stats.delong import auc_covariance, auc_interval, compare_aucs
from medtransfer.stats.equivalence import equivalence_of_pairs
from medtransfer.stats.exact_tests import corrected_resampled_t, rank_sum, sign_flip, signed_rank
from medtransfer.stats.order_statistics import median_interval
from medtransfer.stats.power import minimum_detectable_difference, minimum_detectable_paired_difference
from medtransfer.stats.ranks import (
    critical_difference,
    friedman,
    friedman_from_mean_ranks,
    rank_models,
    rank_quantile,
)
from medtransfer.stats.run_scores import (
    expected_best,
    interquartile_mean,
    optimality_gap,
    performance_profile,
    probability_of_outperforming,
    runs_to_detect,
)
from medtransfer.stats.selection import expected_maximum, search_curve
from medtransfer.stats.student import paired_t, pooled_t_from_summaries
from medtransfer.stats.summaries import summarise_runs

A = [0.81, 0.83, 0.80, 0.84, 0.82]
B = [0.78, 0.82, 0.77, 0.80, 0.79]
R = [0.94456, 0.93572, 0.93280, 0.93312]
I = [0.93852, 0.93108, 0.94704, 0.92500]  # noqa: E741
DIFFERENCES = [a - b for a, b in zip(A, B, strict=True)]


def near(value: float, rel: float = 1e-8) -> object:
    """Return what agrees with a printed value to its last digit."""
    return pytest.approx(value, rel=rel, abs=6e-10)


class TestSection2Runs:
    def test_mean_spread_and_interval(self) -> None:
        found = summarise_runs(A)
        assert (found.n, found.mean) == (5, near(0.82))
        assert found.std == near(0.015811388)
        assert found.std * math.sqrt(4 / 5) == near(0.014142136)  # what ddof 0 would print
        assert (found.low, found.high) == (near(0.800367568), near(0.839632432))

    def test_the_median_of_ten(self) -> None:
        found = median_interval(list(range(10)))
        assert (found.ranks, found.coverage) == ((2, 9), 0.978515625)


class TestSection3TwoModels:
    def test_welch(self) -> None:
        found = welch(A, B)
        assert (found.statistic, found.df) == (near(2.514474228), near(7.711133400))
        assert found.p == near(0.037161641)
        assert welch(A, B, sidedness="greater").p == near(0.018580821, 1e-7)
        assert (found.low, found.high) == (near(0.002153018, 1e-6), near(0.053846982))
        real = welch(R, I)
        assert (real.statistic, real.df, real.p) == (near(0.207352027), near(4.799911072), near(0.844243210))
        assert (real.relative_percent, real.difference * 100) == (near(0.121872, 1e-5), near(0.114))

    def test_paired_t(self) -> None:
        found = paired_t(A, B, "split and order")
        assert (found.statistic, found.df, found.p) == (near(5.715476066), 4, near(0.004635839, 1e-7))

    def test_exact_tests_and_their_floors(self) -> None:
        ranked = signed_rank(DIFFERENCES, 6)
        assert (ranked.statistic, ranked.p, ranked.floor) == (0, 0.0625, 0.0625)
        assert (sign_flip(DIFFERENCES).p, sign_flip(DIFFERENCES).floor) == (0.0625, 0.0625)
        assert rank_sum(R, I).p == near(0.885714, 1e-6)
        assert rank_sum(R, I).floor == near(2 / math.comb(8, 4))
        assert round(rank_sum(R, I).floor, 4) == 0.0286

    def test_nadeau_and_bengio(self) -> None:
        assert corrected_resampled_t(DIFFERENCES, 0.25) == (near(3.810317378), near(0.018934978, 1e-7))

    def test_the_bayesian_correlated_t(self) -> None:
        found = posterior_chances(DIFFERENCES, 0.01, test_share=1 / 4)
        assert found is not None
        chances = (found.a_higher, found.within, found.b_higher)
        assert chances == pytest.approx((0.964758, 0.031919, 0.003323), abs=1e-6)

    def test_from_summaries(self) -> None:
        a, b = Arm(5, 98.31, 0.05), Arm(5, 98.25, 0.04)
        assert pooled_t_from_summaries(a, b).p == near(0.069444, 1e-5)
        assert welch_from_summaries(a, b).p == near(0.071109, 1e-5)

    @pytest.mark.parametrize("n", [None, 0, float("nan"), 4.5])
    def test_summaries_without_a_number_of_runs_are_refused(self, n: object) -> None:
        with pytest.raises(ShapeError, match="unknown number of runs cannot be tested"):
            Arm(n, 98.31, 0.05)  # type: ignore[arg-type]


class TestSection4Families:
    def test_corrections(self) -> None:
        p = [0.01, 0.04, 0.03, 0.005]
        assert holm(p).values == pytest.approx((0.03, 0.06, 0.06, 0.02))
        assert benjamini_hochberg(p).values == pytest.approx((0.02, 0.04, 0.04, 0.02))
        by = (0.041667, 0.083333, 0.083333, 0.041667)
        assert benjamini_yekutieli(p).values == pytest.approx(by, abs=1e-6)
        assert bonferroni(p).values == pytest.approx((0.04, 0.16, 0.12, 0.02))

    def test_the_winners_curse(self) -> None:
        assert (expected_maximum(5), expected_maximum(20)) == (near(1.16296, 1e-5), near(1.86748, 1e-5))


def test_section_5_equivalence() -> None:
    differences = [0.002, -0.001, 0.003, 0, -0.002, 0.001, 0.004, -0.003, 0.002, 0.001]
    assert summarise_runs(differences).mean == near(0.0007)
    assert summarise_runs(differences).std == near(0.002213594, 1e-6)
    found = equivalence_of_pairs(differences, 0.005)
    assert (found.t_low, found.t_high, found.p) == (
        near(8.142857143),
        near(-6.142857143),
        near(8.5091e-05, 1e-4),
    )
    assert found.equivalent


class TestSection6Cases:
    """The bootstrap over patients by enumeration stands in test_statistics_against_libraries."""

    def test_delong(self) -> None:
        toy = auc_covariance([0, 0, 1, 1], np.array([[0.1, 0.4, 0.35, 0.8]]))
        assert (toy.auc[0], toy.covariance[0, 0]) == (0.75, near(0.125))
        assert auc_interval(0.75, 0.125) == (near(0.069323, 1e-5), near(0.991792, 1e-5))
        y = [0, 0, 0, 1, 1, 1]
        both = np.array([[0.1, 0.4, 0.35, 0.8, 0.3, 0.4], [0.2, 0.6, 0.1, 0.7, 0.5, 0.65]])
        found = auc_covariance(y, both)
        assert found.auc.tolist() == [near(0.722222222), near(0.888888889)]
        expected = [[0.061728395, 0.033950617], [0.033950617, 0.024691358]]
        np.testing.assert_allclose(found.covariance, expected, rtol=1e-7)
        compared = compare_aucs(y, *both)
        assert (compared.z, compared.p) == (near(-1.224744871), near(0.220671362))

    def test_constant_scores_give_one_half(self) -> None:
        assert weighted_auc(np.full(5, 0.3), np.array([1, 0, 0, 1, 0], bool), np.ones((1, 5)))[0] == 0.5


class TestSection7ManyModels:
    DEMSAR = np.array(
        [  # accuracies of Demsar 2006, table 6
            [0.763, 0.768, 0.771, 0.798],
            [0.599, 0.591, 0.590, 0.569],
            [0.954, 0.971, 0.968, 0.967],
            [0.628, 0.661, 0.654, 0.657],
            [0.882, 0.888, 0.886, 0.898],
            [0.936, 0.931, 0.916, 0.931],
            [0.661, 0.668, 0.609, 0.685],
            [0.583, 0.583, 0.563, 0.625],
            [0.775, 0.838, 0.866, 0.875],
            [1.000, 1.000, 1.000, 1.000],
            [0.940, 0.962, 0.965, 0.962],
            [0.619, 0.666, 0.614, 0.669],
            [0.972, 0.981, 0.975, 0.975],
            [0.957, 0.978, 0.946, 0.970],
        ]
    )

    def test_demsar_from_the_mean_ranks(self) -> None:
        ranks = np.array([44, 28, 40.5, 27.5]) / 14
        assert ranks.tolist() == [near(3.142857, 1e-6), 2.0, near(2.892857, 1e-6), near(1.964286, 1e-6)]
        found = friedman_from_mean_ranks(ranks, 14)
        assert (found.chi_square, found.f) == (near(9.278571, 1e-6), near(3.686313, 1e-6))
        assert stats.f.isf(0.05, 3, 39) == near(2.845068, 1e-6)

    def test_demsar_from_the_printed_table(self) -> None:
        ranks = rank_models(self.DEMSAR)
        plain = friedman_from_mean_ranks(ranks.mean(axis=0), 14)
        assert plain.chi_square == pytest.approx(9.857, abs=5e-4)
        corrected = friedman(ranks)
        assert corrected.chi_square == pytest.approx(10.952, abs=5e-4)
        assert (plain.variant, corrected.variant) == ("from mean ranks", "tie-corrected")

    def test_critical_differences(self) -> None:
        found = [rank_quantile(k) for k in (2, 4, 6, 8, 10)]
        assert found == pytest.approx([1.9600, 2.5690, 2.8497, 3.0309, 3.1637], abs=5e-5)
        assert [rank_quantile(k, alpha=0.1) for k in (3, 5)] == pytest.approx([2.0523, 2.4595], abs=5e-5)
        assert critical_difference(4, 14) == near(1.253559, 1e-6)
        assert rank_quantile(4, against_one=True) == near(2.393980, 1e-6)
        assert critical_difference(4, 14, against_one=True) == near(2.393980 * math.sqrt(20 / 84), 1e-6)


class TestSection8Power:
    X, Y = np.array([[1, 2], [2, 2], [1, 1], [2, 1]]), np.array([[1, 1], [2, 2], [3, 3]])
    M = np.array([[0.1, 0.5], [0.2, 0.6], [0.3, 0.7], [0.9, 0.8]])

    def test_outperforming(self) -> None:
        assert probability_of_outperforming(self.X, self.Y) == near(1 / 3)

    @pytest.mark.parametrize(("chance", "exact", "runs"), [(0.75, 28.859, 29), (0.65, 80.164, 81)])
    def test_noether(self, chance: float, exact: float, runs: int) -> None:
        spread = 2 * stats.norm.isf(0.05)
        assert (spread / (math.sqrt(6) * (0.5 - chance))) ** 2 == pytest.approx(exact, abs=5e-4)
        assert runs_to_detect(chance) == runs

    def test_sizes_at_eighty_percent(self) -> None:
        for effect, n in ((0.5, 64), (1.0, 17)):
            assert minimum_detectable_difference(1, n) <= effect < minimum_detectable_difference(1, n - 1)
        assert minimum_detectable_paired_difference(1, 10) <= 1 < minimum_detectable_paired_difference(1, 9)
        assert minimum_detectable_difference(1, 5) == near(2.024440, 1e-6)

    def test_means_profiles_and_gaps(self) -> None:
        assert (interquartile_mean(self.X), interquartile_mean(self.Y)) == (1.5, 2.0)
        assert performance_profile(self.M, np.array([0.25])).tolist() == [0.75]
        assert optimality_gap(self.M, 0.75) == near(0.2625)

    def test_search_budgets_without_and_with_the_bias(self) -> None:
        assert expected_best([1, 2, 3], 2) == search_curve([1, 2, 3])[1] == near(8 / 3)
        biased = sum(v * ((i / 3) ** 2 - ((i - 1) / 3) ** 2) for i, v in enumerate([1, 2, 3], start=1))
        assert biased == near(22 / 9)
        assert expected_best([1, 2, 3], 2) > biased


class TestSection9Edges:
    """Dice of cases, accuracy of rare positives: test_metrics_against_libraries."""

    def test_dice_and_jaccard_of_two_one_one(self) -> None:
        dice = float(overlap(np.array([2, 1, 1])))
        assert dice == near(0.666667, 1e-6)
        assert dice / (2 - dice) == near(0.5)
