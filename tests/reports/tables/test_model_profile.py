from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from medtransfer.core.task_kind import TaskKind
from medtransfer.metrics.declared_metrics import metrics
from medtransfer.reports.study_reading import read_study
from medtransfer.reports.tables.model_profile import profile_table


def _model(reading: Any, label: str) -> Any:
    return next(model for model in reading.models.values() if model.label == label)


def _means(reading: Any, task: str, metric: str) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for record in reading.records:
        d = record.description
        place = (d.task, d.protocol, d.label_fraction)
        if record.outcome and place == (task, "finetune", 1.0) and d.facts["overlap"] != "same":
            found.setdefault(d.model, []).append(record.outcome.metrics["test"][metric]["value"])
    return {model: float(np.mean(values)) for model, values in found.items()}


def _row(table: Any, task: str) -> Any:
    panel = "finetune, 100\xa0% of the training labels"
    return next(row for row in table.rows if row[0].text.startswith(task) and row[1].text == panel)


@pytest.mark.parametrize(("task", "metric"), [("drive-vessel", "dice"), ("dermamnist", "auc")])
def test_rank_and_distance_are_counted_from_the_records(reading: Any, task: str, metric: str) -> None:
    means = _means(reading, task, metric)
    for label, mean in means.items():
        row = _row(profile_table(reading, _model(reading, label)), task)
        rank = 1 + sum(other > mean for other in means.values())
        assert row[3].text == f"{rank} of {len(means)}"
        assert row[4].value == pytest.approx(mean - max(means.values()))
        low, high = (int(end) for end in row[3].details[0].strip("[]").split(", "))
        assert 1 <= low <= rank <= high <= len(means)


def test_a_single_run_has_a_distance_without_an_interval(reading: Any) -> None:
    row = _row(profile_table(reading, _model(reading, "resnet20.random")), "dermamnist")
    assert row[4].details == ()
    assert row[3].details == ("[1, 4]",)


def test_every_trial_of_the_model_is_a_row_even_without_a_value(reading: Any) -> None:
    table = profile_table(reading, _model(reading, "resnet50.mocov2_ham10000"))
    assert len(table.rows) == 16
    row = _row(table, "dermamnist")
    assert [cell.text for cell in row[2:]] == ["–", "–", "–"]
    failed = profile_table(reading, _model(reading, "resnet20.random"))
    assert any(row[2].text == "failed" and row[3].text == "–" for row in failed.rows)


def test_where_lower_is_better_the_smallest_mean_is_first(
    synthetic: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(metrics._entries, "dice", replace(metrics.get("dice"), higher_is_better=False))
    reading = read_study(synthetic.full_study().evidence())
    means = _means(reading, "drive-vessel", "dice")
    smallest, largest = min(means, key=means.get), max(means, key=means.get)
    first = _row(profile_table(reading, _model(reading, smallest)), "drive-vessel")
    last = _row(profile_table(reading, _model(reading, largest)), "drive-vessel")
    assert (first[3].text, first[4].text) == ("1 of 4", "0.000")
    assert last[3].text == "4 of 4"
    assert last[4].value == pytest.approx(means[smallest] - means[largest])
    low, high = (float(end.replace("−", "-")) for end in last[4].details[0].strip("[]").split(", "))
    assert low < last[4].value < high < 0


def test_a_model_alone_has_no_distance(synthetic: ModuleType) -> None:
    maker = synthetic.StudyMaker()
    maker.add(synthetic.TASKS[0], "resnet20.random", "linear", varied=())
    reading = read_study(maker.evidence())
    (row,) = profile_table(reading, next(iter(reading.models.values()))).rows
    assert (row[3].text, row[3].details, row[4].text) == ("1 of 1", (), "only model")


@pytest.mark.parametrize(("models", "open_ranks"), [(3, False), (24, True)])
def test_brackets_that_so_few_draws_leave_open_are_said(
    synthetic: ModuleType, models: int, open_ranks: bool
) -> None:
    task = synthetic.MadeTask("b", TaskKind.BINARY, ("n", "y"), ("auc",), cases=60, images_per_patient=1)
    maker = synthetic.StudyMaker()
    for place in range(models):
        skill = 0.02 if place == 0 else 3.0
        maker.add(task, f"net{place:02d}.x", "linear", varied=(), skill=skill)
    reading = read_study(maker.evidence())
    table = profile_table(reading, _model(reading, "net00.x"))
    remarks = [note for note in table.notes if "so few draws" in note]
    if not open_ranks:
        assert not remarks
        return
    assert table.rows[0][3].details == ("[1, 24]",)
    (remark,) = remarks
    assert remark == (
        "Brackets of b (linear, 100\xa0% of the training labels) span every rank whatever the results: no pair "
        "can be significant with so few draws or patients (smallest adjusted p 0.055)."
    )
