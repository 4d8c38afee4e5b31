"""Results of two orders of label fractions: one report tells them apart, and neither hides the other."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from medtransfer.reports.evidence import latest_of_each
from medtransfer.reports.label_orders import label_order, with_orders_apart
from medtransfer.reports.study_reading import read_study

SHUFFLED = {"label_order": "shuffle99"}


def add_shares(maker: Any, task: Any, facts: dict[str, Any], runs: int) -> None:
    for repetition in range(runs):
        maker.add(task, "resnet20.random", "finetune", fraction=0.1, repetition=repetition, facts=facts)


def test_a_study_of_one_order_is_left_as_it_is(synthetic: ModuleType) -> None:
    for facts in ({}, SHUFFLED):
        maker = synthetic.StudyMaker()
        add_shares(maker, synthetic.TASKS[0], facts, 2)
        maker.add(synthetic.TASKS[0], "resnet20.random", "finetune")
        assert with_orders_apart(maker.records) == maker.records
        labels = {panel.block.label for panel in read_study(maker.evidence()).panels}
        assert labels == {"finetune"}


def test_two_orders_are_two_sets_of_settings(synthetic: ModuleType) -> None:
    maker, task = synthetic.StudyMaker(), synthetic.TASKS[0]
    add_shares(maker, task, {}, 3)
    add_shares(maker, task, SHUFFLED, 2)
    maker.add(task, "resnet20.random", "finetune")
    maker.add(task, "resnet20.random", "linear", fraction=0.1, facts=SHUFFLED)
    assert [label_order(record) for record in maker.records] == [
        *["patients"] * 3,
        *["shuffle99"] * 2,
        None,
        "shuffle99",
    ]
    told = [record.description.settings.get("label_order") for record in with_orders_apart(maker.records)]
    assert told == [None, None, None, "shuffle99", "shuffle99", None, None]
    maker.records = latest_of_each(with_orders_apart(maker.records))
    reading = read_study(maker.evidence())
    cells = {(panel.block.label, row.row.fraction): len(cell.records) for panel, row, cell in reading.cells()}
    assert cells == {
        ("finetune", 0.1): 3,
        ("finetune", 1.0): 1,
        ("finetune (label order shuffle99)", 0.1): 2,
        ("linear", 0.1): 1,
    }
