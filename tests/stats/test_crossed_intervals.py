"""Intervals over runs and patients: what they reduce to, and how often they cover the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from medtransfer.core.errors import ShapeError
from medtransfer.stats.crossed_intervals import (
    CrossedInterval,
    CrossedRuns,
    crossed_difference,
    crossed_interval,
)

PATIENTS = 60


def runs(draw: np.random.Generator, weights: np.ndarray, spread: float, n: int = 5) -> CrossedRuns:
    """Draw runs of one skill each, with a little noise per patient, on patients of equal ability."""
    scores = draw.normal(0, spread, n)[:, None] + draw.normal(0, 0.1, (n, PATIENTS))
    return CrossedRuns(
        scores.mean(axis=1).tolist(), scores @ weights.T / PATIENTS, seed=int(draw.integers(1e6))
    )


def weights_of(draw: np.random.Generator, draws: int = 400) -> np.ndarray:
    return draw.multinomial(PATIENTS, np.full(PATIENTS, 1 / PATIENTS), size=draws)


def covers(found: CrossedInterval, truth: float) -> bool:
    assert found.low is not None
    assert found.high is not None
    return found.low <= truth <= found.high


class TestCoverage:
    @pytest.mark.parametrize(("n", "spread"), [(3, 0.5), (5, 0.1), (5, 0.5), (5, 0.0)])
    def test_of_a_mean_whichever_source_is_larger(self, n: int, spread: float) -> None:
        draw, covered = np.random.default_rng(31), 0
        for _ in range(200):
            weights, ability = weights_of(draw), draw.normal(1.0, 0.7, PATIENTS)
            scores = ability + draw.normal(0, spread, n)[:, None] + draw.normal(0, 0.1, (n, PATIENTS))
            found = CrossedRuns(scores.mean(axis=1).tolist(), scores @ weights.T / PATIENTS, 3)
            covered += covers(crossed_interval(found, patients=PATIENTS), 1.0)
        assert 0.88 <= covered / 200 <= 0.99

    def test_of_a_difference_on_the_same_patients(self) -> None:
        draw, covered, lengths = np.random.default_rng(32), 0, []
        for _ in range(200):
            weights = weights_of(draw)
            shared = draw.normal(0, 2.0, PATIENTS)  # hard and easy patients, the same for both models
            ours, theirs = (
                runs(draw, weights, 0.05),
                runs(draw, weights, 0.10),
            )
            added = shared.mean(), shared @ weights.T / PATIENTS
            a = CrossedRuns(
                [p + added[0] + 0.2 for p in ours.points], ours.values + added[1] + 0.2, ours.seed
            )
            b = CrossedRuns([p + added[0] for p in theirs.points], theirs.values + added[1], theirs.seed)
            found = crossed_difference(a, b, patients=PATIENTS)
            covered += covers(found, 0.2)
            lengths.append((found.high or 0) - (found.low or 0))
        assert 0.88 <= covered / 200 <= 0.99
        assert np.mean(lengths) < 0.5  # the spread of the patients, 4 * 2 / sqrt(60), is not in it


class TestLimits:
    def test_without_variation_of_patients_it_is_about_the_t_interval_of_the_runs(self) -> None:
        points = np.random.default_rng(33).normal(0.8, 0.02, 12)
        found = crossed_interval(CrossedRuns(points.tolist(), np.tile(points[:, None], 4000), 1), patients=50)
        half = stats.t.ppf(0.975, 11) * points.std(ddof=1) / np.sqrt(12)
        assert found.runs_share == pytest.approx(1.0)
        assert found.df == pytest.approx(11)
        assert (found.low, found.high) == pytest.approx(
            (points.mean() - half, points.mean() + half), abs=half * 0.12
        )

    def test_runs_that_do_not_vary_leave_the_patients_and_say_so(self) -> None:
        draws = np.random.default_rng(34).normal(0.8, 0.02, 2000)
        found = crossed_interval(CrossedRuns([0.8] * 3, np.tile(draws, (3, 1)), 1), patients=2000)
        assert found.flags == ("runs_do_not_vary",)
        assert found.runs_share == 0
        assert (found.low, found.high) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])), abs=1e-4)

    def test_one_run_is_flagged(self) -> None:
        draws = np.random.default_rng(35).normal(0.8, 0.02, (1, 500))
        found = crossed_interval(CrossedRuns([0.8], draws, 1), patients=25)
        assert (found.flags, found.runs) == (("few_patients", "one_run"), (1,))
        other = CrossedRuns([0.7, 0.72], np.tile(draws, (2, 1)) - 0.1, 2)
        both = crossed_difference(CrossedRuns([0.8], draws, 1), other, patients=100)
        assert (both.flags, both.runs) == (("one_run",), (1, 2))
        assert both.point == pytest.approx(0.09)

    def test_nothing_varies(self) -> None:
        found = crossed_interval(CrossedRuns([0.5, 0.5], np.full((2, 10), 0.5), 1), patients=40)
        assert (found.low, found.high, found.runs_share) == (0.5, 0.5, 0.0)

    def test_the_level_widens_it(self) -> None:
        values = np.random.default_rng(36).normal(0.8, 0.02, (3, 800))
        cell = CrossedRuns([0.79, 0.8, 0.81], values, 1)
        narrow, wide = (crossed_interval(cell, patients=40, confidence=level) for level in (0.8, 0.95))
        assert wide.low < narrow.low < narrow.point < narrow.high < wide.high  # type: ignore[operator]

    def test_undefined_draws_and_one_patient_leave_no_interval(self) -> None:
        values = np.full((2, 100), 0.5)
        values[0, :6] = np.nan
        found = crossed_interval(CrossedRuns([0.5, 0.5], values, 1), patients=40)
        assert (found.low, found.high, found.df, found.undefined) == (None, None, None, 6)
        assert found.reason == "the metric is undefined in 6 of 100 draws of patients"
        values[0, 5] = 0.5
        kept = crossed_interval(CrossedRuns([0.5, 0.5], values, 1), patients=40)
        assert (kept.low, kept.undefined) == (0.5, 5)
        alone = crossed_interval(CrossedRuns([0.5, 0.5], values, 1), patients=1)
        assert (alone.low, alone.reason) == (None, "there are fewer than two patients")

    def test_what_does_not_fit_is_refused(self) -> None:
        with pytest.raises(ShapeError, match="a finite point per run"):
            CrossedRuns([0.5], np.zeros((2, 3)), 1)
        with pytest.raises(ShapeError, match="Leave failed runs out"):
            CrossedRuns([float("nan")], np.zeros((1, 3)), 1)
        one, other = CrossedRuns([0.5], np.zeros((1, 3)), 1), CrossedRuns([0.5], np.zeros((1, 4)), 1)
        with pytest.raises(ShapeError, match="same draws of patients for both models, got 3 and 4"):
            crossed_difference(one, other, patients=5)
        with pytest.raises(ShapeError, match="confidence"):
            crossed_interval(one, patients=5, confidence=95)
