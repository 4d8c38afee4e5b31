from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from medtransfer.core.errors import DataError
from medtransfer.reports.patient_draws import draw_patients, number_of_draws, read_predictions
from medtransfer.reports.subjects import read_tasks
from medtransfer.store.records import Record


def _two(synthetic: ModuleType, task_number: int = 0):
    maker = synthetic.StudyMaker()
    task = synthetic.TASKS[task_number]
    records = [maker.add(task, model, "linear", varied=()) for model in list(synthetic.MODELS)[:2]]
    return maker, read_tasks(records)[0], dict(zip("ab", records, strict=True))


def test_accuracy_draws_have_the_exact_cluster_spread(synthetic: ModuleType) -> None:
    """Mean over patients of equal size: the bootstrap sd is std(ddof 0) / sqrt(patients)."""
    maker, task, found = _two(synthetic)
    draws = draw_patients(task, found, lambda r: maker.frames[r.description.fingerprint])
    assert draws is not None
    predictions = read_predictions(task, maker.frames[found["a"].description.fingerprint])
    right = predictions.scores.argmax(axis=1) == predictions.labels
    by_patient = [
        right[np.array(predictions.patient_ids) == name].mean() for name in set(predictions.patient_ids)
    ]
    expected = np.std(by_patient) / np.sqrt(len(by_patient))
    assert draws.patients == 30
    assert draws.metric_values["a", "accuracy"].std() == pytest.approx(expected, rel=0.03)
    assert draws.metric_values["a", "accuracy"].mean() == pytest.approx(right.mean(), abs=4 * expected / 100)


@pytest.mark.parametrize("task_number", [0, 1, 2, 3])
def test_draws_do_not_depend_on_other_models_or_on_the_order_of_cases(
    synthetic: ModuleType, task_number: int
) -> None:
    maker, task, found = _two(synthetic, task_number)
    read = lambda r: maker.frames[r.description.fingerprint]  # noqa: E731
    shuffled = lambda r: read(r).sort_values("case_id", ascending=False, kind="stable")  # noqa: E731
    both, alone = draw_patients(task, found, read), draw_patients(task, {"b": found["b"]}, shuffled)
    assert both is not None
    assert alone is not None
    for metric in task.metrics:
        np.testing.assert_array_equal(
            both.metric_values["b", metric.name], alone.metric_values["b", metric.name]
        )


def test_the_seed_is_the_data_of_the_task(synthetic: ModuleType) -> None:
    maker, task, found = _two(synthetic)
    read = lambda r: maker.frames[r.description.fingerprint]  # noqa: E731
    other = replace(task, facts={**task.facts, "data_hash": "other"})
    first, second = draw_patients(task, found, read), draw_patients(other, found, read)
    assert first is not None
    assert second is not None
    assert not np.array_equal(first.metric_values["a", "auc"], second.metric_values["a", "auc"])


def test_other_test_cases_are_refused(synthetic: ModuleType) -> None:
    maker, task, found = _two(synthetic)

    def read(record: Record):
        frame = maker.frames[record.description.fingerprint]
        return frame if record is found["a"] else frame.iloc[:-1]

    with pytest.raises(DataError, match="same test cases"):
        draw_patients(task, found, read)


def test_large_splits_get_fewer_draws() -> None:
    assert number_of_draws(100) == 10_000
    assert number_of_draws(22_433) == 2_000
