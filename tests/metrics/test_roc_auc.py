"""The AUC at its edges: absent classes, ties, few positives, draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from medtransfer.metrics.declared_metrics import metrics
from medtransfer.metrics.roc_auc import FEW_POSITIVES, _unweighted_aucs, weighted_auc
from medtransfer.stats.patients import patient_weights

Build = Callable[..., Any]
AUC = metrics.get("auc")


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_in_the_truth_is_undefined_and_says_so(binary: Build, label: int) -> None:
    value = AUC.compute(binary([label] * 3, [0.2, 0.4, 0.9]))
    assert value.value is None
    assert (value.note or "").startswith("undefined: its labels are all positive or all negative")
    assert value.as_json()["value"] is None


def test_constant_scores_give_one_half(binary: Build) -> None:
    assert AUC.compute(binary([0, 1, 1, 0], [0.3] * 4)).value == 0.5


def test_ties_count_half_and_only_across_classes(binary: Build) -> None:
    # pairs (positive, negative): .4>.2, .4=.4, .9>.2, .9>.4, and two equal positives add nothing
    assert AUC.compute(binary([0, 0, 1, 1], [0.2, 0.4, 0.4, 0.9])).value == 3.5 / 4
    assert AUC.compute(binary([0, 1, 1], [0.2, 0.9, 0.9])).value == 1.0


def test_only_the_positive_class_of_a_binary_task_counts(binary: Build) -> None:
    value = AUC.compute(binary([0, 1, 1, 0], [0.1, 0.8, 0.4, 0.3]))
    assert list(value.per_class) == ["yes"]
    assert value.support == {"yes": 2}


def test_the_mean_runs_over_the_classes_present_and_names_the_others(many: Build) -> None:
    value = AUC.compute(many([0, 0, 1, 1], [0, 0, 1, 0], 3))
    assert value.per_class["c"] is None
    assert value.classes_used == 2
    assert value.value == pytest.approx(np.mean([value.per_class["a"], value.per_class["b"]]))
    assert "mean over 2 of 3 classes; undefined for 'c'" in (value.note or "")


def test_a_finding_nobody_or_everybody_has_is_left_out(findings: Build) -> None:
    labels = [[0, 1, 0], [0, 1, 1], [0, 1, 1]]
    value = AUC.compute(findings(labels, [[0.1, 0.9, 0.4], [0.2, 0.8, 0.6], [0.9, 0.7, 0.3]]))
    assert value.per_class == {"a": None, "b": None, "c": 0.5}
    assert value.value == 0.5
    assert value.support == {"a": 0, "b": 3, "c": 2}


def test_few_positives_are_named(binary: Build) -> None:
    few = AUC.compute(binary([0, 1, 1, 0], [0.1, 0.8, 0.4, 0.3]))
    assert few.note == "fewer than 10 positive cases: 'yes (2)'"
    scores = np.linspace(0, 1, FEW_POSITIVES + 1).tolist()
    assert AUC.compute(binary([0] + [1] * FEW_POSITIVES, scores)).note is None


def test_a_draw_without_a_needed_class_is_undefined_not_zero(binary: Build) -> None:
    found = binary([0, 1, 1], [0.1, 0.8, 0.4])
    values = AUC.resampled(found, np.array([[1, 1, 1], [0, 2, 1], [2, 0, 0]]))
    assert values[0] == 1.0
    assert np.isnan(values[1:]).all()


def test_every_draw_estimates_the_same_mean(many: Build) -> None:
    """A class absent from all cases stays out of every draw; one absent from a draw makes it undefined."""
    found = many([0, 0, 1, 1], [0, 0, 1, 0], 3)
    values = AUC.resampled(found, np.array([[1, 1, 1, 1], [2, 0, 1, 1], [0, 0, 2, 2]]))
    assert values[0] == AUC.compute(found).value
    assert np.isfinite(values[1])
    assert np.isnan(values[2])


def test_without_a_defined_class_every_draw_is_undefined(binary: Build) -> None:
    assert np.isnan(AUC.resampled(binary([1, 1], [0.2, 0.4]), np.ones((3, 2)))).all()


def test_scores_beyond_probabilities_rank_the_same() -> None:
    logits = np.array([-3.0, 700.0, 0.1, -800.0])
    truth = np.array([False, True, True, False])
    assert weighted_auc(logits, truth, np.ones((1, 4)))[0] == 1.0
    assert weighted_auc(-logits, truth, np.ones((1, 4)))[0] == 0.0


class TestManyDraws:
    """Going through the cases must give what a cumulated sum per draw gives, digit by digit for counts."""

    @settings(deadline=None, max_examples=60)
    @given(
        st.integers(0, 10**6),
        st.integers(1, 40),
        st.integers(1, 12),
        st.sampled_from(["C", "F", "portion"]),
        st.floats(0.05, 0.95),
    )
    def test_both_ways_agree_ties_and_absent_classes_included(
        self, seed: int, cases: int, levels: int, layout: str, share: float
    ) -> None:
        draw = np.random.default_rng(seed)
        scores, positive = draw.integers(0, levels, cases) / levels, draw.random(cases) < share
        counts = draw.multinomial(cases, np.full(cases, 1 / cases), size=120).astype(np.float64)
        counts = np.asfortranarray(counts) if layout != "C" else counts
        counts = counts[20:100] if layout == "portion" else counts
        many = weighted_auc(scores, positive, counts)
        few = np.concatenate(
            [weighted_auc(scores, positive, counts[row : row + 1]) for row in range(len(counts))]
        )
        np.testing.assert_array_equal(many, few)

    def test_fractions_of_weights_agree_to_rounding(self) -> None:
        draw = np.random.default_rng(3)
        scores, positive = draw.integers(0, 20, 200) / 20, draw.random(200) < 0.7
        weights = draw.random((60, 200))
        many = weighted_auc(scores, positive, weights)
        for row, value in zip(weights, many, strict=True):
            expected = roc_auc_score(positive, scores, sample_weight=row)
            assert value == pytest.approx(expected, abs=1e-12)

    def test_weights_are_left_as_they_were(self) -> None:
        weights = np.asfortranarray(np.random.default_rng(4).random((60, 30)))
        before = weights.copy()
        weighted_auc(np.arange(30) // 3 / 10, np.arange(30) % 2 == 0, weights)
        np.testing.assert_array_equal(weights, before)

    def test_a_label_that_is_not_known_counts_nowhere(self, findings: Build) -> None:
        draw = np.random.default_rng(5)
        labels = draw.integers(0, 2, (40, 2)).astype(np.float64)
        labels[:5, 0] = np.nan
        found = findings(labels.tolist(), draw.random((40, 2)).tolist())
        weights = patient_weights([str(row) for row in range(40)], 60, seed=1)
        values = AUC.resampled(found, weights)
        for row, value in zip(weights, values, strict=True):
            both = [
                roc_auc_score(labels[known, k], found.scores[known, k], sample_weight=row[known])
                for k, known in enumerate(~np.isnan(labels).T)
            ]
            assert value == pytest.approx(np.mean(both), abs=1e-12)


@given(st.integers(2, 60), st.integers(1, 4), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_without_weights_the_digits_are_those_of_equal_weights(
    cases: int, classes: int, levels: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    scores = random.integers(0, levels, (cases, classes)) / levels  # with ties
    truth = random.random((cases, classes)) < 0.4
    found = _unweighted_aucs(scores, truth)
    for k in range(classes):
        (expected,) = weighted_auc(scores[:, k], truth[:, k], np.ones((1, cases)))
        assert found[k] == expected or (np.isnan(found[k]) and np.isnan(expected))
        if 0 < truth[:, k].sum() < cases:
            assert found[k] == pytest.approx(roc_auc_score(truth[:, k], scores[:, k]), abs=1e-12)
