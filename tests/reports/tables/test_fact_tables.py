from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

from medtransfer.reports.study_reading import read_study
from medtransfer.reports.tables.classes import classes_table
from medtransfer.reports.tables.details import details_table
from medtransfer.reports.tables.failures import failures_table
from medtransfer.reports.tables.provenance import differences, provenance_table, trial_counts
from medtransfer.reports.tables.source_models import source_models_table
from medtransfer.reports.tables.tasks import count_test_evaluations, tasks_table


def _text(table: Any) -> str:
    cells = [cell.text + " ".join(cell.details) for row in table.rows for cell in row]
    return " ".join([*cells, *table.notes])


def test_tasks_table_says_split_caution_accepted_problem_and_phantom(reading: Any) -> None:
    text = _text(tasks_table(reading))
    assert "drawn by medtransfer (ours)" in text
    assert "official split" in text
    assert "Sixteen training images" in text
    assert "accepted problem: unexpected-count: …/training: expected 20 images, got 19." in text
    assert "phantom result, the images are generated" in text
    assert "patients are not known" in text


def test_looks_at_the_test_split_are_counted(reading: Any) -> None:
    for task in reading.tasks.values():
        expected = sum(
            2 if record.description.protocol == "finetune" else 1
            for record in reading.records
            if record.outcome and record.description.task == task.name
        )
        assert count_test_evaluations(reading, task) == expected


def test_source_models_table_says_random_weights(reading: Any) -> None:
    rows = {row[0].text: [cell.text for cell in row] for row in source_models_table(reading).rows}
    assert rows["resnet20.random"][2:] == ["none: random weights", "none", "random"]
    assert rows["resnet50.sup_radimagenet"][2:4] == ["supervised (2017)", "radimagenet"]


def test_failures_that_say_the_same_share_a_row(reading: Any) -> None:
    table = failures_table(reading)
    assert table is not None
    rows = [[cell.text for cell in row] for row in table.rows]
    assert [
        "drive-vessel",
        "resnet20.random",
        "finetune",
        "10\xa0%",
        "0, 1, 2, 3, 4",
        "out_of_memory",
        "not enough memory",
    ] in rows
    assert any(row[-1] == "loss is NaN at step 40 of …/x" for row in rows)
    assert "7 trials of 278 failed" in table.notes[0]


def test_no_failures_no_table(synthetic: ModuleType) -> None:
    maker = synthetic.StudyMaker()
    maker.add(synthetic.TASKS[0], "resnet20.random", "linear")
    assert failures_table(read_study(maker.evidence())) is None


def test_provenance_counts_trials_and_hides_places(reading: Any) -> None:
    table = provenance_table(reading, "medtransfer report /home/canary-person/store")
    rows = [[cell.text for cell in row] for row in table.rows]
    assert ["code", "0123456789ab", "269"] in rows
    assert ["torch", "2.11.0", "269"] in rows
    assert ["report", "medtransfer report …/store", "–"] in rows
    assert "canary" not in _text(table)
    assert table.notes == ()


def test_arms_of_different_code_are_warned_about(synthetic: ModuleType) -> None:
    maker = synthetic.StudyMaker()
    maker.add(synthetic.TASKS[0], "resnet20.random", "linear")
    record = maker.add(synthetic.TASKS[0], "mobilenetv1_100.sup_in1k", "linear")
    provenance = {**record.outcome.provenance, "code": "fedcba"}
    maker.records[-1] = replace(record, outcome=replace(record.outcome, provenance=provenance))
    found = list(differences(read_study(maker.evidence())))
    assert found == ["The trials differ in code: 0123456789ab, fedcba. Compare them with care."]


def test_states_are_counted(reading: Any) -> None:
    assert trial_counts(reading) == {"pending": 2, "running": 0, "done": 269, "failed": 7}


def test_details_show_both_checkpoints_both_splits_and_every_metric(reading: Any) -> None:
    panel = next(p for p in reading.panels if (p.block.protocol, p.fraction) == ("finetune", 1.0))
    table = details_table(reading, panel, panel.rows[0])
    heads = [(column.title, column.detail) for column in table.columns[1:-1]]
    assert heads == [
        (title, f"{split}, {checkpoint} checkpoint")
        for title in ("AUC", "Accuracy")
        for split in ("test", "validation")
        for checkpoint in ("best", "last")
    ]
    standings = [row[-1].text for row in table.rows]
    assert sum(text.startswith("best mean at n = ") for text in standings) == 1
    assert any("far from the other runs" in note for note in table.notes)


def test_classes_are_shown_with_their_cases(reading: Any) -> None:
    panel = next(p for p in reading.panels if (p.block.protocol, p.fraction) == ("finetune", 1.0))
    rows = {reading.tasks[row.row.task].name: row for row in panel.rows}
    table = classes_table(reading, panel, rows["phantom-chest"])
    assert table is not None
    assert [column.title for column in table.columns] == ["Source model", "opacity", "effusion"]
    assert all(column.detail.endswith("test cases") for column in table.columns[1:])
    assert len(table.rows) == 5
    assert classes_table(reading, panel, rows["breastmnist"]) is None
