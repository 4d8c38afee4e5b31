"""Our metrics against scikit-learn and torchmetrics; weights against repeated cases."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk
from torchmetrics.functional.classification import (
    binary_auroc,
    multiclass_accuracy,
    multiclass_auroc,
    multilabel_auroc,
)
from torchmetrics.functional.segmentation import dice_score

from medtransfer.core.task_kind import TaskKind
from medtransfer.metrics.declared_metrics import metrics
from medtransfer.metrics.predictions import ClassificationPredictions, SegmentationPredictions
from medtransfer.metrics.roc_auc import weighted_auc

Array = npt.NDArray[np.float64]


def classified(kind: TaskKind, labels: npt.NDArray[np.int64], scores: Array) -> ClassificationPredictions:
    ids = tuple(f"c{row}" for row in range(len(scores)))
    names = tuple(f"class {column}" for column in range(scores.shape[1]))
    return ClassificationPredictions(kind, names, ids, ids, labels, scores)


def drawn(kind: TaskKind, cases: int, classes: int, seed: int, ties: bool) -> ClassificationPredictions:
    draw = np.random.default_rng(seed)
    scores = draw.random((cases, classes))
    scores = np.round(scores, 1) + 0.05 if ties else scores
    if kind is TaskKind.MULTI_LABEL:
        labels = draw.integers(0, 2, (cases, classes))
        labels[:2] = [[0] * classes, [1] * classes]
        return classified(kind, labels, scores / 1.1)
    labels = draw.permutation(np.arange(cases) % classes)
    return classified(kind, labels, scores / scores.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_auc_of_a_binary_task(seed: int, ties: bool) -> None:
    found = drawn(TaskKind.BINARY, 60, 2, seed, ties)
    value = metrics.get("auc").compute(found).value
    assert value == pytest.approx(sk.roc_auc_score(found.labels, found.scores[:, 1]), abs=1e-12)
    by_torch = binary_auroc(torch.tensor(found.scores[:, 1]), torch.tensor(found.labels))
    assert value == pytest.approx(float(by_torch), abs=1e-6)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_auc_of_many_classes_is_each_against_the_rest(seed: int, ties: bool) -> None:
    found = drawn(TaskKind.MULTI_CLASS, 80, 4, seed, ties)
    ours = metrics.get("auc").compute(found)
    expected = [sk.roc_auc_score(found.labels == k, found.scores[:, k]) for k in range(4)]
    assert list(ours.per_class.values()) == pytest.approx(expected, abs=1e-12)
    by_torch = multiclass_auroc(torch.tensor(found.scores), torch.tensor(found.labels), 4, average="macro")
    assert ours.value == pytest.approx(float(by_torch), abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_auc_of_many_labels_is_their_mean(seed: int) -> None:
    found = drawn(TaskKind.MULTI_LABEL, 50, 3, seed, ties=True)
    expected = sk.roc_auc_score(found.labels, found.scores, average="macro")
    value = metrics.get("auc").compute(found)
    assert value.value == pytest.approx(expected, abs=1e-12)
    by_torch = multilabel_auroc(torch.tensor(found.scores), torch.tensor(found.labels), 3, average="none")
    assert list(value.per_class.values()) == pytest.approx(by_torch.tolist(), abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_accuracies(seed: int) -> None:
    found = drawn(TaskKind.MULTI_CLASS, 90, 5, seed, ties=False)
    predicted = found.scores.argmax(axis=1)
    accuracy, balanced = (
        metrics.get(name).compute(found).value for name in ("accuracy", "balanced-accuracy")
    )
    assert accuracy == pytest.approx(sk.accuracy_score(found.labels, predicted), abs=1e-12)
    assert balanced == pytest.approx(sk.balanced_accuracy_score(found.labels, predicted), abs=1e-12)
    guesses, labels = torch.tensor(predicted), torch.tensor(found.labels)
    assert accuracy == pytest.approx(
        float(multiclass_accuracy(guesses, labels, 5, average="micro")), abs=1e-6
    )
    assert balanced == pytest.approx(
        float(multiclass_accuracy(guesses, labels, 5, average="macro")), abs=1e-6
    )


def test_balanced_accuracy_where_a_predicted_class_is_absent() -> None:
    found = drawn(TaskKind.MULTI_CLASS, 60, 4, 3, ties=False)
    present = classified(found.kind, found.labels % 3, found.scores)
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        expected = sk.balanced_accuracy_score(present.labels, present.scores.argmax(axis=1))
    assert metrics.get("balanced-accuracy").compute(present).value == pytest.approx(expected, abs=1e-12)


@given(
    weights=st.lists(st.floats(0, 5), min_size=30, max_size=30),
    seed=st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None)
def test_weights_are_those_of_scikit_learn(weights: list[float], seed: int) -> None:
    found = drawn(TaskKind.MULTI_CLASS, 30, 3, seed, ties=True)
    given_weights = np.array(weights) + 0.01
    ours = {
        name: float(metrics.get(name).resampled(found, given_weights[None])[0])
        for name in ("auc", "accuracy", "balanced-accuracy")
    }
    predicted = found.scores.argmax(axis=1)
    expected = {
        "auc": np.mean(
            [
                sk.roc_auc_score(found.labels == k, found.scores[:, k], sample_weight=given_weights)
                for k in range(3)
            ]
        ),
        "accuracy": sk.accuracy_score(found.labels, predicted, sample_weight=given_weights),
        "balanced-accuracy": sk.balanced_accuracy_score(found.labels, predicted, sample_weight=given_weights),
    }
    assert ours == pytest.approx(expected, abs=1e-10)


@given(
    scores=st.lists(st.integers(0, 6), min_size=4, max_size=25),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=80, deadline=None)
def test_a_weight_is_a_number_of_copies(scores: list[int], seed: int) -> None:
    draw = np.random.default_rng(seed)
    values = np.array(scores) / 6
    truth = draw.integers(0, 2, len(values)).astype(bool)
    truth[:2] = True, False
    weights = draw.integers(0, 4, (3, len(values)))
    weights[:, :2] = np.maximum(weights[:, :2], 1)
    ours = weighted_auc(values, truth, weights.astype(np.float64))
    for draws, found in zip(weights, ours, strict=True):
        copies = np.repeat(np.arange(len(values)), draws)
        assert found == pytest.approx(sk.roc_auc_score(truth[copies], values[copies]), abs=1e-12)


@pytest.mark.parametrize("name", ["auc", "accuracy", "balanced-accuracy"])
def test_resampled_metrics_are_those_of_the_copied_cases(name: str) -> None:
    found = drawn(TaskKind.MULTI_CLASS, 40, 3, 7, ties=True)
    weights = np.random.default_rng(8).integers(0, 3, (6, 40))
    weights[:, :6] = 1
    ours = metrics.get(name).resampled(found, weights)
    for draws, value in zip(weights, ours, strict=True):
        copies = np.repeat(np.arange(40), draws)
        copied = classified(found.kind, found.labels[copies], found.scores[copies])
        assert value == pytest.approx(metrics.get(name).compute(copied).value, abs=1e-12)


def segmented(truth: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64]) -> SegmentationPredictions:
    """Count pixels of class ids, shape (N, H, W); 0 is background."""
    counts = [
        [
            [
                [np.sum((t == k) & (p == k)), np.sum((t != k) & (p == k)), np.sum((t == k) & (p != k))]
                for k in (1, 2)
            ]
        ]
        for t, p in zip(truth, predicted, strict=True)
    ]
    ids = tuple(f"c{row}" for row in range(len(truth)))
    return SegmentationPredictions(("one", "two"), ("image",), ids, ids, np.array(counts))


@pytest.mark.parametrize("seed", range(3))
def test_dice_per_image_and_pooled(seed: int) -> None:
    draw = np.random.default_rng(seed)
    truth, predicted = draw.integers(0, 3, (2, 6, 9, 9))
    found = segmented(truth, predicted)
    per_image = metrics.get("dice").compute(found)
    pooled = metrics.get("dice-pooled").compute(found)
    by_torch = dice_score(
        torch.tensor(predicted),
        torch.tensor(truth),
        3,
        include_background=False,
        average="none",
        input_format="index",
    )
    assert list(per_image.per_class.values()) == pytest.approx(by_torch.mean(dim=0).tolist(), abs=1e-6)
    expected = sk.f1_score(truth.ravel(), predicted.ravel(), labels=[1, 2], average=None)
    assert list(pooled.per_class.values()) == pytest.approx(list(expected), abs=1e-12)
    assert pooled.value == pytest.approx(expected.mean(), abs=1e-12)


def test_dice_of_two_cases_by_hand() -> None:
    counts = np.array([[[[90, 10, 10]]], [[[1, 10, 8]]]])
    found = SegmentationPredictions(("lesion",), ("image",), ("a", "b"), ("a", "b"), counts)
    assert metrics.get("dice").compute(found).value == pytest.approx((0.9 + 0.1) / 2)
    assert metrics.get("dice-pooled").compute(found).value == pytest.approx(182 / 220, abs=1e-12)
    thirds = SegmentationPredictions(("lesion",), ("image",), ("a",), ("a",), np.array([[[[2, 1, 1]]]]))
    assert metrics.get("dice").compute(thirds).value == pytest.approx(0.666667, abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_dice_is_that_of_the_jaccard_index(seed: int) -> None:
    truth, predicted = np.random.default_rng(seed).integers(0, 3, (2, 4, 9, 9))
    index = sk.jaccard_score(truth.ravel(), predicted.ravel(), labels=[1, 2], average=None)
    ours = metrics.get("dice-pooled").compute(segmented(truth, predicted)).per_class
    assert list(ours.values()) == pytest.approx(list(2 * index / (1 + index)), abs=1e-12)


@pytest.mark.parametrize("name", ["dice", "dice-pooled"])
def test_resampled_dice_is_that_of_the_copied_cases(name: str) -> None:
    truth, predicted = np.random.default_rng(9).integers(0, 3, (2, 12, 5, 5))
    truth[:3], predicted[2:4] = 0, 0
    weights = np.random.default_rng(10).integers(0, 3, (8, 12))
    ours = metrics.get(name).resampled(segmented(truth, predicted), weights)
    for draws, value in zip(weights, ours, strict=True):
        copies = np.repeat(np.arange(12), draws)
        copied = segmented(truth[copies], predicted[copies])
        assert value == pytest.approx(metrics.get(name).compute(copied).value, abs=1e-12)


def test_rare_positives_by_printed_values() -> None:
    """90 negatives all right and 2 of 10 positives found."""
    labels = np.array([0] * 90 + [1] * 10)
    predicted = np.array([0] * 90 + [1] * 2 + [0] * 8)
    found = classified(TaskKind.BINARY, labels, np.eye(2)[predicted])
    assert metrics.get("accuracy").compute(found).value == pytest.approx(0.92)
    assert metrics.get("balanced-accuracy").compute(found).value == pytest.approx(
        sk.balanced_accuracy_score(labels, predicted)
    )


def test_auc_is_the_share_of_pairs_mann_whitney_counts() -> None:
    found = drawn(TaskKind.BINARY, 40, 2, 11, ties=True)
    scores = found.scores[:, 1]
    u = stats.mannwhitneyu(scores[found.labels == 1], scores[found.labels == 0]).statistic
    assert metrics.get("auc").compute(found).value == pytest.approx(u / (20 * 20), abs=1e-12)
