"""What metrics do where libraries disagree."""

from __future__ import annotations

import numpy as np
import pytest

from medtransfer.core.errors import ShapeError, UsageError
from medtransfer.core.task_kind import TaskKind
from medtransfer.metrics.declared_metrics import compute_metrics, metrics
from medtransfer.metrics.predictions import ClassificationPredictions, SegmentationPredictions


def binary(labels: list[int], scores: list[float]) -> ClassificationPredictions:
    ids = tuple(map(str, range(len(labels))))
    positive = np.array(scores)
    both = np.stack([1 - positive, positive], axis=1)
    return ClassificationPredictions(TaskKind.BINARY, ("no", "yes"), ids, ids, np.array(labels), both)


def many(labels: list[int], predicted: list[int], classes: int) -> ClassificationPredictions:
    ids = tuple(map(str, range(len(labels))))
    scores = np.full((len(labels), classes), 0.1)
    scores[np.arange(len(labels)), predicted] = 0.8
    names = tuple("abcdef"[:classes])
    return ClassificationPredictions(TaskKind.MULTI_CLASS, names, ids, ids, np.array(labels), scores)


def masks(*counts: tuple[int, int, int]) -> SegmentationPredictions:
    ids = tuple(map(str, range(len(counts))))
    return SegmentationPredictions(("organ",), ("image",), ids, ids, np.array(counts)[:, None, None, :])


def test_auc_with_one_class_in_the_truth_is_undefined_and_says_so() -> None:
    value = metrics.get("auc").compute(binary([1, 1, 1], [0.2, 0.4, 0.9]))
    assert value.value is None
    assert value.note is not None
    assert value.note.startswith("undefined")
    assert value.as_json()["value"] is None


def test_constant_scores_give_one_half() -> None:
    assert metrics.get("auc").compute(binary([0, 1, 1, 0], [0.3] * 4)).value == 0.5


def test_the_mean_auc_runs_over_the_classes_present_and_names_the_others() -> None:
    value = metrics.get("auc").compute(many([0, 0, 1, 1], [0, 0, 1, 0], 3))
    assert value.per_class["c"] is None
    assert value.classes_used == 2
    assert value.value == pytest.approx(np.mean([value.per_class["a"], value.per_class["b"]]))
    assert "mean over 2 of 3 classes; undefined for 'c'" in (value.note or "")


def test_few_positives_are_named() -> None:
    assert "fewer than 10 positive cases: 'yes (2)'" in (
        metrics.get("auc").compute(binary([0, 1, 1, 0], [0.1, 0.8, 0.4, 0.3])).note or ""
    )


def test_a_class_predicted_though_absent_is_named_and_not_averaged() -> None:
    value = metrics.get("balanced-accuracy").compute(many([0, 0, 1, 1], [0, 2, 1, 1], 3))
    assert value.value == pytest.approx(0.75)
    assert value.per_class["c"] is None
    assert "'c (1)'" in (value.note or "")


def test_of_equal_scores_the_first_class_is_predicted() -> None:
    assert metrics.get("accuracy").compute(binary([0, 0], [0.5, 0.5])).value == 1.0


def test_accuracy_and_balanced_accuracy_differ_on_rare_classes() -> None:
    found = many([0] * 90 + [1] * 10, [0] * 90 + [1] * 2 + [0] * 8, 2)
    assert metrics.get("accuracy").compute(found).value == pytest.approx(0.92)
    assert metrics.get("balanced-accuracy").compute(found).value == pytest.approx(0.6)


def test_dice_of_empty_masks() -> None:
    both_empty, truth_empty, nothing_found = (0, 0, 0), (0, 7, 0), (0, 0, 7)
    dice = metrics.get("dice")
    assert dice.compute(masks(both_empty)).value == 1.0
    assert dice.compute(masks(truth_empty)).value == 0.0
    assert dice.compute(masks(nothing_found)).value == 0.0
    value = dice.compute(masks((2, 1, 1), both_empty))
    assert value.value == pytest.approx((2 / 3 + 1) / 2)
    assert value.note == "'organ': the true mask is empty in 1 of 2 cases"
    assert value.support == {"organ": 1}


def test_dice_in_a_region_that_was_not_counted_is_refused() -> None:
    with pytest.raises(UsageError, match="field-of-view"):
        metrics.get("dice-fov").compute(masks((1, 1, 1)))


def test_a_draw_without_a_needed_class_is_undefined_not_zero() -> None:
    found = binary([0, 1, 1], [0.1, 0.8, 0.4])
    values = metrics.get("auc").resampled(found, np.array([[1, 1, 1], [0, 2, 1], [2, 0, 0]]))
    assert values[0] == 1.0
    assert np.isnan(values[1:]).all()


@pytest.mark.parametrize("labels", [[0, 2, 1], [0, -1, 1]])
def test_labels_that_are_no_class_are_refused(labels: list[int]) -> None:
    with pytest.raises(ShapeError, match="expected integers from 0 to 1"):
        metrics.get("auc").compute(binary(labels, [0.1, 0.2, 0.3]))


def test_all_metrics_of_a_task_are_computed_by_name() -> None:
    found = compute_metrics(("auc", "accuracy"), binary([0, 1], [0.2, 0.9]))
    assert {name: value.value for name, value in found.items()} == {"auc": 1.0, "accuracy": 1.0}


def test_predictions_survive_their_table() -> None:
    found = many([0, 2, 1], [0, 1, 1], 3)
    again = ClassificationPredictions.from_frame(found.to_frame(), found.kind, found.classes)
    assert np.array_equal(again.scores, found.scores)
    assert again.case_ids == found.case_ids
    pixels = masks((3, 1, 2), (0, 0, 4))
    assert np.array_equal(SegmentationPredictions.from_frame(pixels.to_frame()).counts, pixels.counts)


def test_scores_of_another_shape_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"scores: expected shape \(2, 2\), got \(2, 3\)"):
        ClassificationPredictions(
            TaskKind.BINARY, ("a", "b"), ("1", "2"), ("1", "2"), np.array([0, 1]), np.ones((2, 3))
        )
