"""Calibration against scikit-learn and torchmetrics, by hand, and at its edges."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss
from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

from medtransfer.core.errors import ShapeError
from medtransfer.core.task_kind import TaskKind
from medtransfer.metrics.calibration import brier_score, class_reliability_curves, reliability_curve
from medtransfer.metrics.predictions import ClassificationPredictions

Build = Callable[..., Any]


def drawn(kind: TaskKind, seed: int, cases: int, classes: int) -> ClassificationPredictions:
    draw = np.random.default_rng(seed)
    scores = draw.random((cases, classes))
    labels = draw.integers(0, 2, (cases, classes))
    if kind is not TaskKind.MULTI_LABEL:
        scores /= scores.sum(axis=1, keepdims=True)
        labels = draw.integers(0, classes, cases)
    ids = tuple(map(str, range(cases)))
    return ClassificationPredictions(kind, tuple("abcdef"[:classes]), ids, ids, labels, scores)


class TestAgainstLibraries:
    @settings(deadline=None, max_examples=40)
    @given(st.integers(0, 10**6), st.integers(1, 200), st.integers(1, 20))
    def test_binary_curves_of_equal_width(self, seed: int, cases: int, bins: int) -> None:
        found = drawn(TaskKind.BINARY, seed, cases, 2)
        curve = reliability_curve(found, "equal-width", bins)
        observed, predicted = calibration_curve(
            found.labels, found.scores[:, 1], n_bins=bins, strategy="uniform"
        )
        assert curve.observed == pytest.approx(observed)
        assert curve.predicted == pytest.approx(predicted)
        assert curve.predictions == cases

    @settings(deadline=None, max_examples=40)
    @given(st.integers(0, 10**6), st.integers(1, 12), st.integers(2, 20))
    def test_binary_curves_of_equal_mass(self, seed: int, bins: int, each: int) -> None:
        found = drawn(TaskKind.BINARY, seed, bins * each, 2)
        curve = reliability_curve(found, "equal-mass", bins)
        observed, predicted = calibration_curve(
            found.labels, found.scores[:, 1], n_bins=bins, strategy="quantile"
        )
        assert curve.counts == (each,) * bins
        assert curve.observed == pytest.approx(observed)
        assert curve.predicted == pytest.approx(predicted)

    @settings(deadline=None, max_examples=40)
    @given(st.integers(0, 10**6), st.integers(1, 200), st.integers(2, 15), st.integers(3, 6))
    def test_errors_are_those_of_torchmetrics(self, seed: int, cases: int, bins: int, classes: int) -> None:
        two, many = drawn(TaskKind.BINARY, seed, cases, 2), drawn(TaskKind.MULTI_CLASS, seed, cases, classes)
        for norm, name in (("l1", "expected_error"), ("max", "largest_error")):
            of_two = binary_calibration_error(
                torch.tensor(two.scores[:, 1]), torch.tensor(two.labels), n_bins=bins, norm=norm
            )
            of_many = multiclass_calibration_error(
                torch.tensor(many.scores), torch.tensor(many.labels), classes, n_bins=bins, norm=norm
            )
            assert getattr(reliability_curve(two, bins=bins), name) == pytest.approx(float(of_two), abs=1e-6)
            assert getattr(reliability_curve(many, bins=bins), name) == pytest.approx(
                float(of_many), abs=1e-6
            )

    @settings(deadline=None, max_examples=40)
    @given(st.integers(0, 10**6), st.integers(2, 60), st.integers(3, 5))
    def test_brier_scores_are_those_of_scikit_learn(self, seed: int, cases: int, classes: int) -> None:
        two, many = drawn(TaskKind.BINARY, seed, cases, 2), drawn(TaskKind.MULTI_CLASS, seed, cases, classes)
        both = drawn(TaskKind.MULTI_LABEL, seed, cases, classes)
        expected = brier_score_loss(two.labels, two.scores[:, 1], pos_label=1, labels=[0, 1])
        assert brier_score(two) == pytest.approx(expected)
        expected = brier_score_loss(
            many.labels, many.scores, labels=list(range(classes)), scale_by_half=False
        )
        assert brier_score(many) == pytest.approx(expected)
        columns = [
            brier_score_loss(both.labels[:, k], both.scores[:, k], pos_label=1, labels=[0, 1])
            for k in range(classes)
        ]
        assert brier_score(both) == pytest.approx(np.mean(columns))

    def test_many_labels_are_pooled(self) -> None:
        found = drawn(TaskKind.MULTI_LABEL, 3, 80, 4)
        observed, predicted = calibration_curve(found.labels.ravel(), found.scores.ravel(), n_bins=15)
        curve = reliability_curve(found)
        assert curve.observed == pytest.approx(observed)
        assert curve.predicted == pytest.approx(predicted)


class TestByHand:
    def test_two_bins(self, binary: Build) -> None:
        curve = reliability_curve(binary([0, 1, 1, 1], [0.1, 0.3, 0.6, 0.8]), bins=2)
        assert curve.predicted == pytest.approx((0.2, 0.7))
        assert (curve.observed, curve.counts) == ((0.5, 1.0), (2, 2))
        assert curve.expected_error == curve.largest_error == pytest.approx(0.3)
        assert curve.error_id == "ece-equal-width-2"

    def test_ends_and_edges_belong_to_the_lower_bin(self, binary: Build) -> None:
        curve = reliability_curve(binary([0, 0, 1, 1], [0.0, 0.5, 0.51, 1.0]), bins=2)
        assert curve.counts == (2, 2)
        assert curve.predicted == pytest.approx((0.25, 0.755))

    def test_equal_probabilities_share_a_bin(self, binary: Build) -> None:
        curve = reliability_curve(binary([0, 1, 0, 1, 1, 1], [0.2, 0.2, 0.2, 0.2, 0.7, 0.9]), "equal-mass", 3)
        assert curve.counts == (4, 2)
        assert curve.predicted == pytest.approx((0.2, 0.8))
        assert curve.error_id == "ece-equal-mass-3"
        constant = reliability_curve(binary([0, 1], [0.4, 0.4]), "equal-mass", 5)
        assert (constant.counts, constant.expected_error) == ((2,), pytest.approx(0.1))

    def test_the_top_label_of_exclusive_classes(self, many: Build) -> None:
        curve = reliability_curve(many([0, 1, 2, 2], [0, 1, 1, 2], 3), bins=10)
        assert (curve.predicted, curve.observed, curve.counts) == ((pytest.approx(0.8),), (0.75,), (4,))

    def test_true_probabilities_have_little_error_and_shifted_ones_their_shift(self) -> None:
        draw = np.random.default_rng(8)
        p = draw.random(200_000) * 0.8
        ids = tuple(map(str, range(len(p))))
        labels = (draw.random(len(p)) < p).astype(int)
        for shift, expected in ((0.0, 0.0), (0.1, 0.1)):
            scores = np.stack([1 - p - shift, p + shift], axis=1)
            found = ClassificationPredictions(TaskKind.BINARY, ("no", "yes"), ids, ids, labels, scores)
            for rule in ("equal-width", "equal-mass"):
                assert reliability_curve(found, rule).expected_error == pytest.approx(expected, abs=0.005)  # type: ignore[arg-type]


class TestEdges:
    def test_labels_that_are_not_known_count_nowhere(self, findings: Build) -> None:
        labels = [[0.0, math.nan], [1.0, math.nan], [math.nan, math.nan]]
        found = findings(labels, [[0.2, 0.9], [0.6, 0.1], [0.5, 0.5]])
        curve = reliability_curve(found, bins=2)
        assert (curve.predicted, curve.observed) == ((0.2, 0.6), (0.0, 1.0))
        assert brier_score(found) == pytest.approx((0.04 + 0.16) / 2)
        assert list(class_reliability_curves(found, bins=2)) == ["a"]
        nothing = replace(found, labels=np.full((3, 2), math.nan))
        for act in (reliability_curve, brier_score):
            with pytest.raises(ShapeError, match="at least one labelled case"):
                act(nothing)

    def test_each_class_against_the_rest(self, many: Build, binary: Build) -> None:
        found = drawn(TaskKind.MULTI_CLASS, 4, 50, 3)
        curves = class_reliability_curves(found, "equal-mass", 5)
        assert list(curves) == ["a", "b", "c"]
        for k, curve in enumerate(curves.values()):
            observed, predicted = calibration_curve(
                found.labels == k, found.scores[:, k], n_bins=5, strategy="quantile"
            )
            assert curve.observed == pytest.approx(observed)
            assert curve.predicted == pytest.approx(predicted)
        two = binary([0, 1, 1], [0.2, 0.4, 0.9])
        assert class_reliability_curves(two) == {"yes": reliability_curve(two)}

    def test_one_class_in_the_truth_is_no_obstacle(self, binary: Build) -> None:
        assert reliability_curve(binary([1, 1], [0.9, 0.7]), bins=1).observed == (1.0,)
        assert brier_score(binary([1], [1.0])) == 0.0

    def test_what_is_no_probability_is_refused(self, binary: Build) -> None:
        with pytest.raises(ShapeError, match=r"probabilities in \[0, 1\], got -1 to 2"):
            brier_score(binary([0, 1], [0.5, 2.0]))
        with pytest.raises(ShapeError, match="one bin at least"):
            reliability_curve(binary([0, 1], [0.5, 0.6]), bins=0)
        with pytest.raises(ShapeError, match="at least one labelled case"):
            brier_score(binary([], []))
