from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from medtransfer.core.errors import DataError
from medtransfer.reports import patient_draws
from medtransfer.reports.patient_draws import TaskPatients, number_of_draws, read_predictions
from medtransfer.reports.subjects import read_tasks

DRAWS = 10_000


def _predictions(synthetic: ModuleType, task_number: int = 0) -> tuple[Any, Any, Any]:
    maker = synthetic.StudyMaker()
    task = synthetic.TASKS[task_number]
    records = [maker.add(task, model, "linear", varied=()) for model in list(synthetic.MODELS)[:2]]
    (reported,) = read_tasks(records)
    frames = [maker.frames[record.description.fingerprint] for record in records]
    return reported, frames[0], frames[1]


def test_accuracy_draws_have_the_exact_cluster_spread(synthetic: ModuleType) -> None:
    """Mean over patients of equal size: the bootstrap sd is std(ddof 0) / sqrt(patients)."""
    task, frame, _ = _predictions(synthetic)
    predictions = read_predictions(task, frame)
    sample = TaskPatients.of(task, predictions)
    draws = sample.metric("accuracy", predictions, DRAWS)
    right = predictions.scores.argmax(axis=1) == predictions.labels
    by_patient = [
        right[np.array(predictions.patient_ids) == name].mean() for name in set(predictions.patient_ids)
    ]
    expected = np.std(by_patient) / np.sqrt(len(by_patient))
    assert sample.patients == 30
    assert not sample.one_case_each
    assert draws.shape == (DRAWS,)
    assert draws.std() == pytest.approx(expected, rel=0.03)
    assert draws.mean() == pytest.approx(right.mean(), abs=4 * expected / 100)


@pytest.mark.parametrize("task_number", [0, 1, 2, 3])
def test_draws_do_not_depend_on_other_models_or_on_the_order_of_cases(
    synthetic: ModuleType, task_number: int
) -> None:
    task, first, second = _predictions(synthetic, task_number)
    shuffled = second.sort_values("case_id", ascending=False, kind="stable")
    after_first = TaskPatients.of(task, read_predictions(task, first))
    alone = TaskPatients.of(task, read_predictions(task, shuffled))
    for metric in task.metrics:
        np.testing.assert_array_equal(
            after_first.metric(metric.name, read_predictions(task, second), 2000),
            alone.metric(metric.name, read_predictions(task, shuffled), 2000),
        )


def test_fewer_draws_are_the_first_of_more_whether_they_are_kept_or_drawn_again(
    synthetic: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, frame, _ = _predictions(synthetic)
    predictions = read_predictions(task, frame)
    kept = TaskPatients.of(task, predictions)
    many = kept.metric("auc", predictions, 3000)
    monkeypatch.setattr(patient_draws, "_MOST_WEIGHTS", 0)
    again = TaskPatients.of(task, predictions)
    np.testing.assert_array_equal(again.metric("auc", predictions, 1500), many[:1500])
    np.testing.assert_array_equal(kept.metric("auc", predictions, 3000), many)


def test_the_seed_is_the_data_of_the_task(synthetic: ModuleType) -> None:
    task, frame, _ = _predictions(synthetic)
    predictions = read_predictions(task, frame)
    other = replace(task, facts={**task.facts, "data_hash": "other"})
    first, second = (TaskPatients.of(t, predictions).metric("auc", predictions, 1000) for t in (task, other))
    assert not np.array_equal(first, second)


def test_other_test_cases_are_refused(synthetic: ModuleType) -> None:
    task, first, second = _predictions(synthetic)
    sample = TaskPatients.of(task, read_predictions(task, first))
    with pytest.raises(DataError, match="same test cases"):
        sample.metric("auc", read_predictions(task, second.iloc[:-1]), 1000)


def test_large_splits_get_fewer_draws() -> None:
    assert number_of_draws(100) == 10_000
    assert number_of_draws(22_433) == 2_000
