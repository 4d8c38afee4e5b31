"""The decision table of verdicts, their sentences, and how often they are wrong."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from medtransfer.core.errors import ShapeError
from medtransfer.stats.case_comparisons import compare_by_cases
from medtransfer.stats.comparisons import Arm, welch
from medtransfer.stats.crossed_draws import crossed_draws
from medtransfer.stats.equivalence import equivalence_of_runs
from medtransfer.stats.patients import patient_weights
from medtransfer.stats.settling import Spread, settle
from medtransfer.stats.verdict import (
    Gap,
    Source,
    SourceTests,
    decide,
    describe_settling,
    describe_verdict,
    signed,
)

SOURCES: tuple[Source, ...] = ("training runs", "test patients", "runs and patients")
BASE = welch([0.82, 0.83, 0.84], [0.80, 0.81, 0.82])
TOST = equivalence_of_runs([0.82, 0.83, 0.84], [0.80, 0.81, 0.82], 0.01)


def of_source(
    source: Source, p: float | None, equivalence_p: float | None = 0.9, leader: str | None = "a"
) -> SourceTests:
    """Return the tests of a source with given adjusted p-values; without p they have a gap."""
    comparison = replace(
        BASE,
        p=p,
        adjusted_p=p,
        correction="Holm",
        family_size=1,
        leader=leader,
        difference={"a": 0.02, "b": -0.02}.get(leader or "", 0.0),
    )
    gap: Gap | None = "few-runs" if p is None else None
    return SourceTests(source, comparison, TOST, equivalence_p, gap)


def table(*p_values: float | None, equivalence: Any = 0.9, leader: str | None = "a") -> list[SourceTests]:
    return [of_source(source, p, equivalence, leader) for source, p in zip(SOURCES, p_values, strict=False)]


@pytest.mark.parametrize(("leader", "outcome"), [("a", "a-better"), ("b", "b-better")])
def test_better_needs_every_source(leader: str, outcome: str) -> None:
    for separated in itertools.product([True, False], repeat=3):
        tests = table(*(0.01 if yes else 0.2 for yes in separated), leader=leader)
        expected = outcome if all(separated) else "undecided"
        assert decide(tests, 0.01).outcome == expected


def test_equivalent_needs_every_source() -> None:
    for shown in itertools.product([0.01, 0.2, None], repeat=3):
        tests = [of_source(source, 0.5, p) for source, p in zip(SOURCES, shown, strict=True)]
        expected = "equivalent" if shown == (0.01, 0.01, 0.01) else "undecided"
        assert decide(tests, 0.01).outcome == expected


def test_a_difference_that_is_not_significant_is_never_called_equal() -> None:
    tests = table(0.9, 0.95, 1.0, equivalence=0.051)
    found = decide(tests, 0.01)
    text = describe_verdict(found, tests)
    assert found.outcome == "undecided"
    assert text.startswith("Undecided: not separable over training runs, test patients and both together")
    assert "equivalence within ±0.01 is not shown" in text


@pytest.mark.parametrize("place", range(3))
def test_a_source_that_could_not_be_tested_leaves_the_question_open(place: int) -> None:
    tests = table(0.001, 0.001, 0.001, equivalence=0.001)
    tests[place] = replace(of_source(SOURCES[place], None), gap="no-variation")
    found = decide(tests, 0.01)
    assert (found.outcome, found.within_margin) == ("undecided", False)
    assert found.untested == ((SOURCES[place], "no-variation"),)
    text = describe_verdict(found, tests)
    assert f"not testable over {SOURCES[place]} (no run of either model differs from another)" in text
    assert "separated only over" in text


def test_deterministic_results_are_decided_over_patients() -> None:
    assert decide([of_source("test patients", 0.01)], 0.01).outcome == "a-better"
    assert decide([of_source("test patients", 0.6, 0.01)], 0.01).outcome == "equivalent"


def test_a_difference_too_small_to_matter_is_both_better_and_within() -> None:
    tests = table(0.01, 0.01, 0.01, equivalence=0.01)
    found = decide(tests, 0.03)
    assert (found.outcome, found.within_margin) == ("a-better", True)
    assert describe_verdict(found, tests).endswith("by less than the margin ±0.03.")


def test_equal_means_have_no_winner() -> None:
    """A p-value below alpha without a direction, as rounding might give, names nobody."""
    assert decide(table(0.01, 0.01, 0.01, leader=None), 0.01).outcome == "undecided"
    assert decide(table(0.01, 0.01, 0.01, leader=None, equivalence=0.01), 0.01).outcome == "equivalent"


def test_sources_that_disagree_on_the_winner_decide_nothing() -> None:
    tests = [of_source("training runs", 0.01, leader="a"), of_source("test patients", 0.01, leader="b")]
    assert decide(tests, 0.01).outcome == "undecided"


def test_adjusted_p_values_decide_not_raw_ones() -> None:
    tests = [
        replace(
            of_source("test patients", 0.01),
            comparison=replace(BASE, p=0.01, adjusted_p=0.2, correction="Holm"),
        )
    ]
    assert decide(tests, 0.01).outcome == "undecided"


def test_no_source_at_all_is_refused() -> None:
    with pytest.raises(ShapeError, match="at least one source"):
        decide([], 0.01)


def test_sentences_name_the_models_and_the_largest_p() -> None:
    tests = table(0.001, 0.02, 0.0301, leader="b")
    text = describe_verdict(decide(tests, 0.01), tests, "resnet50", "vit_small")
    assert text == (
        "vit_small is better than resnet50 over training runs, test patients and both together "
        "(difference −0.020, largest adjusted p = 0.030)."
    )
    tests = table(0.5, 0.5, 0.5, equivalence=0.0004)
    assert describe_verdict(decide(tests, 0.05), tests) == (
        "A and B are equivalent within ±0.05 over training runs, test patients and both together "
        "(difference +0.020, equivalence p < 0.001)."
    )


def test_undecided_names_the_smallest_detectable_difference() -> None:
    tests = table(0.001, 0.2)
    tests[1] = replace(tests[1], comparison=replace(tests[1].comparison, minimum_detectable_effect=0.0347))
    text = describe_verdict(decide(tests, 0.01), tests)
    assert "not separable over test patients, smallest detectable difference 0.035 (" in text.replace(
        "; separated only over training runs", ""
    )
    assert "separated only over training runs" in text


@pytest.mark.parametrize(
    ("spread", "words"),
    [
        (
            Spread(Arm(5, 0.8, 0.02), Arm(3, 0.8, 0.02), 1000, 1e-6),
            "would find a difference of 0.02: 12 more of A and 14 more of B (power 80 %, two-sided alpha 0.05).",
        ),
        (Spread(Arm(50, 0.8, 0.02), Arm(50, 0.8, 0.02), 1000, 1e-6), "no number of seeds is sure to decide"),
        (
            Spread(Arm(5, 0.8, 0.02), Arm(5, 0.8, 0.02), 1000, 0.03),
            "no difference below 0.084 is found; about 18,000 test patients instead of 1,000 are needed to find",
        ),
        (Spread(None, None, 1000, 0.03), "No seed changes these results: over the patients alone"),
        (Spread(Arm(5, 0.8, 0.02), Arm(5, 0.8, 0.02), 1000, 0.03), "More seeds cannot settle it: over the"),
        (Spread(None, None, 1000, 0.0001), "the 1,000 test patients suffice to find a difference of 0.02"),
        (Spread(None, None, 1, None), "their spread over patients is not known"),
        (Spread(Arm(1, 0.8, None), Arm(5, 0.8, 0.1), 100, 0.001), "before each model has two runs."),
        (
            Spread(Arm(1, 0.8, None), Arm(5, 0.8, 0.1), 100, 0.1),
            "before each model has two runs; about 20,000 test patients",
        ),
        (Spread(Arm(5, 0.8, 0.0), Arm(5, 0.8, 0.0), 100, 0.001), "no run differs from another"),
        (Spread(Arm(5, 0.8, 9.0), Arm(5, 0.8, 9.0), 100, 0.001), "over 10,000 runs per model"),
    ],
)
def test_what_would_settle_it_in_words(spread: Spread, words: str) -> None:
    assert words in describe_settling(settle(spread, 0.02))


def test_a_sign_is_never_that_of_a_rounded_zero() -> None:
    assert [signed(value) for value in (0.0, -0.0, -1e-9, -0.25)] == ["+0.000", "+0.000", "+0.000", "−0.250"]


# How often verdicts are wrong


def simulated(
    draw: np.random.Generator, effect: float, *, runs: int, run_std: float, patient_std: float
) -> str:
    """Return the verdict on one study of scores by case."""
    patients, draws = 60, 300
    ability = draw.normal(0.7, patient_std, patients)
    own = draw.normal(0, patient_std, (2, patients))
    skill = draw.normal(0, run_std, (2, runs)) + np.array([[effect], [0.0]])
    scores = ability + own[:, None, :] + skill[:, :, None]
    weights = patient_weights([str(n) for n in range(patients)], draws, seed=int(draw.integers(1 << 30)))
    a, b = scores @ weights.T / patients
    points = [scores[side].mean() for side in (0, 1)]
    values = scores.mean(axis=2)
    comparisons = {
        "training runs": welch(values[0], values[1]),
        "test patients": compare_by_cases(*points, a.mean(axis=0), b.mean(axis=0), patients=patients),
        "runs and patients": compare_by_cases(
            *points, crossed_draws(a, 1), crossed_draws(b, 2), patients=patients
        ),
    }
    tests = [SourceTests(source, comparisons[source], None, None, None) for source in SOURCES]
    return decide(tests, 0.1).outcome


@pytest.mark.parametrize(
    ("run_std", "patient_std"), [(0.05, 0.01), (0.01, 0.3), (0.05, 0.27)], ids=["runs", "patients", "equal"]
)
@pytest.mark.parametrize("runs", [3, 5])
def test_models_that_do_not_differ_are_rarely_called_better(
    run_std: float, patient_std: float, runs: int
) -> None:
    """Whatever varies most, asking all sources to agree keeps the error rate of 5 %."""
    draw = np.random.default_rng(8)
    found = [simulated(draw, 0.0, runs=runs, run_std=run_std, patient_std=patient_std) for _ in range(300)]
    wrong = sum(outcome != "undecided" for outcome in found) / len(found)
    assert wrong <= 0.08  # 5 % and twice the error of 300 studies


def test_a_large_difference_is_found_in_its_direction() -> None:
    draw = np.random.default_rng(9)
    for effect, outcome in ((0.3, "a-better"), (-0.3, "b-better")):
        found = [simulated(draw, effect, runs=5, run_std=0.05, patient_std=0.2) for _ in range(40)]
        assert found.count(outcome) >= 36
