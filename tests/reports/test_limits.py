from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

from medtransfer.core.errors import StoreError
from medtransfer.reports.evidence import Evidence
from medtransfer.reports.limits import limits_of_evidence
from medtransfer.reports.study_reading import read_study


def test_shares_that_divide_patients_are_a_limit(reading: Any, synthetic: ModuleType) -> None:
    assert "shuffle99" not in limits_of_evidence(reading)
    for divided, said in (
        (7, "keep no patient whole (up to 7 divided), so"),
        (0, "keep no patient whole, so"),
    ):
        maker = synthetic.StudyMaker("small")
        record = maker.add(
            synthetic.TASKS[0], "resnet20.random", "knn", fraction=0.1, facts={"label_order": "shuffle99"}
        )
        details = {"label_order": "shuffle99", "divided_patients": divided}
        maker.records[0] = replace(record, outcome=replace(record.outcome, details=details))
        assert said in limits_of_evidence(read_study(maker.evidence()))


def test_every_fact_of_the_study_has_its_sentence(reading: Any) -> None:
    text = limits_of_evidence(reading)
    done = sum(record.outcome is not None for record in reading.records)
    looks = sum(
        place.startswith("test")
        for record in reading.records
        if record.outcome
        for place in record.outcome.metrics
    )
    for said in (
        f"This report rests on {done} finished trials in 76 cells: 4 tasks, 5 source models.",
        "Cells that depend on a seed have 0 to 5 finished runs. A cell with one run has no interval.",
        "19 cells are deterministic",
        "Between runs varied: label subset and training.",
        "Not varied: the split, the test cases and the pretraining of every source model.",
        "All runs of a task are scored on one test set",
        "The test sets have 16 to 60 cases.",
        "tend to be too narrow: drive-vessel (16).",
        "Patients are not known, and every case counts as its own: dermamnist.",
        "Drawn by medtransfer, so not the split of published results: phantom-chest (phantom) and drive-vessel.",
        "accepted by name: drive-vessel.",
        "1 pair of model and task cannot show transfer",
        "1 pair shares images under other names.",
        "For 1 pair (5\xa0%) nobody knows",
        "7 trials failed;",
        "2 trials had not finished.",
        "say nothing about patients: phantom-chest (phantom).",
        f"Test cases were looked at {looks} times",
    ):
        assert said in text, said
    assert "\n" not in text


def test_nothing_is_said_of_what_is_not_there(synthetic: ModuleType) -> None:
    maker = synthetic.StudyMaker()
    maker.add(synthetic.TASKS[0], "resnet20.random", "linear", varied=())
    text = limits_of_evidence(read_study(maker.evidence()))
    assert "1 finished trial in 1 cell: 1 task, 1 source model." in text
    assert "1 cell is deterministic and computed once" in text
    assert "Not varied: label subset, training, the split" in text
    for word in (
        "Between runs",
        "depend on a seed",
        "failed",
        "not finished",
        "Generated",
        "nobody",
        "share",
    ):
        assert word not in text, word


def test_a_study_without_results_still_has_limits(synthetic: ModuleType) -> None:
    maker = synthetic.StudyMaker()
    maker.add_failed(synthetic.TASKS[0], "resnet20.random", "finetune", "broken", "broken")
    text = limits_of_evidence(read_study(maker.evidence()))
    assert "0 finished trials in 1 cell" in text
    assert "1 trial failed" in text
    assert "looked at" not in text


def test_lost_predictions_are_counted(synthetic: ModuleType) -> None:
    maker = synthetic.StudyMaker()
    for repetition in range(3):
        maker.add(synthetic.TASKS[0], "resnet20.random", "finetune", repetition=repetition)

    def gone(record: Any) -> Any:
        raise StoreError("predictions: gone.")

    text = limits_of_evidence(read_study(Evidence("s", maker.records, gone)))
    assert "Predictions of 3 runs are missing or damaged" in text
    assert "missing" not in limits_of_evidence(read_study(maker.evidence()))


def test_places_and_passwords_stay_out(hostile_reading: Any, synthetic: ModuleType) -> None:
    assert synthetic.CANARY_HOME not in limits_of_evidence(hostile_reading)
