"""The line over runs and patients together, against its formula and by simulation."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from scipy import optimize, stats

from medtransfer.metrics.declared_metrics import metrics
from medtransfer.reports.comparison.pair_scores import ArmScores, PairScores
from medtransfer.reports.comparison.records import RunScores
from medtransfer.reports.comparison.row_tests import row_tests
from medtransfer.stats.comparison_record import Comparison
from medtransfer.stats.crossed_draws import crossed_draws
from medtransfer.stats.crossed_intervals import CrossedRuns
from medtransfer.stats.equivalence import Equivalence
from medtransfer.stats.patients import patient_weights

PATIENTS = 60
WEIGHTS = patient_weights([f"p{number}" for number in range(PATIENTS)], 400, seed=3) / PATIENTS


def arm(scores: np.ndarray, seed: int) -> ArmScores:
    """Make an arm of scores by run and patient."""
    points, values = scores.mean(axis=1), scores @ WEIGHTS.T
    runs = RunScores(
        tuple(enumerate(points.tolist())), float(points.mean()), float(points.std(ddof=1)), 0, 0, 0
    )
    return ArmScores(runs, values.mean(axis=0), CrossedRuns(points.tolist(), values, seed), False)


def both(a: np.ndarray, b: np.ndarray, patients: int = PATIENTS) -> tuple[Comparison, Equivalence]:
    """Return the tests over runs and patients together."""
    scores = PairScores(
        pair=cast("Any", SimpleNamespace()),
        metric=metrics.get("accuracy"),
        deterministic=False,
        a=arm(a, 11),
        b=arm(b, 12),
        patients=patients,
        draws=len(WEIGHTS),
    )
    found = row_tests(scores, 0.03, alpha=0.05, rate=0.05)[-1]
    assert found.source == "runs and patients"
    assert found.comparison is not None
    assert found.equivalence is not None
    return found.comparison, found.equivalence


def study(draw: np.random.Generator, runs: int, run_std: float, patient_std: float) -> list[np.ndarray]:
    """Draw scores around 0.8 of two models that do not differ, by run and patient."""
    own = draw.normal(0, patient_std / np.sqrt(2), (2, PATIENTS))
    return [0.8 + draw.normal(0, run_std, (runs, 1)) + ability for ability in own]


def test_interval_and_p_are_those_of_t_with_the_freedom_of_both_sources() -> None:
    a, b = study(np.random.default_rng(5), 3, 0.02, 0.1)
    found, equivalence = both(a, b)
    values = [scores @ WEIGHTS.T for scores in (a, b)]
    point = a.mean() - b.mean()
    drawn = crossed_draws(values[0], 11) - crossed_draws(values[1], 12)
    parts = [scores.mean(axis=1).var(ddof=1) / 3 for scores in (a, b)]
    parts.append(np.var(values[0].mean(axis=0) - values[1].mean(axis=0), ddof=1))
    freedom = sum(parts) ** 2 / sum(part**2 / df for part, df in zip(parts, (2, 2, 59), strict=True))

    def ends(level: float) -> tuple[float, float]:
        factor = stats.t.ppf(level, freedom) / stats.norm.ppf(level)
        low, high = point + factor * (np.quantile(drawn, [1 - level, level]) - point)
        return low, high

    assert (found.low, found.high) == pytest.approx(ends(0.975))
    assert (equivalence.low, equivalence.high) == pytest.approx(ends(0.95))
    # p is the error rate of the interval that ends at the value in question
    beyond_zero, beyond_margin = (0, 1) if point > 0 else (1, 0)
    touches_zero = optimize.brentq(lambda level: ends(level)[beyond_zero], 0.501, 0.999)
    assert found.p == pytest.approx(2 * (1 - touches_zero), abs=4 / 400)
    margin = math.copysign(0.03, point)
    touches_margin = optimize.brentq(lambda level: ends(level)[beyond_margin] - margin, 0.501, 0.999)
    assert equivalence.p == pytest.approx(1 - touches_margin, abs=2 / 400)


def test_few_patients_bound_it_too() -> None:
    a, b = (np.full((3, PATIENTS), level) + np.array([[-0.001], [0], [0.001]]) for level in (0.8, 0.3))
    found, equivalence = both(a, b, patients=4)
    assert (found.p, found.low) == (1 / 8, None)
    close, equivalence = both(a, a, patients=4)
    assert (equivalence.p, equivalence.equivalent) == (1 / 16, False)
    assert close.difference == 0


@pytest.mark.parametrize(("runs", "patient_std"), [(2, 0.05), (3, 0.05), (2, 0.1)])
def test_two_or_three_runs_hold_the_error_rate(runs: int, patient_std: float) -> None:
    """Bare percentiles cover no difference in 81 to 90 % of such studies."""
    draw = np.random.default_rng(6)
    covered = found_different = 0
    for _ in range(300):
        found, _ = both(*study(draw, runs, 0.02, patient_std))
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0 <= found.high
        found_different += found.significant()
    assert covered / 300 >= 0.925
    assert found_different / 300 <= 0.075
