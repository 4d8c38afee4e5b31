"""What every declared metric must be; a new one is tested by being registered."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
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
ONE = {"case_ids": ("c",), "patient_ids": ("p",), "volume_ids": ("v",)}


def predictions(kind: TaskKind, quality: float, seed: int = 0) -> Predictions:
    """Draw predictions; quality 1 is perfect, 0 is always wrong, between them cases differ.

    Every case is a volume of its own, so that the laws of case weights hold for metrics of volumes too.
    """
    draw = np.random.default_rng(seed)
    ids = tuple(f"c{row:02}" for row in range(CASES))
    if kind is TaskKind.SEGMENTATION:
        hit = np.full((CASES, 2, 1), round(100 * quality))
        missed, added = 100 - hit, 100 - hit
        if 0 < quality < 1:
            hit, missed, added = draw.integers(1, 100, (3, CASES, 2, 1))
        counts = np.stack([hit, added, missed], axis=-1)
        return SegmentationPredictions(("organ",), ("image", "field-of-view"), ids, ids, counts, ids)
    classes = {TaskKind.BINARY: 2, TaskKind.MULTI_CLASS: 3, TaskKind.MULTI_LABEL: 3}[kind]
    names = tuple(f"class {number}" for number in range(classes))
    labels = np.arange(CASES) % classes
    truth = labels[:, None] == np.arange(classes)
    if kind is TaskKind.MULTI_LABEL:
        labels = truth.astype(int)
    scores = np.where(truth, quality, (1 - quality) / (1 if kind is TaskKind.MULTI_LABEL else classes - 1))
    if 0 < quality < 1:
        scores = (quality * truth + draw.random(truth.shape)) / (1 + quality)
    if kind is not TaskKind.MULTI_LABEL:
        scores /= scores.sum(axis=1, keepdims=True)
    return ClassificationPredictions(kind, names, ids, ids, labels, scores, ids)


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


def awkward(kind: TaskKind) -> Iterator[tuple[str, Predictions]]:
    """Draw every case where libraries disagree, by name."""
    whole = predictions(kind, 0.6, seed=2)
    first = slice(0, 1)
    if isinstance(whole, SegmentationPredictions):
        for name, pixels in (
            ("both masks empty", [0, 0, 0]),
            ("truth empty", [0, 9, 0]),
            ("nothing found", [0, 0, 9]),
            ("no overlap", [0, 9, 9]),
        ):
            yield name, replace(whole, counts=np.tile(pixels, (CASES, 2, 1, 1)))
            counts = whole.counts.copy()
            counts[0] = pixels
            yield f"{name} in one case", replace(whole, counts=counts)
        yield "one case", replace(whole, **ONE, counts=whole.counts[first])
        return
    labels, classes = np.asarray(whole.labels), len(whole.classes)
    yield "constant scores", replace(whole, scores=np.full(whole.scores.shape, 1 / classes))
    if kind is TaskKind.MULTI_LABEL:
        for value in (0, 1):
            yield f"all labels {value}", replace(whole, labels=np.full_like(labels, value))
            column = labels.copy()
            column[:, 0] = value
            yield f"one finding all {value}", replace(whole, labels=column)
    else:
        for number in range(classes):
            yield f"only class {number}", replace(whole, labels=np.full_like(labels, number))
            yield (
                f"no class {number}",
                replace(whole, labels=np.where(labels == number, 0 if number else 1, labels)),
            )
    yield (
        "one case",
        replace(whole, **ONE, labels=labels[first], scores=whole.scores[first]),
    )


@every_metric
def test_at_the_edges_a_value_is_in_range_or_null_with_a_note(metric: Metric) -> None:
    for kind in all_kinds(metric):
        for name, found in awkward(kind):
            value = metric.compute(found)
            json.dumps(value.as_json(), allow_nan=False)
            if value.value is None:
                assert value.note == f"undefined: {metric.undefined_when}" or (value.note or "").startswith(
                    f"undefined: {metric.undefined_when};"
                ), name
            every = [value.value, *value.per_class.values()]
            assert all(v is None or metric.lower <= v <= metric.upper for v in every), name
            if None in value.per_class.values() and value.value is not None:
                assert f"mean over {value.classes_used} of {len(value.per_class)} classes" in (
                    value.note or ""
                )


@every_metric
def test_the_value_is_the_mean_of_the_defined_classes(metric: Metric) -> None:
    for kind in all_kinds(metric):
        for name, found in awkward(kind):
            value = metric.compute(found)
            if value.per_class:
                defined = [v for v in value.per_class.values() if v is not None]
                assert value.value == (pytest.approx(np.mean(defined)) if defined else None), name
                assert set(value.support) == set(value.per_class)
                assert all(0 <= n <= len(found.case_ids) for n in value.support.values())


@every_metric
def test_draws_are_in_range_or_undefined_and_a_null_metric_has_none(metric: Metric) -> None:
    for kind in all_kinds(metric):
        for name, found in awkward(kind):
            weights = np.random.default_rng(4).integers(0, 3, (30, len(found.case_ids)))
            weights[0] = 0
            values = metric.resampled(found, weights)
            assert values.shape == (30,)
            assert np.isnan(values[0]), name
            kept = values[~np.isnan(values)]
            assert ((metric.lower <= kept) & (kept <= metric.upper)).all(), name
            if metric.compute(found).value is None:
                assert not len(kept), name


@every_metric
def test_a_draw_is_the_metric_of_its_copied_cases(metric: Metric) -> None:
    for kind in all_kinds(metric):
        found = predictions(kind, 0.6, seed=7)
        weights = np.random.default_rng(8).integers(0, 3, (5, CASES))
        weights[:, :6] = 1
        for draws, value in zip(weights, metric.resampled(found, weights), strict=True):
            copied = taken(found, np.repeat(np.arange(CASES), draws))
            assert value == pytest.approx(metric.compute(copied).value, abs=1e-12)


@every_metric
def test_predictions_are_left_as_they_were_and_patients_do_not_matter(metric: Metric) -> None:
    for kind in all_kinds(metric):
        found, again = predictions(kind, 0.6, seed=9), predictions(kind, 0.6, seed=9)
        value = metric.compute(found)
        metric.resampled(found, np.ones((2, CASES)))
        assert found.to_frame().equals(again.to_frame())
        assert metric.compute(replace(found, patient_ids=("p",) * CASES)) == value


@every_metric
def test_better_predictions_have_better_values(metric: Metric) -> None:
    """From always wrong to always right, case by case, no step goes the wrong way."""
    for kind in all_kinds(metric):
        wrong, right = (predictions(kind, quality) for quality in (0.0, 1.0))
        values = []
        for number in range(CASES + 1):
            mixed = np.arange(CASES) < number
            if isinstance(right, SegmentationPredictions) and isinstance(wrong, SegmentationPredictions):
                counts = np.where(mixed[:, None, None, None], right.counts, wrong.counts)
                values.append(metric.compute(replace(right, counts=counts)).value)
            elif isinstance(right, ClassificationPredictions) and isinstance(
                wrong, ClassificationPredictions
            ):
                scores = np.where(mixed[:, None], right.scores, wrong.scores)
                values.append(metric.compute(replace(right, scores=scores)).value)
        assert (metric.sign * np.diff(np.array(values, dtype=float)) > -1e-12).all()


def taken(found: Predictions, rows: np.ndarray) -> Predictions:
    """Return the cases in these rows; a row may come several times."""
    ids = tuple(f"c{number}" for number in range(len(rows)))
    named = {"case_ids": ids, "patient_ids": ids, "volume_ids": ids}
    if isinstance(found, SegmentationPredictions):
        return replace(found, **named, counts=found.counts[rows])
    return replace(found, **named, labels=found.labels[rows], scores=found.scores[rows])


@every_metric
def test_the_order_of_cases_does_not_matter(metric: Metric) -> None:
    for kind in all_kinds(metric):
        found = predictions(kind, 0.6, seed=3)
        mixed = taken(found, np.random.default_rng(1).permutation(CASES))
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
    with pytest.raises(ShapeError, match="at least one case"):
        metric.compute(taken(predictions(kind, 0.5), np.arange(0)))


@pytest.mark.parametrize("name", ["auc", "accuracy", "balanced-accuracy"])
def test_scores_that_are_not_finite_are_a_failed_trial(name: str) -> None:
    found = predictions(TaskKind.BINARY, 0.5)
    assert isinstance(found, ClassificationPredictions)
    scores = found.scores.copy()
    scores[4, 1] = np.nan
    with pytest.raises(TrialError, match="1 of 24 cases, first 'c04'") as failed:
        metrics.get(name).compute(replace(found, scores=scores))
    assert failed.value.reason == "non_finite_predictions"
