"""What every declared metric must be; a new one is tested by being registered."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from medtransfer.core.errors import ShapeError, TrialError, UsageError
from medtransfer.core.task_kind import TaskKind
from medtransfer.metrics.declared_metrics import metrics
from medtransfer.metrics.metric import Metric
from medtransfer.metrics.predictions import ClassificationPredictions, Predictions, SegmentationPredictions

every_metric = pytest.mark.parametrize("metric", list(metrics), ids=lambda metric: metric.name)
CASES = 24


def predictions(kind: TaskKind, quality: float, seed: int = 0) -> Predictions:
    """Draw predictions; quality 1 is perfect, 0 is always wrong."""
    draw = np.random.default_rng(seed)
    ids = tuple(f"c{row:02}" for row in range(CASES))
    if kind is TaskKind.SEGMENTATION:
        hit = round(100 * quality)
        counts = np.tile([hit, 100 - hit, 100 - hit], (CASES, 2, 1, 1))
        return SegmentationPredictions(("organ",), ("image", "field-of-view"), ids, ids, counts)
    classes = {TaskKind.BINARY: 2, TaskKind.MULTI_CLASS: 3, TaskKind.MULTI_LABEL: 3}[kind]
    names = tuple(f"class {number}" for number in range(classes))
    labels = np.arange(CASES) % classes
    truth = labels[:, None] == np.arange(classes)
    if kind is TaskKind.MULTI_LABEL:
        labels = truth.astype(int)
    scores = np.where(truth, quality, (1 - quality) / (1 if kind is TaskKind.MULTI_LABEL else classes - 1))
    if 0 < quality < 1:
        scores = scores + 1e-3 * draw.random(scores.shape)
    if kind is not TaskKind.MULTI_LABEL:
        scores /= scores.sum(axis=1, keepdims=True)
    return ClassificationPredictions(kind, names, ids, ids, labels, scores)


def all_kinds(metric: Metric) -> list[TaskKind]:
    return sorted(metric.kinds)


@every_metric
def test_the_record_is_complete(metric: Metric) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", metric.name)
    assert metric.kinds
    assert metric.lower < metric.upper
    assert metric.sign == (1 if metric.higher_is_better else -1)
    assert all(text.strip() for text in (metric.title, metric.edge_policy, metric.undefined_when))


@every_metric
def test_it_stays_in_its_range_and_knows_its_direction(metric: Metric) -> None:
    for kind in all_kinds(metric):
        good, bad = (metric.compute(predictions(kind, quality)).value for quality in (1.0, 0.0))
        assert good is not None
        assert bad is not None
        assert metric.lower <= min(good, bad) <= max(good, bad) <= metric.upper
        assert metric.sign * (good - bad) > 0
        assert good == (metric.upper if metric.higher_is_better else metric.lower)


@every_metric
def test_the_order_of_cases_does_not_matter(metric: Metric) -> None:
    for kind in all_kinds(metric):
        found = predictions(kind, 0.6, seed=3)
        order = np.random.default_rng(1).permutation(CASES)
        ids = tuple(found.case_ids[row] for row in order)
        if isinstance(found, SegmentationPredictions):
            mixed: Predictions = replace(found, case_ids=ids, patient_ids=ids, counts=found.counts[order])
        else:
            mixed = replace(
                found, case_ids=ids, patient_ids=ids, labels=found.labels[order], scores=found.scores[order]
            )
        here, there = metric.compute(found), metric.compute(mixed)
        assert there.value == pytest.approx(here.value, rel=1e-12)
        assert there.per_class == pytest.approx(here.per_class, rel=1e-12)
        assert (there.note, there.support) == (here.note, here.support)


@every_metric
def test_weights_of_one_are_the_plain_value_and_scale_does_not_matter(metric: Metric) -> None:
    for kind in all_kinds(metric):
        found = predictions(kind, 0.7, seed=5)
        plain = metric.compute(found).value
        weights = np.stack([np.ones(CASES), np.full(CASES, 3)])
        assert metric.resampled(found, weights) == pytest.approx([plain, plain], abs=1e-12)


@every_metric
def test_other_kinds_no_cases_and_wrong_weights_are_refused(metric: Metric) -> None:
    for kind in TaskKind:
        if kind not in metric.kinds:
            with pytest.raises(UsageError, match=f"metric '{metric.name}'.*got {kind}"):
                metric.compute(predictions(kind, 0.5))
    kind = all_kinds(metric)[0]
    for weights in (
        np.ones((2, CASES - 1)),
        np.ones(CASES),
        -np.ones((1, CASES)),
        np.full((1, CASES), np.nan),
    ):
        with pytest.raises(ShapeError, match="weights"):
            metric.resampled(predictions(kind, 0.5), weights)
    found = predictions(kind, 0.5)
    if isinstance(found, SegmentationPredictions):
        empty: Predictions = replace(found, case_ids=(), patient_ids=(), counts=found.counts[:0])
    else:
        empty = replace(found, case_ids=(), patient_ids=(), labels=found.labels[:0], scores=found.scores[:0])
    with pytest.raises(ShapeError, match="at least one case"):
        metric.compute(empty)


@pytest.mark.parametrize("name", ["auc", "accuracy", "balanced-accuracy"])
def test_scores_that_are_not_finite_are_a_failed_trial(name: str) -> None:
    found = predictions(TaskKind.BINARY, 0.5)
    assert isinstance(found, ClassificationPredictions)
    scores = found.scores.copy()
    scores[4, 1] = np.nan
    with pytest.raises(TrialError, match="1 of 24 cases, first 'c04'") as failed:
        metrics.get(name).compute(replace(found, scores=scores))
    assert failed.value.reason == "non_finite_predictions"
