"""Metrics of volumes and of partly labelled cases, against plain loops and scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from medtransfer.core.errors import ShapeError, UsageError
from medtransfer.core.task_kind import TaskKind
from medtransfer.metrics.declared_metrics import compute_metrics, metrics
from medtransfer.metrics.predictions import ClassificationPredictions, SegmentationPredictions

SLICES = 60


def ids(prefix: str, numbers: np.ndarray) -> tuple[str, ...]:
    return tuple(f"{prefix}{number}" for number in numbers)


def slices_of_volumes(seed: int = 0) -> SegmentationPredictions:
    draw = np.random.default_rng(seed)
    volumes = draw.integers(0, 9, SLICES)
    counts = draw.integers(0, 30, (SLICES, 1, 2, 3)) * draw.integers(0, 2, (SLICES, 1, 2, 1))
    return SegmentationPredictions(
        ("liver", "lesion"),
        ("image",),
        ids("c", np.arange(SLICES)),
        ids("p", volumes // 2),
        counts,
        ids("v", volumes),
    )


def dice(tp: int, fp: int, fn: int) -> float:
    return 1.0 if tp + fp + fn == 0 else 2 * tp / (2 * tp + fp + fn)


def test_dice_per_volume_pools_the_slices_of_each_volume_first() -> None:
    found = slices_of_volumes()
    value = metrics.get("dice-volume").compute(found)
    for number, name in enumerate(found.classes):
        frame = pd.DataFrame(found.counts[:, 0, number], columns=["tp", "fp", "fn"])
        by_volume = frame.groupby(list(found.volume_ids)).sum()
        assert value.per_class[name] == pytest.approx(np.mean([dice(*row) for row in by_volume.to_numpy()]))
    assert value.value != pytest.approx(metrics.get("dice").compute(found).value or 0)


def test_a_drawn_patient_brings_whole_volumes() -> None:
    found = slices_of_volumes(1)
    patients = np.array(found.patient_ids)
    weights = np.where(patients == patients[0], 3, np.where(patients == patients[-1], 0, 1))
    volumes = np.array(found.volume_ids)
    weight_of = {volume: weights[volumes == volume][0] for volume in set(found.volume_ids)}
    expected = []
    for number in range(2):
        scores = {
            volume: dice(*found.counts[volumes == volume, 0, number].sum(axis=0)) for volume in weight_of
        }
        total = sum(weight_of.values())
        expected.append(sum(weight_of[volume] * scores[volume] for volume in scores) / total)
    (value,) = metrics.get("dice-volume").resampled(found, weights[None])
    assert value == pytest.approx(np.mean(expected))


def test_dice_of_non_empty_masks_leaves_the_empty_ones_out() -> None:
    found = slices_of_volumes(2)
    value = metrics.get("dice-nonempty").compute(found)
    for number, name in enumerate(found.classes):
        rows = [row for row in found.counts[:, 0, number] if row[0] + row[2] > 0]
        assert value.per_class[name] == pytest.approx(np.mean([dice(*row) for row in rows]))
        assert value.support[name] == len(rows)


def test_batched_dice_is_the_mean_over_batches_that_have_any() -> None:
    draw = np.random.default_rng(3)
    counts = draw.integers(0, 9, (300, 1, 1, 3))
    counts[128:256] = 0
    names = ids("c", np.arange(300))
    found = SegmentationPredictions(("organ",), ("image",), names, names, counts)
    pooled = [dice(*counts[start : start + 128, 0, 0].sum(axis=0)) for start in (0, 256)]
    assert metrics.get("dice-batch128-compat").compute(found).value == pytest.approx(np.mean(pooled))


def partly_labelled() -> ClassificationPredictions:
    draw = np.random.default_rng(4)
    labels = draw.integers(0, 2, (SLICES, 3)).astype(np.float32)
    labels[draw.random(labels.shape) < 0.3] = np.nan
    names = ids("c", np.arange(SLICES))
    return ClassificationPredictions(
        TaskKind.MULTI_LABEL, ("a", "b", "c"), names, names, labels, draw.random(labels.shape), (), ("c", "a")
    )


def test_unknown_labels_do_not_count_for_their_class() -> None:
    found = partly_labelled()
    value = metrics.get("auc").compute(found)
    for number, name in enumerate(found.classes):
        known = ~np.isnan(found.labels[:, number])
        expected = roc_auc_score(found.labels[known, number], found.scores[known, number])
        assert value.per_class[name] == pytest.approx(expected)
        assert value.support[name] == int((found.labels[:, number] == 1).sum())


def test_scored_classes_are_those_the_task_names() -> None:
    found = partly_labelled()
    whole, scored = (compute_metrics([name], found)[name] for name in ("auc", "auc-scored"))
    assert list(scored.per_class) == ["a", "c"]
    assert scored.value == pytest.approx((whole.per_class["a"] + whole.per_class["c"]) / 2)


def test_auc_per_volume_takes_the_highest_slice() -> None:
    draw = np.random.default_rng(5)
    volumes = draw.integers(0, 12, SLICES)
    labels, scores = (draw.random(SLICES) < 0.15).astype(int), draw.random(SLICES)
    found = ClassificationPredictions(
        TaskKind.BINARY,
        ("no", "yes"),
        ids("c", np.arange(SLICES)),
        ids("p", volumes),
        labels,
        np.stack([1 - scores, scores], axis=1),
        ids("v", volumes),
    )
    by_volume = pd.DataFrame({"label": labels, "score": scores}).groupby(volumes).max()
    expected = roc_auc_score(by_volume["label"], by_volume["score"])
    assert metrics.get("auc-volume").compute(found).value == pytest.approx(expected)


def test_frames_keep_volumes() -> None:
    masks = slices_of_volumes()
    assert SegmentationPredictions.from_frame(masks.to_frame()).volume_ids == masks.volume_ids
    assert "volume_id" not in partly_labelled().to_frame()


@pytest.mark.parametrize("name", ["dice-volume", "auc-volume"])
def test_metrics_of_volumes_refuse_images_without_one(name: str) -> None:
    metric = metrics.get(name)
    assert metric.needs == "volumes"
    frame = slices_of_volumes() if name == "dice-volume" else partly_labelled()
    with pytest.raises(UsageError, match="know their volume"):
        metric.compute(type(frame)(**{**vars(frame), "volume_ids": ()}))
    with pytest.raises(ShapeError, match="volume ids"):
        type(frame)(**{**vars(frame), "volume_ids": ("v",)})


def labelled_slices(
    labels: list[float], scores: list[float], per_volume: int = 2
) -> ClassificationPredictions:
    number = np.arange(len(labels))
    return ClassificationPredictions(
        TaskKind.MULTI_LABEL,
        ("finding",),
        ids("c", number),
        ids("p", number // per_volume),
        np.array(labels)[:, None],
        np.array(scores)[:, None],
        ids("v", number // per_volume),
    )


@pytest.mark.parametrize("draws", [1, 64])
def test_a_volume_whose_label_is_not_known_does_not_count(draws: int) -> None:
    labels, scores = [1, 1, 0, 0, np.nan, np.nan, 0, np.nan], [0.8, 0.7, 0.2, 0.1, 0.9, 0.95, 0.99, 0.3]
    auc = metrics.get("auc-volume")
    assert auc.compute(labelled_slices(labels, scores)).value == 1.0
    weights = np.ones((draws, len(labels)))
    assert (auc.resampled(labelled_slices(labels, scores), weights) == 1.0).all()


def test_a_volume_with_a_slice_known_to_have_the_class_counts_with_all_its_slices() -> None:
    labels = [1, np.nan, 0, 0, 1, 0]
    assert (
        metrics.get("auc-volume").compute(labelled_slices(labels, [0.1, 0.9, 0.5, 0.2, 0.6, 0.1])).value == 1
    )
    assert (
        metrics.get("auc-volume").compute(labelled_slices(labels, [0.1, 0.4, 0.5, 0.2, 0.6, 0.1])).value
        == 0.5
    )


@pytest.mark.parametrize("draws", [1, 64])
def test_a_class_no_volume_is_known_for_is_undefined(draws: int) -> None:
    found = labelled_slices([np.nan] * 4, [0.1, 0.2, 0.3, 0.4])
    assert metrics.get("auc-volume").compute(found).value is None
    assert np.isnan(metrics.get("auc-volume").resampled(found, np.ones((draws, 4)))).all()
