"""Ranks over tasks: Demsar's example, scipy's Friedman, critical differences and rank intervals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from medtransfer.core.errors import ShapeError
from medtransfer.stats.ranks import (
    complete_tasks,
    critical_difference,
    draw_run_means,
    friedman,
    friedman_from_mean_ranks,
    rank_intervals,
    rank_intervals_by_draws,
    rank_models,
    rank_quantile,
    win_rates,
)


def test_demsars_example_from_its_mean_ranks() -> None:
    ranks = np.array([3.142857143, 2.0, 2.892857143, 1.964285714])
    found = friedman_from_mean_ranks(ranks, 14)
    assert found.chi_square == pytest.approx(9.278571, abs=1e-6)
    assert found.f == pytest.approx(3.686313, abs=1e-6)
    assert found.variant == "from mean ranks"
    assert stats.f.isf(0.05, 3, 39) == pytest.approx(2.845068, abs=1e-6)
    assert found.f_p is not None
    assert found.f_p < 0.05


@pytest.mark.parametrize("seed", range(5))
def test_the_default_is_scipys_with_its_correction_for_ties(seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 6, (9, 4)) / 6
    ranks = rank_models(values)
    expected = stats.friedmanchisquare(*values.T)
    found = friedman(ranks)
    assert (found.chi_square, found.p) == (pytest.approx(expected.statistic), pytest.approx(expected.pvalue))
    assert sum(found.mean_ranks) == pytest.approx(4 * 5 / 2)


def test_direction_and_ties_of_ranks() -> None:
    values = np.array([[0.9, 0.8, 0.8, 0.1]])
    assert rank_models(values).tolist() == [[1, 2.5, 2.5, 4]]
    assert rank_models(values, higher_is_better=False).tolist() == [[4, 2.5, 2.5, 1]]


def test_critical_differences() -> None:
    assert critical_difference(4, 14) == pytest.approx(1.253559, abs=1e-6)
    assert [rank_quantile(k) for k in (2, 4, 6, 8, 10)] == pytest.approx(
        [1.9600, 2.5690, 2.8497, 3.0309, 3.1637], abs=5e-5
    )
    assert [rank_quantile(k, alpha=0.1) for k in (3, 5)] == pytest.approx([2.0523, 2.4595], abs=5e-5)
    assert rank_quantile(4, against_one=True) == pytest.approx(2.393980, abs=1e-6)
    with pytest.raises(ShapeError, match="6 tasks at least"):
        critical_difference(4, 5)


def test_missing_cells_are_left_out_and_never_ranked() -> None:
    values = np.array([[1.0, 2.0], [np.nan, 1.0]])
    assert complete_tasks(values).tolist() == [[1.0, 2.0]]
    with pytest.raises(ShapeError, match="Leave out tasks with missing cells"):
        rank_models(values)


def test_identical_models_do_not_differ_and_perfect_order_has_no_f() -> None:
    assert friedman(rank_models(np.ones((5, 3)))).p == 1.0
    ordered = friedman(rank_models(np.tile([3.0, 2.0, 1.0], (6, 1))))
    assert (ordered.chi_square, ordered.f) == (12.0, None)
    with pytest.raises(ShapeError, match="3 models on 2 tasks"):
        friedman(np.ones((5, 2)))


def test_rank_intervals_hold_the_mean_ranks_and_do_not_depend_on_order() -> None:
    values = np.random.default_rng(3).normal(np.array([0, 0.4, 0.8, 5]), size=(12, 4))
    ends = rank_intervals(values, seed=1)
    means = rank_models(values).mean(axis=0)
    assert ((ends[:, 0] <= means) & (means <= ends[:, 1])).all()
    assert ends[3].tolist() == [1.0, 1.0]
    np.testing.assert_allclose(rank_intervals(values[:, ::-1], seed=1), ends[::-1])


class TestIntervalsOfOneTask:
    DRAWS = np.random.default_rng(5).normal(np.array([0.9, 0.8, 0.8, 0.5]), 0.01, (500, 4))

    @pytest.mark.parametrize("higher", [True, False])
    def test_ranks_are_taken_draw_by_draw(self, higher: bool) -> None:
        found = rank_intervals_by_draws(self.DRAWS, higher_is_better=higher)
        sign = -1 if higher else 1
        ranks = np.array([stats.rankdata(sign * row) for row in self.DRAWS])
        np.testing.assert_allclose(found, np.quantile(ranks, [0.025, 0.975], axis=0).T)
        assert found[0].tolist() == ([1, 1] if higher else [4, 4])
        assert found[1].tolist() == [2, 3]

    def test_draws_without_a_value_are_left_out(self) -> None:
        holes = self.DRAWS.copy()
        holes[::2, 0] = np.nan
        np.testing.assert_array_equal(
            rank_intervals_by_draws(holes), rank_intervals_by_draws(self.DRAWS[1::2])
        )
        with pytest.raises(ShapeError, match="two models at least"):
            rank_intervals_by_draws(np.full((5, 3), np.nan))
        with pytest.raises(ShapeError, match="confidence"):
            rank_intervals_by_draws(self.DRAWS, confidence=95)

    def test_run_means_vary_as_the_mean_of_the_runs_drawn_again(self) -> None:
        runs = [[0.7, 0.8, 0.9], [0.5]]
        means = draw_run_means(runs, seed=1, draws=20_000)
        assert means.shape == (20_000, 2)
        assert means[:, 0].mean() == pytest.approx(0.8, abs=2e-3)
        assert means[:, 0].std() == pytest.approx(np.std(runs[0]) / np.sqrt(3), rel=0.03)
        assert set(means[:, 1]) == {0.5}
        with pytest.raises(ShapeError, match="finite runs of every model"):
            draw_run_means([[0.5], []], seed=1)


def test_win_rates_are_counted_pair_by_pair() -> None:
    values = np.random.default_rng(6).integers(0, 4, (7, 5)) / 4
    wins = (values[:, :, None] > values[:, None, :]) + 0.5 * (values[:, :, None] == values[:, None, :])
    expected = (wins.sum(axis=2) - 0.5).mean(axis=0) / 4
    np.testing.assert_allclose(win_rates(rank_models(values)), expected)
