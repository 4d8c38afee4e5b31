"""The tests of one row over runs, over patients and over both, and their correction over all rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medtransfer.reports.comparison.pair_scores import PairScores, values
from medtransfer.reports.comparison.records import ExactFloor
from medtransfer.stats.case_comparisons import compare_by_cases
from medtransfer.stats.comparison_record import Better, Comparison
from medtransfer.stats.comparisons import Arm, welch
from medtransfer.stats.corrections import holm
from medtransfer.stats.crossed_draws import crossed_draws
from medtransfer.stats.crossed_intervals import crossed_difference
from medtransfer.stats.equivalence import equivalence_by_cases, equivalence_of_runs
from medtransfer.stats.exact_tests import rank_sum
from medtransfer.stats.run_scores import probability_of_outperforming
from medtransfer.stats.settling import Spread
from medtransfer.stats.summaries import same_number
from medtransfer.stats.verdict import Gap, Source, SourceTests

MOST_WAYS = 20_000
"""Ways to divide the runs up to which the exact test is computed: 8 and 8 runs have 12,870."""

Tests = tuple[SourceTests, ...]

_SOURCES: tuple[Source, ...] = ("training runs", "test patients", "runs and patients")


def row_tests(scores: PairScores, margin: float, *, alpha: float, rate: float) -> Tests:
    """Return the uncorrected tests of a row, one entry per source of variation that applies.

    Args:
        scores: Both models in the row.
        margin: Margin of equivalence, in metric units.
        alpha: Error rate of equivalence.
        rate: Error rate that detectable differences are stated at.
    """
    patients = _over_patients(scores, margin, alpha, rate)
    if scores.deterministic:
        return (patients,)
    return (_over_runs(scores, margin, alpha, rate), patients, _over_both(scores, margin, alpha, rate))


def family_sizes(rows: Sequence[Tests]) -> dict[Source, int]:
    """Return the number of rows that each source can be tested in, for the sources that apply to some row."""
    found = [test for tests in rows for test in tests]
    applying = [source for source in _SOURCES if source in {test.source for test in found}]
    return {source: sum(test.source == source and test.gap is None for test in found) for source in applying}


def corrected(rows: Sequence[Tests]) -> list[Tests]:
    """Return the tests with p-values corrected over the rows, by source; equivalence is a family of its own."""
    found: list[dict[Source, SourceTests]] = [{test.source: test for test in tests} for tests in rows]
    for source in dict.fromkeys(test.source for tests in rows for test in tests):
        family = [tests.get(source) for tests in found]
        differences = holm([_p(test) for test in family])
        equivalences = holm([_equivalence_p(test) for test in family])
        for tests, p, equivalence_p in zip(found, differences.values, equivalences.values, strict=True):
            if source in tests:
                tests[source] = _adjusted(
                    tests[source], p, equivalence_p, differences.method, differences.tests
                )
    return [tuple(tests.values()) for tests in found]


def spread(scores: PairScores) -> Spread:
    """Return what the uncertainty of a row's difference consists of."""
    drawn = scores.a.over_patients - scores.b.over_patients
    drawn = drawn[~np.isnan(drawn)]
    error = float(np.std(drawn, ddof=1)) if len(drawn) > 1 and scores.patients > 1 else None
    arms = [
        None if scores.deterministic else Arm(len(side.runs.runs), side.runs.mean, side.runs.std)
        for side in (scores.a, scores.b)
    ]
    return Spread(arms[0], arms[1], scores.patients, error)


def outperforms(scores: PairScores) -> float | None:
    """Return the chance that a run of A is better than a run of B; null where runs cannot tell.

    Neither a deterministic result, nor a single run, nor runs that do not vary are a sample.
    """
    stds = (scores.a.runs.std, scores.b.runs.std)
    if scores.deterministic or None in stds or stds == (0, 0):
        return None
    first, second = (scores.metric.sign * np.array(values(side.runs)) for side in (scores.a, scores.b))
    return probability_of_outperforming(first, second)


def same_runs(scores: PairScores) -> bool:
    """Return whether both models have the same repetitions with the same values."""
    a, b = dict(scores.a.runs.runs), dict(scores.b.runs.runs)
    return a.keys() == b.keys() and all(same_number(a[repetition], b[repetition]) for repetition in a)


def exact_floor(scores: PairScores, family: int, alpha: float) -> ExactFloor | None:
    """Return the exact test over runs with its floor; null where runs are many, or no seed changes them."""
    a, b = values(scores.a.runs), values(scores.b.runs)
    if scores.deterministic or math.comb(len(a) + len(b), len(a)) > MOST_WAYS:
        return None
    found = rank_sum(a, b)
    return ExactFloor(found.test, found.p, found.floor, min(1.0, found.floor * max(1, family)), alpha)


def _over_runs(scores: PairScores, margin: float, alpha: float, rate: float) -> SourceTests:
    a, b = values(scores.a.runs), values(scores.b.runs)
    found = welch(a, b, _better(scores), alpha=rate)
    gap: Gap | None = None
    if found.p is None:
        gap = "no-variation" if "zero_variance" in found.flags else "few-runs"
    equivalence = equivalence_of_runs(a, b, margin, alpha=alpha)
    return SourceTests("training runs", found, equivalence, None, gap)


def _over_patients(scores: PairScores, margin: float, alpha: float, rate: float) -> SourceTests:
    means = (scores.a.runs.mean, scores.b.runs.mean)
    drawn = (scores.a.over_patients, scores.b.over_patients)
    found = compare_by_cases(*means, *drawn, _better(scores), patients=scores.patients, alpha=rate)
    equivalence = equivalence_by_cases(*means, *drawn, margin, patients=scores.patients, alpha=alpha)
    return SourceTests("test patients", found, equivalence, None, _gap(found))


def _over_both(scores: PairScores, margin: float, alpha: float, rate: float) -> SourceTests:
    first, second = scores.a.over_both, scores.b.over_both
    if first is None or second is None:
        return SourceTests("runs and patients", None, None, None, "few-runs")
    means = (scores.a.runs.mean, scores.b.runs.mean)
    drawn = (crossed_draws(first.values, first.seed), crossed_draws(second.values, second.seed))
    df = crossed_difference(first, second, patients=scores.patients).df
    found = replace(
        compare_by_cases(*means, *drawn, _better(scores), patients=scores.patients, df=df, alpha=rate),
        test="bootstrap over runs and patients, crossed",
    )
    equivalence = equivalence_by_cases(*means, *drawn, margin, patients=scores.patients, df=df, alpha=alpha)
    return SourceTests("runs and patients", found, equivalence, None, _gap(found))


def _gap(found: Comparison) -> Gap | None:
    if found.p is not None:
        return None
    return "undefined-draws" if "too_many_undefined_draws" in found.flags else "few-patients"


def _better(scores: PairScores) -> Better:
    return "higher" if scores.metric.higher_is_better else "lower"


def _p(test: SourceTests | None) -> float | None:
    return None if test is None or test.comparison is None else test.comparison.p


def _equivalence_p(test: SourceTests | None) -> float | None:
    return None if test is None or test.equivalence is None else test.equivalence.p


def _adjusted(
    test: SourceTests, p: float | None, equivalence_p: float | None, method: str, family: int
) -> SourceTests:
    comparison = test.comparison and replace(
        test.comparison, adjusted_p=p, correction=method, family_size=family
    )
    return replace(test, comparison=comparison, adjusted_equivalence_p=equivalence_p)
