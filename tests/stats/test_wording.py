"""What reports say: never that a missing difference is agreement, always n and what could have been found."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import numpy as np
import pytest

from medtransfer.core.errors import ShapeError
from medtransfer.stats import wording
from medtransfer.stats.case_comparisons import compare_by_cases
from medtransfer.stats.comparisons import welch
from medtransfer.stats.patients import bootstrap_interval
from medtransfer.stats.summaries import summarise_runs
from medtransfer.stats.ties import TieGroup, tie_group, tie_group_by_cases
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
AGREEMENT = re.compile(
    r"\b(equal\w*|equivalen\w*|identical|comparable|match\w*|the same as|as good as|on par|no differen\w*"
    r"|similar\w*)\b",
    re.IGNORECASE,
)


def few_draws() -> TieGroup:
    draws = {"a": np.array([0.8, 0.9, 0.85]), "b": np.array([0.7, 0.6, 0.65])}
    return tie_group_by_cases({"a": 0.85, "b": 0.65}, draws, patients=40)


def holes() -> TieGroup:
    line = np.linspace(0.6, 0.9, 100)
    draws = {"a": line, "b": np.where(line < 0.7, np.nan, line), "c": np.full(100, np.nan)}
    return tie_group_by_cases({"a": 0.8, "b": 0.75, "c": None}, draws, patients=40)


def groups() -> Iterator[TieGroup]:
    yield tie_group(SCORES)
    yield tie_group({"a": [0.8, 0.8], "b": [0.8, 0.8], "c": [0.7, 0.7]})
    yield tie_group({"a": [0.8, 0.9]})
    yield tie_group({"a": [0.8]})
    yield tie_group({})
    yield few_draws()
    yield holes()


def sentences() -> Iterator[str]:
    for group in groups():
        yield describe_tie_group(group)
        yield from (describe_standing(group, name) for name in group.family)
        yield from (describe_comparison(c, "one", "two") for c in group.comparisons.values())
    for a, b in (
        ([0.5, 0.5], [0.5, 0.5]),
        ([0.5, 0.6], [0.5, 0.6]),
        ([0.5], [0.6]),
        ([0.5, 0.6], [0.4, 0.7]),
    ):
        yield describe_comparison(welch(a, b), "one", "two")
    yield describe_runs(summarise_runs(SCORES["best"]))
    yield describe_interval(bootstrap_interval(np.full(10, 0.5), 0.5, patients=5))
    yield from (wording.RUNS_NOTE, wording.PATIENTS_NOTE, wording.PRETRAINING_NOTE)


class TestEverySentence:
    def test_a_missing_difference_is_never_worded_as_agreement(self) -> None:
        every = list(sentences())
        assert len(every) > 30
        for sentence in every:
            assert not AGREEMENT.search(sentence), sentence

    def test_nor_is_it_anywhere_in_the_module(self) -> None:
        words = [line for line in inspect.getsource(wording).splitlines() if AGREEMENT.search(line)]
        assert words == []

    def test_no_sentence_shows_a_missing_number(self) -> None:
        for sentence in sentences():
            assert not re.search(r"\b(None|nan|inf)\b|\(\)|  ", sentence), sentence
            assert "-0." not in sentence


class TestStanding:
    def test_not_separable_says_n_and_what_would_have_been_found(self) -> None:
        group = tie_group(SCORES)
        limit = group.comparisons["near"].minimum_detectable_effect
        assert describe_standing(group, "near") == (
            f"not separable from the best at n = 3; smallest detectable difference {limit:.3f}"
        )

    def test_best_separated_and_undetermined(self) -> None:
        group = tie_group(SCORES)
        assert describe_standing(group, "best") == "best mean at n = 3"
        assert re.fullmatch(
            r"worse than the best by 0\.200 \(Holm-adjusted p < 0\.001\)", describe_standing(group, "far")
        )
        assert describe_standing(group, "once") == "undetermined: n = 1, at least 2 are needed"
        assert describe_standing(group, "failed") == "undetermined: n = 0, at least 2 are needed"

    def test_unlike_numbers_of_runs_are_both_said(self) -> None:
        group = tie_group({**SCORES, "near": [0.88, 0.91]})
        assert describe_standing(group, "near").startswith("not separable from the best at n = 2 to 3;")

    def test_digits_are_those_asked_for(self) -> None:
        assert "by 0.20 (" in describe_standing(tie_group(SCORES), "far", digits=2)

    def test_models_that_never_vary_are_sent_to_the_patients(self) -> None:
        group = tie_group({"a": [0.8, 0.8], "b": [0.8, 0.8], "c": [0.7, 0.7]})
        assert describe_standing(group, "b") == (
            "not separable from the best at n = 2; smallest detectable difference unknown, the values do not vary"
        )
        assert describe_standing(group, "c").endswith("compare over patients")

    def test_too_few_draws_are_said(self) -> None:
        assert describe_standing(few_draws(), "b").endswith(
            "; cannot be significant with so few draws or patients (smallest adjusted p 0.500)"
        )

    def test_where_no_test_can_reject_no_difference_is_called_detectable(self) -> None:
        assert describe_standing(few_draws(), "b") == (
            "not separable from the best at n = 40 patients; cannot be significant with so few draws or patients "
            "(smallest adjusted p 0.500)"
        )

    def test_undefined_metrics_are_said(self) -> None:
        assert describe_standing(holes(), "b").endswith(
            "the metric is undefined in too many draws of patients"
        )
        assert describe_standing(holes(), "c") == "undetermined: the metric is undefined on these cases"

    def test_a_stranger_is_refused(self) -> None:
        with pytest.raises(ShapeError, match="nobody"):
            describe_standing(tie_group(SCORES), "nobody")


class TestGroup:
    def test_members_their_tests_and_the_undetermined(self) -> None:
        text = describe_tie_group(tie_group(SCORES))
        assert text.startswith(
            "Not separable from the best, best, at n = 3: near (2 tests, Holm correction, alpha 0.05); "
            "smallest detectable difference 0."
        )
        assert text.endswith("Undetermined: failed, once.")

    def test_one_test_is_no_plural(self) -> None:
        group = tie_group({name: SCORES[name] for name in ("best", "far")})
        assert describe_tie_group(group) == (
            "Every model that can be tested is separated from the best, best (1 test, Holm correction, alpha 0.05)."
        )

    def test_a_lone_model_and_none(self) -> None:
        assert describe_tie_group(tie_group({"a": [0.8, 0.9]})) == "a has no model to be tested against."
        assert describe_tie_group(tie_group({})) == (
            "No model can be tested: each needs a result and at least two runs."
        )

    def test_patients_are_called_patients(self) -> None:
        assert "at n = 40 patients: b (1 test" in describe_tie_group(few_draws())

    def test_too_few_draws_for_the_family_are_said_instead_of_a_limit(self) -> None:
        shared = np.random.default_rng(2).normal(0, 0.003, 2000)
        points = {f"m{place:02d}": 0.9 - 0.006 * place for place in range(60)}
        group = tie_group_by_cases(points, {n: p + shared for n, p in points.items()}, patients=6000)
        assert len(group.members) == 60
        assert describe_tie_group(group).endswith(
            "m59 (59 tests, Holm correction, alpha 0.05); cannot be significant with so few draws or patients "
            "(smallest adjusted p 0.059)."
        )
        fewer = dict(list(points.items())[:50])  # 49 / 1000.5 is below alpha: all but the best fall out
        group = tie_group_by_cases(fewer, {n: p + shared for n, p in fewer.items()}, patients=6000)
        assert "draws" not in describe_tie_group(group)


class TestComparison:
    def test_a_winner_is_named_with_its_test(self) -> None:
        text = describe_comparison(welch(SCORES["best"], SCORES["far"]), "best", "far")
        assert text.startswith("best is better than far: difference +0.200, 95 % interval +0.177 to +0.223, ")
        assert "+28.2 % relative; Welch t, two-sided, n = 3 and 3 runs, p < 0.001" in text

    def test_the_winner_may_be_the_second_and_signs_are_true_minus(self) -> None:
        text = describe_comparison(welch(SCORES["far"], SCORES["best"]), "far", "best")
        assert text.startswith("best is better than far: difference −0.200, 95 % interval −0.223 to −0.177, ")
        assert "−22.0 % relative" in text
        assert "-0" not in text
        lower = describe_comparison(welch(SCORES["far"], SCORES["best"], "lower"), "far", "best")
        assert lower.startswith("far is better than best")

    def test_without_a_winner_the_limit_is_said(self) -> None:
        text = describe_comparison(welch(SCORES["best"], SCORES["near"]), "best", "near")
        assert text.startswith("best is not separable from near at n = 3; smallest detectable difference 0.")
        assert "better" not in text

    def test_without_a_p_the_reason_is_said(self) -> None:
        assert describe_comparison(welch([0.5], [0.6, 0.7]), "a", "b") == (
            "a against b: undetermined, fewer than two runs."
        )
        assert "deterministic" in describe_comparison(welch([0.5, 0.5], [0.6, 0.6]), "a", "b")

    def test_correction_and_family_are_said(self) -> None:
        comparison = tie_group(SCORES).comparisons["near"]
        assert re.search(
            r"p = 0\.\d{3}, Holm-adjusted p = 0\.\d{3}, family of 2\)",
            describe_comparison(comparison, "x", "y"),
        )

    def test_over_patients(self) -> None:
        shared = np.random.default_rng(1).normal(0, 0.1, 2000)
        found = compare_by_cases(0.8, 0.75, 0.8 + shared, 0.75 + shared, patients=40)
        text = describe_comparison(found, "a", "b")
        assert "paired bootstrap over patients, two-sided, n = 40 patients, p < 0.001" in text

    def test_a_rounded_zero_has_no_minus(self) -> None:
        text = describe_comparison(welch([0.50001, 0.6], [0.50002, 0.6]), "a", "b")
        assert "difference +0.000," in text
        assert ", +0.0 % relative" in text


class TestIntervals:
    def test_runs(self) -> None:
        assert (
            describe_runs(summarise_runs([0.5, 0.6], 0.9))
            == "0.550 (90 % interval 0.234 to 0.866 over 2 runs)"
        )

    def test_patients(self) -> None:
        many = bootstrap_interval(np.linspace(0.4, 0.6, 201), 0.5, patients=50)
        assert describe_interval(many) == "0.500 (95 % interval 0.405 to 0.595 over 50 patients)"
        few = bootstrap_interval(np.linspace(0.4, 0.6, 10), 0.5, patients=5)
        assert describe_interval(few).endswith(
            "over 5 patients; few patients, the interval tends to be too narrow)"
        )
        flat = bootstrap_interval(np.full(10, 1.0), 1.0, patients=50)
        assert describe_interval(flat).endswith(
            "over 50 patients; no draw of patients differed, the interval has no width and says little)"
        )

    def test_no_interval_has_a_reason(self) -> None:
        none = bootstrap_interval(np.full(10, np.nan), None, patients=50)
        assert describe_interval(none) == "undefined (no interval: the metric is undefined on these cases)"
        some = bootstrap_interval(np.array([0.5, np.nan]), 0.5, patients=50)
        assert (
            describe_interval(some)
            == "0.500 (no interval: the metric is undefined in 1 of 2 draws of patients)"
        )
