"""Predictions read one after another: what each table says alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from medtransfer.metrics.predictions import ClassificationPredictions, SegmentationPredictions
from medtransfer.reports import prediction_reader
from medtransfer.reports.patient_draws import read_predictions
from medtransfer.reports.prediction_reader import PredictionReader
from medtransfer.reports.subjects import read_tasks

KINDS = [0, 1, 2, 3]


def _tables(synthetic: ModuleType, task_number: int) -> tuple[Any, list[pd.DataFrame]]:
    maker, task = synthetic.StudyMaker(), synthetic.TASKS[task_number]
    records = [maker.add(task, model, "linear", varied=()) for model in list(synthetic.MODELS)[:2]]
    (reported,) = read_tasks(records)
    return reported, [maker.frames[record.description.fingerprint] for record in records]


def _assert_same(found: Any, expected: Any) -> None:
    assert type(found) is type(expected)
    for field in fields(expected):
        one, other = getattr(found, field.name), getattr(expected, field.name)
        if isinstance(other, np.ndarray):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype
        else:
            assert one == other, field.name


@pytest.mark.parametrize("task_number", KINDS)
def test_a_table_after_another_is_read_as_it_is_alone(
    synthetic: ModuleType, task_number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, (first, second) = _tables(synthetic, task_number)
    whole = []

    def counted(*arguments: Any) -> Any:
        whole.append(arguments)
        return read_predictions(*arguments)

    monkeypatch.setattr(prediction_reader, "read_predictions", counted)
    reader = PredictionReader(task)
    for table in (first, second, first):
        _assert_same(reader.read(table), read_predictions(task, table))
    assert len(whole) == 1
    numbers = reader.read(first), reader.read(second)
    values = [each.scores if isinstance(each, ClassificationPredictions) else each.counts for each in numbers]
    assert not np.array_equal(*values)


CHANGES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "other order": lambda table: table.iloc[::-1],
    "other index": lambda table: table.set_index(np.arange(len(table)) * 3),
    "other case": lambda table: table.assign(case_id=table["case_id"] + "x"),
    "other patient": lambda table: table.assign(patient_id=table["patient_id"] + "x"),
    "other column": lambda table: table.assign(more=1),
    "fewer rows": lambda table: table[table["case_id"] != table["case_id"].iloc[0]],
    "other checkpoint": lambda table: pd.concat([table.assign(checkpoint="last"), table]),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("task_number", [0, 1])
def test_a_table_of_other_cases_is_read_in_full(synthetic: ModuleType, task_number: int, change: str) -> None:
    task, (first, second) = _tables(synthetic, task_number)
    reader = PredictionReader(task)
    reader.read(first)
    changed = CHANGES[change](second)
    _assert_same(reader.read(changed), read_predictions(task, changed))
    _assert_same(reader.read(first), read_predictions(task, first))


def test_unknown_labels_are_those_of_each_table(synthetic: ModuleType) -> None:
    for number in KINDS:
        task, (first, second) = _tables(synthetic, number)
        name = next((column for column in first.columns if column.startswith("label:")), None)
        if name is not None:
            break
    assert name is not None
    unknown = second.assign(**{name: second[name].astype(float).where(second.index % 3 > 0)})
    reader = PredictionReader(task)
    for table in (first, unknown, first):
        _assert_same(reader.read(table), read_predictions(task, table))
    assert np.isnan(reader.read(unknown).labels).any()


def test_masks_are_among_the_kinds_that_are_tried(synthetic: ModuleType) -> None:
    kinds = {
        type(read_predictions(task, tables[0])) for task, tables in (_tables(synthetic, n) for n in KINDS)
    }
    assert kinds == {ClassificationPredictions, SegmentationPredictions}
