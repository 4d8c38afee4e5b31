from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from medtransfer.reports.estimates import Slot
from medtransfer.reports.study_reading import Panel


def _row(reading: Any, protocol: str, fraction: float, task: str) -> tuple[Panel, Any]:
    for panel in reading.panels:
        if panel.block.protocol == protocol and panel.fraction == fraction:
            return panel, next(row for row in panel.rows if reading.tasks[row.row.task].name == task)
    raise LookupError(task)


def _cell(reading: Any, row: Any, model: str) -> Any:
    return next(cell for key, cell in row.cells.items() if reading.models[key].label == model)


def test_runs_are_compared_by_welch_with_holm(reading: Any) -> None:
    _, row = _row(reading, "finetune", 1.0, "dermamnist")
    slot = Slot("auc")
    values = {
        reading.models[key].label: cell.estimates[slot].numbers
        for key, cell in row.cells.items()
        if cell.applicable
    }
    tested = {name: numbers for name, numbers in values.items() if len(numbers) > 1}
    best = max(tested, key=lambda name: np.mean(tested[name]))
    others = {name: numbers for name, numbers in tested.items() if name != best}
    raw = {name: stats.ttest_ind(tested[best], n, equal_var=False).pvalue for name, n in others.items()}
    ordered = sorted(raw, key=raw.get)
    adjusted, highest = {}, 0.0
    for place, name in enumerate(ordered):
        highest = max(highest, min(1.0, (len(ordered) - place) * raw[name]))
        adjusted[name] = highest
    assert row.ties.best == best
    assert row.ties.undetermined == ("resnet20.random",)
    for name, p in adjusted.items():
        assert row.ties.adjusted_p[name] == pytest.approx(p, rel=1e-9)
        assert (row.ties.standing(name) == "not-separable") == (p >= 0.05)


def test_deterministic_cells_are_compared_over_patients(reading: Any) -> None:
    _, row = _row(reading, "linear", 1.0, "breastmnist")
    assert row.over_patients
    assert row.ties.unit == "patients"
    assert set(row.ties.n.values()) == {30}
    estimate = _cell(reading, row, "resnet20.random").estimates[Slot("auc")]
    assert (estimate.n, estimate.std, estimate.over, estimate.patients) == (1, None, "test patients", 30)
    assert estimate.low < estimate.mean < estimate.high


def test_validation_of_a_deterministic_cell_has_no_interval(reading: Any) -> None:
    _, row = _row(reading, "linear", 1.0, "breastmnist")
    estimate = _cell(reading, row, "resnet20.random").estimates[Slot("auc", split="val")]
    assert estimate.mean is not None
    assert (estimate.low, estimate.over) == (None, None)


def test_a_model_that_saw_the_images_is_neither_shown_nor_compared(reading: Any) -> None:
    for protocol in ("linear", "finetune"):
        _, row = _row(reading, protocol, 1.0, "dermamnist")
        cell = _cell(reading, row, "resnet50.mocov2_ham10000")
        assert not cell.applicable
        assert cell.estimates == {}
        assert "resnet50.mocov2_ham10000" not in row.ties.family


def test_failed_and_waiting_trials_only_change_n(reading: Any) -> None:
    _, row = _row(reading, "finetune", 1.0, "phantom-chest")
    cell = _cell(reading, row, "mobilenetv1_100.sup_in1k")
    assert (len(cell.records), cell.failed, cell.estimates[Slot("auc")].n) == (5, 1, 4)
    _, row = _row(reading, "finetune", 0.1, "drive-vessel")
    assert _cell(reading, row, "resnet20.random").estimates == {}
    assert _cell(reading, row, "resnet50.mocov2_ham10000").waiting == 2


def test_checkpoints_and_splits_are_kept_apart(reading: Any) -> None:
    _, row = _row(reading, "finetune", 1.0, "breastmnist")
    estimates = _cell(reading, row, "resnet20.random").estimates
    slots = {(slot.metric, slot.checkpoint, slot.split) for slot in estimates}
    assert slots == {
        (metric, checkpoint, split)
        for metric in ("auc", "accuracy")
        for checkpoint in ("best", "last")
        for split in ("val", "test")
    }
    assert estimates[Slot("auc")].numbers != estimates[Slot("auc", "last")].numbers


def test_the_order_of_records_changes_no_number(disturbed_reading: Any, reading: Any) -> None:
    numbers = {cell.place: cell.estimates for _, _, cell in reading.cells()}
    blocks = {panel.block.protocol: panel.number for panel in reading.panels}
    for panel, _, cell in disturbed_reading.cells():
        place = replace(cell.place, block=blocks[panel.block.protocol])
        assert cell.estimates == numbers[place]
