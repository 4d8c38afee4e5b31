"""Which learning rates a search chose is said under the numbers it led to."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

from medtransfer.reports.study_reading import read_study
from medtransfer.reports.tables.details import details_table


def notes_of(synthetic: ModuleType, choices: list[dict[str, object]]) -> str:
    maker, breast = synthetic.StudyMaker(), synthetic.TASKS[0]
    for number, chosen in enumerate(choices):
        record = maker.add(breast, "resnet20.random", "finetune", repetition=number)
        maker.records[-1] = replace(record, outcome=replace(record.outcome, choices=chosen))
    reading = read_study(maker.evidence())
    panel = reading.panels[0]
    return "\n".join(details_table(reading, panel, panel.rows[0]).notes)


def test_the_chosen_rates_are_counted_over_the_runs(synthetic: ModuleType) -> None:
    tried = [{"learning_rate": rate} for rate in (1e-4, 3e-4, 1e-3)]
    chosen = [{"learning_rate": rate, "learning_rates": tried} for rate in (1e-3, 1e-4, 1e-3)]
    said = "resnet20.random: learning rate chosen on validation among 3: 0.0001 (1 run) and 0.001 (2 runs)."
    assert said in notes_of(synthetic, chosen)


def test_nothing_is_said_without_a_search(synthetic: ModuleType) -> None:
    assert "chosen on validation among" not in notes_of(synthetic, [{"best_epoch": 3}, {"best_epoch": 1}])
