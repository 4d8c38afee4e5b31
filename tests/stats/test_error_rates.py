"""Simulated studies: procedures hold their error rates and find what is there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medtransfer.core.errors import ShapeError
from medtransfer.core.task_kind import TaskKind
from medtransfer.metrics.declared_metrics import metrics
from medtransfer.metrics.predictions import ClassificationPredictions
from medtransfer.stats.case_comparisons import compare_by_cases
from medtransfer.stats.comparisons import welch
from medtransfer.stats.equivalence import equivalence_by_cases
from medtransfer.stats.pairwise import pairwise_by_runs
from medtransfer.stats.patients import bootstrap_interval, patient_weights
from medtransfer.stats.power import minimum_detectable_difference
from medtransfer.stats.ranks import friedman, rank_models
from medtransfer.stats.summaries import summarise_runs
from medtransfer.stats.ties import tie_group, tie_group_by_cases

STUDIES = 500


def test_one_model_under_two_names_is_rarely_separated() -> None:
    draw = np.random.default_rng(11)
    runs = draw.normal(0.8, 0.02, (STUDIES, 2, 5))
    rate = np.mean([welch(a, b).significant() for a, b in runs])
    assert 0.03 <= rate <= 0.07


def test_equal_models_are_separated_from_the_best_about_as_often_as_alpha() -> None:
    """Comparing with the observed best of four equal models is a choice among tests; Holm does not see it.

    The rate is 6 %, a little above alpha and far below the 30 % of uncorrected pairs.
    """
    draw = np.random.default_rng(12)
    names = ("a", "b", "c", "d")
    wrong = lost = 0
    for runs in draw.normal(0.8, 0.02, (300, 4, 5)):
        group = tie_group(dict(zip(names, runs.tolist(), strict=True)))
        wrong += len(group.members) < 4
        lost += "a" not in group.members
    assert 0.02 < wrong / 300 < 0.10
    assert lost / 300 < 0.05


@pytest.mark.parametrize("spread", [0.02, 0.08])
def test_the_group_holds_the_model_that_is_truly_the_best(spread: float) -> None:
    """One rival is as good, the others are worse; rivals may vary more than the best."""
    draw = np.random.default_rng(17)
    means, deviations = [0.80, 0.80, 0.78, 0.70], [0.02, spread, spread, spread]
    lost = sum(
        "a"
        not in tie_group(
            dict(zip("abcd", draw.normal(means, deviations, (5, 4)).T.tolist(), strict=True))
        ).members
        for _ in range(300)
    )
    assert lost / 300 < 0.05


def test_a_planted_effect_is_found() -> None:
    draw = np.random.default_rng(13)
    found = 0
    for _ in range(100):
        scores = {"good": draw.normal(0.86, 0.02, 5).tolist(), "bad": draw.normal(0.80, 0.02, 5).tolist()}
        group = tie_group(scores)
        found += group.best == "good" and group.standing("bad") == "separated"
    assert found >= 95


@pytest.mark.parametrize("n", [3, 5])
def test_t_intervals_cover_the_mean(n: int) -> None:
    draw = np.random.default_rng(14)
    covered = 0
    for runs in draw.normal(0.7, 0.05, (1000, n)):
        found = summarise_runs(runs.tolist())
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.7 <= found.high
    assert 0.93 <= covered / 1000 <= 0.97


def test_draws_over_runs_would_cover_too_rarely() -> None:
    """Why runs get a t interval: a percentile bootstrap of three runs is far too narrow."""
    draw = np.random.default_rng(18)
    picks = draw.integers(0, 3, (1000, 3))
    covered = 0
    for runs in draw.normal(0.7, 0.05, (400, 3)):
        low, high = np.quantile(runs[picks].mean(axis=1), [0.025, 0.975])
        covered += low <= 0.7 <= high
    assert covered / 400 == pytest.approx(0.75, abs=0.06)


def test_a_detectable_difference_is_found_four_times_in_five() -> None:
    draw = np.random.default_rng(19)
    gap = minimum_detectable_difference(0.02, 5)
    found = sum(
        welch(draw.normal(0.8 + gap, 0.02, 5), draw.normal(0.8, 0.02, 5)).significant()
        for _ in range(STUDIES)
    )
    assert found / STUDIES == pytest.approx(0.8, abs=0.06)


def study(draw: np.random.Generator, patients: int, quality: float) -> ClassificationPredictions:
    """Draw patients with two or three cases each whose scores share a patient effect."""
    cases = draw.integers(2, 4, patients)
    owner = np.repeat(np.arange(patients), cases)
    labels = (draw.random(patients) < 0.5).astype(int)[owner]
    labels[:3], labels[-3:] = 0, 1
    effect = draw.normal(0, 1, patients)[owner]
    positive = 1 / (1 + np.exp(-(quality * labels + effect + draw.normal(0, 0.5, len(owner)))))
    ids = tuple(f"c{number}" for number in range(len(owner)))
    return ClassificationPredictions(
        TaskKind.BINARY,
        ("no", "yes"),
        ids,
        tuple(f"p{number}" for number in owner),
        labels,
        np.stack([1 - positive, positive], axis=1),
    )


def test_intervals_over_patients_cover_and_ignoring_patients_would_not() -> None:
    draw = np.random.default_rng(15)
    auc = metrics.get("auc")
    truth = np.mean([auc.compute(study(draw, 2000, 1.2)).value for _ in range(10)])
    covered = {"patients": 0, "cases": 0}
    for number in range(200):
        found = study(draw, 60, 1.2)
        point = auc.compute(found).value
        for unit, ids in (("patients", found.patient_ids), ("cases", found.case_ids)):
            values = auc.resampled(found, patient_weights(ids, 300, seed=number))
            interval = bootstrap_interval(values, point, patients=60)
            assert interval.low is not None
            assert interval.high is not None
            covered[unit] += interval.low <= truth <= interval.high
    assert covered["patients"] / 200 >= 0.89
    assert covered["cases"] < covered["patients"] - 10


def test_labels_that_mean_nothing_give_an_interval_around_one_half() -> None:
    """A random label per patient of 20 similar slices: slices as units claim skill too often."""
    draw = np.random.default_rng(20)
    auc, owner = metrics.get("auc"), np.repeat(np.arange(40), 20)
    missed = {"patients": 0, "cases": 0}
    for number in range(60):
        labels = draw.permutation(np.arange(40) % 2)[owner]
        positive = 1 / (1 + np.exp(-draw.normal(0, 1, 40)[owner] - draw.normal(0, 0.3, 800)))
        ids = tuple(f"c{row}" for row in range(800))
        patients = tuple(f"p{patient}" for patient in owner)
        scores = np.stack([1 - positive, positive], axis=1)
        found = ClassificationPredictions(TaskKind.BINARY, ("no", "yes"), ids, patients, labels, scores)
        for unit, units in (("patients", patients), ("cases", ids)):
            draws = auc.resampled(found, patient_weights(units, 200, seed=number))
            interval = bootstrap_interval(draws, auc.compute(found).value, patients=40)
            assert interval.low is not None
            assert interval.high is not None
            missed[unit] += not interval.low <= 0.5 <= interval.high
    assert missed["patients"] / 60 < 0.15
    assert missed["cases"] / 60 > 0.4


def test_permuted_labels_give_an_interval_around_one_half() -> None:
    """Scores that know the labels, after the labels were mixed among the cases."""
    draw = np.random.default_rng(22)
    auc = metrics.get("auc")
    missed, found_before = 0, 0
    for number in range(100):
        honest = study(draw, 60, 2.0)
        cases = tuple(f"p{row}" for row in range(len(honest.labels)))
        weights = patient_weights(cases, 200, seed=number)
        mixed = replace(honest, labels=draw.permutation(honest.labels), patient_ids=cases)
        for found in (honest, mixed):
            interval = bootstrap_interval(
                auc.resampled(found, weights), auc.compute(found).value, patients=60
            )
            assert interval.low is not None
            assert interval.high is not None
            away = not interval.low <= 0.5 <= interval.high
            missed, found_before = (
                missed + (away and found is mixed),
                found_before + (away and found is honest),
            )
    assert missed <= 12
    assert found_before >= 95


def test_a_planted_effect_of_three_deviations_is_found_among_all_pairs() -> None:
    draw = np.random.default_rng(23)
    found = 0
    for _ in range(100):
        scores = {name: draw.normal(0.80, 0.02, 5).tolist() for name in "abc"}
        scores["good"] = draw.normal(0.86, 0.02, 5).tolist()
        pairs = pairwise_by_runs(scores)
        found += np.mean([pairs.separated("good", name) for name in "abc"])
    assert found / 100 >= 0.8


class TestOrderChangesNoNumber:
    """Models, data sets, seeds, cases and patients may come in any order."""

    SCORES = {  # noqa: RUF012
        name: np.random.default_rng(number).normal(0.8 + number / 100, 0.02, 5).tolist()
        for number, name in enumerate("abcde")
    }

    def test_of_models_and_seeds(self) -> None:
        order = np.random.default_rng(24)
        mixed = {
            name: order.permutation(self.SCORES[name]).tolist() for name in order.permutation(list("abcde"))
        }
        assert tie_group(mixed) == tie_group(self.SCORES)
        assert pairwise_by_runs(mixed) == pairwise_by_runs(self.SCORES)
        for name in "abcde":
            assert summarise_runs(mixed[name]) == summarise_runs(self.SCORES[name])

    def test_of_data_sets(self) -> None:
        values = np.random.default_rng(25).integers(0, 20, (9, 4)) / 20
        order = np.random.default_rng(26).permutation(9)
        one, other = (friedman(rank_models(table)) for table in (values, values[order]))
        assert (one.chi_square, one.p, one.mean_ranks) == (
            pytest.approx(other.chi_square, rel=1e-12),
            pytest.approx(other.p, rel=1e-12),
            pytest.approx(other.mean_ranks, rel=1e-12),
        )
        columns = [3, 1, 0, 2]
        turned = friedman(rank_models(values[:, columns]))
        assert turned.mean_ranks == tuple(one.mean_ranks[column] for column in columns)

    def test_of_cases(self) -> None:
        draw = np.random.default_rng(27)
        found, auc = study(draw, 40, 1.2), metrics.get("auc")
        order = draw.permutation(len(found.labels))
        mixed = replace(
            found,
            case_ids=tuple(found.case_ids[row] for row in order),
            patient_ids=tuple(found.patient_ids[row] for row in order),
            labels=found.labels[order],
            scores=found.scores[order],
        )
        one, other = (auc.resampled(f, patient_weights(f.patient_ids, 200, seed=1)) for f in (found, mixed))
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("lost", [1, 2])
def test_failed_trials_change_n_only(lost: int) -> None:
    """The runs that are left give the numbers they give alone; the others keep every digit."""
    scores = TestOrderChangesNoNumber.SCORES
    failed = {**scores, "a": scores["a"][lost:]}
    before, after = pairwise_by_runs(scores), pairwise_by_runs(failed)
    assert after.n == {**before.n, "a": 5 - lost}
    for pair, comparison in after.comparisons.items():
        alone = welch(*(failed[name] for name in pair))
        assert (comparison.p, comparison.difference) == pytest.approx((alone.p, alone.difference), rel=1e-9)
        if "a" not in pair:
            assert comparison.p == before.comparisons[pair].p
            assert comparison.low == before.comparisons[pair].low
    with pytest.raises(ShapeError, match="Leave failed runs out"):
        pairwise_by_runs({**scores, "a": [0.8, float("nan")]})


def test_paired_draws_hold_the_error_rate_of_two_equal_models() -> None:
    draw = np.random.default_rng(16)
    auc = metrics.get("auc")
    wrong = 0
    for number in range(200):
        one = study(draw, 60, 1.2)
        noise = draw.normal(0, 0.3, (2, len(one.labels)))
        models = {}
        for name, added in zip("ab", noise, strict=True):
            positive = 1 / (1 + np.exp(-(np.log(one.scores[:, 1] / one.scores[:, 0]) + added)))
            models[name] = ClassificationPredictions(
                one.kind,
                one.classes,
                one.case_ids,
                one.patient_ids,
                one.labels,
                np.stack([1 - positive, positive], 1),
            )
        weights = patient_weights(one.patient_ids, 400, seed=number)
        points = {name: auc.compute(found).value for name, found in models.items()}
        draws = {name: auc.resampled(found, weights) for name, found in models.items()}
        wrong += len(tie_group_by_cases(points, draws, patients=60).members) < 2
    assert 0.01 <= wrong / 200 <= 0.10


@pytest.mark.parametrize(
    ("patients", "most"), [(2, 0.0), (3, 0.0), (4, 0.0), (5, 0.0), (8, 0.09), (10, 0.085), (20, 0.075)]
)
def test_few_patients_hold_the_error_rates(patients: int, most: float) -> None:
    """Neither a difference where there is none, nor equivalence where the difference is the margin.

    Percentiles that are not moved find a difference in 49, 25, 19, 16, 11, 10 and 7 % of these studies, and
    claim equivalence in 25, 18, 13, 11, 8 and 8 %.
    """
    draw = np.random.default_rng(29)
    weights = patient_weights([f"p{number}" for number in range(patients)], 1000, seed=1) / patients
    ones = np.ones(len(weights))
    studies, different, equivalent, covered = 1500, 0, 0, 0
    for values in draw.normal(0, 0.01, (studies, patients)):
        point, drawn = 1 + float(values.mean()), 1 + weights @ values
        found = compare_by_cases(point, 1.0, drawn, ones, patients=patients)
        different += found.significant()
        covered += found.low is not None and found.high is not None and found.low <= 0 <= found.high
        equivalent += equivalence_by_cases(
            point + 0.01, 1.0, drawn + 0.01, ones, 0.01, patients=patients
        ).equivalent
    assert different / studies <= most
    assert equivalent / studies <= (0.0 if patients < 5 else 0.07)
    if patients > 5:
        assert different / studies >= 0.03
        assert covered / studies >= 1 - most
