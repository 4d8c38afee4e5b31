from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from types import ModuleType
from typing import Any

import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from medtransfer.metrics.declared_metrics import metrics
from medtransfer.reports.study_reading import read_study
from medtransfer.reports.tables.pairwise import pairwise_table
from medtransfer.reports.tables.table import Table, TableCell


def _table(reading: Any, protocol: str, fraction: float, task: str) -> Table:
    panel = next(p for p in reading.panels if (p.block.protocol, p.fraction) == (protocol, fraction))
    row = next(row for row in panel.rows if reading.tasks[row.row.task].name == task)
    found = pairwise_table(reading, panel, row)
    assert found is not None
    return found


def _cells(table: Table) -> dict[tuple[str, str], TableCell]:
    names = [column.title for column in table.columns[1:]]
    return {
        (row[0].text, name): cell for row in table.rows for name, cell in zip(names, row[1:], strict=True)
    }


def _values(reading: Any, task: str, metric: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for record in reading.records:
        d = record.description
        if record.outcome and (d.task, d.protocol, d.label_fraction) == (task, "finetune", 1.0):
            found.setdefault(d.model, []).append(record.outcome.metrics["test"][metric]["value"])
    return found


def _minus(text: str) -> float:
    return float(text.replace("−", "-"))


@pytest.mark.parametrize(("task", "metric"), [("drive-vessel", "dice"), ("phantom-chest", "auc")])
def test_every_pair_is_welch_with_holm_over_all_pairs(reading: Any, task: str, metric: str) -> None:
    values, cells = _values(reading, task, metric), _cells(_table(reading, "finetune", 1.0, task))
    pairs = list(combinations(sorted(values), 2))
    raw = [stats.ttest_ind(values[a], values[b], equal_var=False) for a, b in pairs]
    rejected, adjusted = multipletests([test.pvalue for test in raw], method="holm")[:2]
    assert len(cells) == len(values) ** 2
    for (a, b), test, differ, p in zip(pairs, raw, rejected, adjusted, strict=True):
        gap = sum(values[a]) / len(values[a]) - sum(values[b]) / len(values[b])
        interval = test.confidence_interval()
        cell, back = cells[a, b], cells[b, a]
        assert _minus(cell.text) == pytest.approx(gap, abs=6e-4)
        assert cell.value == pytest.approx(gap)
        ends = [_minus(end) for end in cell.details[0].strip("[]").split(", ")]
        assert ends == pytest.approx([interval.low, interval.high], abs=6e-4)
        assert cell.details[1] == back.details[1] == ("p < 0.001" if p < 0.001 else f"p = {p:.3f}")
        u = stats.mannwhitneyu(values[a], values[b]).statistic / (len(values[a]) * len(values[b]))
        assert cell.details[2] == f"outperforms {u:.2f}"
        assert ("▲" in cell.marks, "▼" in cell.marks) == (differ and gap > 0, differ and gap < 0)
        assert back.value == pytest.approx(-gap)
        assert ("▲" in back.marks) == ("▼" in cell.marks)


def test_the_family_and_the_method_stand_under_the_table(reading: Any) -> None:
    table = _table(reading, "finetune", 1.0, "phantom-chest")
    assert table.notes[0] == (
        "Family: all pairs of 5 models, 10 tests; two-sided Welch's t-test over runs, Holm correction, "
        "alpha 0.05; n = 4 to 5 runs."
    )
    over_patients = _table(reading, "linear", 1.0, "breastmnist").notes
    assert "paired bootstrap over patients" in over_patients[0]
    assert "n = 30 patients" in over_patients[0]
    assert {entry.sign for entry in table.legend} == {"▲", "▼"}


def test_a_single_run_cannot_be_tested_and_leaves_the_family(reading: Any) -> None:
    table = _table(reading, "finetune", 1.0, "dermamnist")
    cell = _cells(table)["resnet20.random", "mobilenetv1_100.sup_in1k"]
    assert (cell.marks, cell.tone, cell.details) == ("?", "undetermined", ("p undetermined",))
    assert "4 models, 3 tests" in table.notes[0]
    assert "3 pairs could not be tested" in table.notes[0]
    assert "?" in {entry.sign for entry in table.legend}


def test_models_that_saw_the_images_or_failed_are_not_compared(reading: Any) -> None:
    assert "resnet50.mocov2_ham10000" not in str(_table(reading, "finetune", 1.0, "dermamnist"))
    assert "resnet20.random" not in {r[0].text for r in _table(reading, "finetune", 0.1, "drive-vessel").rows}


def test_nothing_is_called_equivalent_without_a_test(reading: Any) -> None:
    for panel in reading.panels:
        for row in panel.rows:
            table = pairwise_table(reading, panel, row)
            cells = _cells(table)
            for (first, second), cell in cells.items():
                shown = first != second and row.pairs.equivalent(first, second)
                assert ("≡" in cell.marks) == shown
            assert any("difference that was not found does not show it" in n for n in table.notes) == (
                not any("≡" in cell.marks for cell in cells.values())
            )


def test_equivalent_pairs_are_marked_and_named(synthetic: ModuleType) -> None:
    maker = synthetic.StudyMaker()
    for model, values in (
        ("resnet20.random", (0.8, 0.801, 0.799)),
        ("squeezenet1_1.sup_in1k", (0.8, 0.802, 0.8)),
    ):
        for repetition, value in enumerate(values):
            record = maker.add(synthetic.TASKS[0], model, "finetune", repetition=repetition)
            record.outcome.metrics["test"]["auc"]["value"] = value
    table = _table(read_study(maker.evidence()), "finetune", 1.0, "breastmnist")
    assert _cells(table)["resnet20.random", "squeezenet1_1.sup_in1k"].marks == "≡"
    told = "resnet20.random and squeezenet1_1.sup_in1k"
    assert any(
        note.startswith("Differ by less than the margin of ±0.01") and told in note for note in table.notes
    )


def test_where_lower_is_better_the_marks_turn_and_the_differences_do_not(
    synthetic: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    upright = _cells(_table(read_study(synthetic.full_study().evidence()), "finetune", 1.0, "phantom-chest"))
    monkeypatch.setitem(metrics._entries, "auc", replace(metrics.get("auc"), higher_is_better=False))
    table = _table(read_study(synthetic.full_study().evidence()), "finetune", 1.0, "phantom-chest")
    turned = {"▲": "▼", "▼": "▲", "": ""}
    assert any(cell.marks for cell in upright.values())
    for pair, cell in _cells(table).items():
        assert (cell.text, cell.details[:2]) == (upright[pair].text, upright[pair].details[:2])
        assert cell.marks == turned[upright[pair].marks]
    assert table.notes[1].startswith("Lower is better.")


def test_one_model_has_no_table(synthetic: ModuleType) -> None:
    maker = synthetic.StudyMaker()
    maker.add(synthetic.TASKS[0], "resnet20.random", "linear", varied=())
    reading = read_study(maker.evidence())
    (panel,) = reading.panels
    assert pairwise_table(reading, panel, panel.rows[0]) is None


def test_a_metric_that_is_undefined_for_one_model_is_no_difference(synthetic: ModuleType) -> None:
    maker = synthetic.StudyMaker()
    for model in list(synthetic.MODELS)[:3]:
        for repetition in range(2):
            record = maker.add(synthetic.TASKS[0], model, "finetune", repetition=repetition)
            if model == "resnet20.random":
                record.outcome.metrics["test"]["auc"].update(value=None, note="undefined: one class")
    table = _table(read_study(maker.evidence()), "finetune", 1.0, "breastmnist")
    cell = _cells(table)["resnet20.random", "mobilenetv1_100.sup_in1k"]
    assert (cell.text, cell.marks, cell.value) == ("no value", "?", None)


def test_delong_stands_beside_the_bootstrap_where_it_applies(wide_reading: Any) -> None:
    table = _table(wide_reading, "linear", 1.0, "task-0")
    (note,) = [note for note in table.notes if "DeLong" in note]
    assert "of 6 pairs" in note


def test_hostile_names_are_rows_and_columns(hostile_reading: Any, synthetic: ModuleType) -> None:
    (panel,) = hostile_reading.panels
    table = pairwise_table(hostile_reading, panel, panel.rows[0])
    labels = [model.label for model in hostile_reading.models.values()]
    assert [column.title for column in table.columns[1:]] == labels
    assert [row[0].text for row in table.rows] == labels
    assert synthetic.CANARY_HOME not in str(table)
