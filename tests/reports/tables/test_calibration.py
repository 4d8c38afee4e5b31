from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from medtransfer.core.errors import StoreError
from medtransfer.reports.evidence import Evidence
from medtransfer.reports.study_reading import read_study
from medtransfer.reports.tables.calibration import calibration_table


def _task(reading: Any, name: str) -> Any:
    return next(task for task in reading.tasks.values() if task.name == name)


def _row(table: Any, model: str, protocol: str) -> Any:
    return next(row for row in table.rows if row[0].text == model and row[1].text.startswith(protocol))


def _scores(reading: Any, frames: Any, model: str, protocol: str) -> list[tuple[Any, Any]]:
    """Return labels and probabilities of 'normal' of every run on breastmnist with all labels."""
    found = []
    for record in reading.records:
        d = record.description
        wanted = (d.task, d.model, d.protocol, d.label_fraction) == ("breastmnist", model, protocol, 1.0)
        if wanted and record.outcome:
            frame = frames[d.fingerprint]
            test = frame[(frame["checkpoint"] == "best") & (frame["split"] == "test")]
            found.append((test["label"].to_numpy(), test["score:normal"].to_numpy()))
    return found


def _expected_error(labels: Any, scores: Any) -> float:
    """Return the calibration error over 15 bins of equal width, bin by bin."""
    total = 0.0
    for number in range(15):
        inside = (scores > number / 15) & (scores <= (number + 1) / 15)
        if inside.any():
            total += inside.sum() * abs(scores[inside].mean() - labels[inside].mean())
    return total / len(scores)


@pytest.mark.parametrize("protocol", ["linear", "finetune"])
def test_numbers_are_those_of_the_stored_predictions(
    reading: Any, synthetic: ModuleType, protocol: str
) -> None:
    table = calibration_table(reading, _task(reading, "breastmnist"))
    frames = synthetic.full_study().frames
    for model in ("resnet20.random", "resnet50.sup_radimagenet"):
        runs = _scores(reading, frames, model, protocol)
        row = _row(table, model, protocol)
        assert row[2].value == pytest.approx(np.mean([_expected_error(*run) for run in runs]))
        assert row[4].value == pytest.approx(np.mean([brier_score_loss(*run) for run in runs]))
        assert row[2].details[-1] == ("1 run" if protocol == "linear" else "over 5 runs")
        assert ("±" in row[2].text) == (protocol == "finetune")


def test_the_bin_rule_stands_in_the_heading(reading: Any) -> None:
    table = calibration_table(reading, _task(reading, "breastmnist"))
    details = [column.detail for column in table.columns[2:4]]
    assert details == [f"ece-equal-{rule}-15, 15 bins; lower is better" for rule in ("width", "mass")]


def test_only_the_largest_label_fraction_is_shown(reading: Any) -> None:
    table = calibration_table(reading, _task(reading, "breastmnist"))
    assert {row[1].text for row in table.rows} == {
        f"{protocol}, 100\xa0% of the training labels" for protocol in ("linear", "finetune")
    }


def test_models_that_saw_the_images_are_left_out(reading: Any) -> None:
    table = calibration_table(reading, _task(reading, "dermamnist"))
    assert "resnet50.mocov2_ham10000" not in {row[0].text for row in table.rows}
    assert len(table.rows) == 8


def test_masks_have_no_probabilities(reading: Any) -> None:
    assert calibration_table(reading, _task(reading, "drive-vessel")) is None


def test_without_predictions_there_is_no_table(synthetic: ModuleType) -> None:
    maker = synthetic.StudyMaker()
    maker.add(synthetic.TASKS[0], "resnet20.random", "finetune")

    def gone(record: Any) -> Any:
        raise StoreError("predictions: gone.")

    reading = read_study(Evidence("s", maker.records, gone))
    assert calibration_table(reading, _task(reading, "breastmnist")) is None


def test_scores_that_are_no_probabilities_have_no_numbers_but_a_reason(synthetic: ModuleType) -> None:
    maker = synthetic.StudyMaker()
    record = maker.add(synthetic.TASKS[0], "resnet20.random", "linear", varied=())
    maker.frames[record.description.fingerprint]["score:normal"] *= 7
    reading = read_study(maker.evidence())
    table = calibration_table(reading, _task(reading, "breastmnist"))
    assert [cell.text for cell in table.rows[0][2:]] == ["–"]
    assert any(note.startswith("No numbers: calibration: expected probabilities") for note in table.notes)
