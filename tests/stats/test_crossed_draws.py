"""Crossed draws: the variance of both sources, and the coverage of intervals made from them."""

from __future__ import annotations

import numpy as np
import pytest

from medtransfer.core.errors import ShapeError
from medtransfer.stats.crossed_draws import crossed_draws
from medtransfer.stats.patients import bootstrap_interval, patient_weights


def test_the_spread_is_that_of_runs_and_patients_together() -> None:
    draw = np.random.default_rng(0)
    runs = np.array([0.70, 0.74, 0.78])
    patients = draw.normal(0, 0.03, 200_000)
    drawn = crossed_draws(runs[:, None] + patients, seed=1)
    expected = 0.03**2 + runs.var(ddof=1) / 3
    assert drawn.var() == pytest.approx(expected, rel=0.02)
    assert drawn.mean() == pytest.approx(runs.mean(), abs=1e-3)


def test_runs_that_do_not_vary_leave_the_patients_alone() -> None:
    patients = np.random.default_rng(2).normal(size=50)
    np.testing.assert_allclose(crossed_draws(np.tile(patients, (5, 1)), seed=3), patients)


def test_an_undefined_draw_stays_undefined() -> None:
    values = np.full((3, 4), 0.5)
    values[1, 2] = np.nan
    assert np.isnan(crossed_draws(values, seed=0)).tolist() == [False, False, True, False]


def test_intervals_cover_the_truth_where_patients_alone_do_not() -> None:
    """Accuracy of a new training on new patients: 5 runs, 60 patients, both sources about equal."""
    draw = np.random.default_rng(4)
    covered = {"crossed": 0, "patients": 0}
    studies = 250
    for study in range(studies):
        skill = draw.normal(0, 0.5, 5)
        ability = draw.normal(1.0, 0.7, 60)
        scores = ability[None] + skill[:, None]
        weights = patient_weights([str(number) for number in range(60)], 400, seed=study)
        values = scores @ weights.T / 60
        truth = 1.0
        for name, draws in (
            ("crossed", crossed_draws(values, seed=study)),
            ("patients", values.mean(axis=0)),
        ):
            interval = bootstrap_interval(draws, float(scores.mean()), patients=60)
            assert interval.low is not None
            assert interval.high is not None
            covered[name] += interval.low <= truth <= interval.high
    assert 0.85 < covered["crossed"] / studies < 0.98
    assert covered["patients"] / studies < 0.75


def test_no_runs_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"shape \(runs, draws\)"):
        crossed_draws(np.zeros((0, 3)), seed=0)
