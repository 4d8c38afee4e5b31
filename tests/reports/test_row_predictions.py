"""What a row keeps of predictions: read once, crossed intervals by an oracle, missing files said."""

from __future__ import annotations

from collections import Counter
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from medtransfer.core.errors import StoreError
from medtransfer.core.seeds import seed_from
from medtransfer.reports import depth
from medtransfer.reports.estimates import Slot
from medtransfer.reports.evidence import Evidence
from medtransfer.reports.study_reading import read_study
from medtransfer.reports.tables.details import details_table
from medtransfer.stats.crossed_intervals import CrossedRuns, crossed_interval
from medtransfer.stats.patients import patient_weights


def _row(reading: Any, protocol: str, fraction: float, task: str) -> tuple[Any, Any]:
    return next(
        (panel, row)
        for panel in reading.panels
        if (panel.block.protocol, panel.fraction) == (protocol, fraction)
        for row in panel.rows
        if reading.tasks[row.row.task].name == task
    )


def _model(reading: Any, row: Any, label: str) -> tuple[str, Any]:
    return next((key, cell) for key, cell in row.cells.items() if reading.models[key].label == label)


def _reading(maker: Any, predictions: Any) -> Any:
    evidence = maker.evidence()
    return read_study(Evidence(evidence.study, evidence.records, predictions))


def test_predictions_of_every_trial_are_read_once_at_most(synthetic: ModuleType) -> None:
    maker, read = synthetic.full_study(), Counter()

    def predictions(record: Any) -> Any:
        read[record.description.fingerprint] += 1
        return maker.frames[record.description.fingerprint]

    _reading(maker, predictions)
    assert set(read.values()) == {1}
    assert len(read) == sum(
        record.outcome is not None and record.description.facts["overlap"] != "same"
        for record in maker.records
    )


def test_intervals_over_runs_and_patients_are_those_of_weighted_pairs(
    reading: Any, synthetic: ModuleType
) -> None:
    """AUC under a draw is the weighted share of positive and negative pairs in the right order."""
    _, row = _row(reading, "finetune", 1.0, "breastmnist")
    key, cell = _model(reading, row, "mobilenetv1_100.sup_in1k")
    frames = synthetic.full_study().frames
    task = reading.tasks[row.row.task]
    parts = [seed_from("patients", task.data_hash, "test", part) for part in (0, 1)]
    values, points = [], []
    for record in cell.finished:
        frame = frames[record.description.fingerprint]
        test = frame[(frame["checkpoint"] == "best") & (frame["split"] == "test")].sort_values("case_id")
        scores, positive = test["score:normal"].to_numpy(), test["label"].to_numpy() == 1
        weights = np.concatenate([patient_weights(list(test["patient_id"]), 1000, s) for s in parts])
        right = np.sign(scores[positive][:, None] - scores[~positive][None, :]) / 2 + 0.5
        of_positives, of_negatives = weights[:, positive], weights[:, ~positive]
        pairs = of_positives.sum(axis=1) * of_negatives.sum(axis=1)
        values.append(np.einsum("bp,pn,bn->b", of_positives, right, of_negatives, optimize=True) / pairs)
        points.append(right.mean())
    seed = seed_from("runs", task.data_hash, key, cell.settings_hash, 1.0)
    expected = crossed_interval(CrossedRuns(points, np.stack(values), seed), patients=30)
    found = cell.estimates[Slot("auc")].crossed
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-9)
    assert found.point == pytest.approx(cell.estimates[Slot("auc")].mean)
    assert (found.runs, found.patients, found.draws) == ((5,), 30, 2000)


def test_only_the_primary_metric_on_test_of_several_runs_is_crossed(reading: Any) -> None:
    for _, row, cell in reading.cells():
        primary = Slot(reading.tasks[row.row.task].primary.name)
        for slot, estimate in cell.estimates.items():
            wanted = slot == primary and not cell.deterministic and estimate.n > 1
            assert (estimate.crossed is not None) == wanted


def test_the_details_show_both_intervals(reading: Any) -> None:
    panel, row = _row(reading, "finetune", 1.0, "breastmnist")
    table = details_table(reading, panel, row)
    cell = next(cells[1] for cells in table.rows if cells[0].text == "mobilenetv1_100.sup_in1k")
    assert cell.details[1] == "over 5 runs"
    assert cell.details[3].startswith("over 5 runs and 30 patients, ")
    assert all("patients" not in line for line in table.rows[0][2].details)
    assert any(note.startswith("Over runs and patients: ") for note in table.notes)


def test_a_run_without_predictions_costs_the_crossed_interval_and_is_named(synthetic: ModuleType) -> None:
    maker = synthetic.StudyMaker()
    records = [
        maker.add(synthetic.TASKS[0], model, "finetune", repetition=repetition)
        for model in list(synthetic.MODELS)[:2]
        for repetition in range(3)
    ]
    lost = records[1].description.fingerprint

    def predictions(record: Any) -> Any:
        if record.description.fingerprint == lost:
            raise StoreError("predictions: gone.")
        return maker.frames[record.description.fingerprint]

    found = _reading(maker, predictions)
    panel, row = _row(found, "finetune", 1.0, "breastmnist")
    (_, without), (_, whole) = (_model(found, row, name) for name in list(synthetic.MODELS)[:2])
    estimate = without.estimates[Slot("auc")]
    assert estimate.n == 3
    assert estimate.crossed is None
    assert "predictions missing or damaged: repetition 1" in estimate.remarks
    assert whole.estimates[Slot("auc")].crossed is not None
    assert any("repetition 1" in note for note in details_table(found, panel, row).notes)


def test_predictions_of_a_deterministic_result_must_be_there(synthetic: ModuleType) -> None:
    maker = synthetic.StudyMaker()
    maker.add(synthetic.TASKS[0], "resnet20.random", "linear", varied=())

    def predictions(record: Any) -> Any:
        raise StoreError("predictions: gone.")

    with pytest.raises(StoreError, match="gone"):
        _reading(maker, predictions)


def test_beyond_the_bound_nothing_is_crossed_and_the_table_says_so(
    synthetic: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker, read = synthetic.full_study(), Counter()
    monkeypatch.setattr(depth, "MOST_WEIGHINGS", 0)

    def predictions(record: Any) -> Any:
        read[record.description.label_fraction, bool(record.description.varied)] += 1
        return maker.frames[record.description.fingerprint]

    found = _reading(maker, predictions)
    assert set(read) == {(1.0, True), (1.0, False)}, "predictions nobody needs were read"
    for panel in found.panels:
        for row in panel.rows:
            said = any(note == depth.NOT_CROSSED for note in details_table(found, panel, row).notes)
            several = any(not c.deterministic and len(c.finished) > 1 for c in row.cells.values())
            assert said == several
            assert not row.predictions.crossed
    assert all(row.pairs is not None for panel in found.panels for row in panel.rows)


def test_rows_with_the_least_work_come_first(synthetic: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """16 cases of vessels are less work than 60 of anything else."""
    maker = synthetic.full_study()
    monkeypatch.setattr(depth, "MOST_WEIGHINGS", 2_000 * 16 * 20)
    found = _reading(maker, lambda record: maker.frames[record.description.fingerprint])
    crossed = {
        found.tasks[row.row.task].name for p in found.panels for row in p.rows if row.predictions.crossed
    }
    assert crossed == {"drive-vessel"}


def test_a_split_of_unknown_size_is_not_crossed(synthetic: ModuleType) -> None:
    maker = synthetic.StudyMaker()
    for repetition in range(2):
        maker.add(
            synthetic.TASKS[0],
            "resnet20.random",
            "finetune",
            repetition=repetition,
            facts={"split_counts": {}},
        )
    (panel,) = read_study(maker.evidence()).panels
    assert not panel.rows[0].depth.crossed
    assert not panel.rows[0].predictions.crossed
