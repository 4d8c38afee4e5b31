from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from medtransfer.reports.estimates import Slot
from medtransfer.reports.study_reading import read_study
from medtransfer.reports.tables.results import results_table
from medtransfer.reports.tables.table import Table, TableCell
from medtransfer.stats.summaries import summarise_runs
from medtransfer.stats.wording import PATIENTS_NOTE, PRETRAINING_NOTE, RUNS_NOTE


def _table(reading: Any, protocol: str, fraction: float) -> Table:
    panel = next(p for p in reading.panels if (p.block.protocol, p.fraction) == (protocol, fraction))
    return results_table(reading, panel)


def _cell(table: Table, task: str, model: str) -> TableCell:
    column = [column.title for column in table.columns].index(model)
    return next(row for row in table.rows if row[0].text.startswith(task))[column]


def test_every_row_has_a_cell_per_column_and_nothing_is_blank(reading: Any) -> None:
    for panel in reading.panels:
        table = results_table(reading, panel)
        for row in table.rows:
            assert len(row) == len(table.columns)
            assert all(cell.text.strip() for cell in row)


def test_a_cell_over_runs_shows_mean_spread_interval_and_n(reading: Any, synthetic: ModuleType) -> None:
    values = [
        record.outcome.metrics["test"]["dice"]["value"]
        for record in reading.records
        if record.outcome
        and (record.description.task, record.description.model)
        == ("drive-vessel", "mobilenetv1_100.sup_in1k")
        and (record.description.protocol, record.description.label_fraction) == ("finetune", 1.0)
    ]
    summary = summarise_runs(values)
    cell = _cell(_table(reading, "finetune", 1.0), "drive-vessel", "mobilenetv1_100.sup_in1k")
    assert cell.text == f"{summary.mean:.3f} ± {summary.std:.3f}"
    assert cell.details == (f"[{summary.low:.3f}, {summary.high:.3f}]", "over 5 runs")


def test_cells_with_a_value_can_be_sorted_by_it_and_others_cannot(reading: Any) -> None:
    for panel in reading.panels:
        table = results_table(reading, panel)
        for row, cells in zip(panel.rows, table.rows, strict=True):
            task = reading.tasks[row.row.task]
            by_label = {reading.models[key].label: cell for key, cell in row.cells.items()}
            for column, shown in zip(table.columns[1:], cells[1:], strict=True):
                cell = by_label.get(column.title)
                estimate = cell.estimates.get(Slot(task.primary.name)) if cell else None
                assert shown.value == (estimate.mean if estimate else None)


def test_a_deterministic_cell_shows_its_patients_and_no_spread(reading: Any) -> None:
    cell = _cell(_table(reading, "linear", 1.0), "breastmnist", "resnet20.random")
    assert "±" not in cell.text
    assert cell.details[-1] == "over 30 patients"


def test_a_single_run_has_no_interval_and_is_undetermined(reading: Any) -> None:
    cell = _cell(_table(reading, "finetune", 1.0), "dermamnist", "resnet20.random")
    assert "±" not in cell.text
    assert cell.details == ("1 run, no interval",)
    assert (cell.tone, cell.marks) == ("undetermined", "?")


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (("linear", 1.0, "drive-vessel", "squeezenet1_1.sup_in1k"), ("not run", (), "absent")),
        (
            ("linear", 1.0, "dermamnist", "resnet50.mocov2_ham10000"),
            ("–", ("pretrained on these images",), "absent"),
        ),
        (
            ("finetune", 0.1, "drive-vessel", "resnet20.random"),
            ("failed", ("0 of 5 runs: 5 failed",), "failed"),
        ),
    ],
    ids=["not run", "not applicable", "failed"],
)
def test_cells_without_a_result_say_why(
    reading: Any, place: tuple[str, float, str, str], expected: tuple[str, tuple[str, ...], str]
) -> None:
    protocol, fraction, task, model = place
    cell = _cell(_table(reading, protocol, fraction), task, model)
    assert (cell.text, cell.details, cell.tone) == expected


def test_missing_runs_are_counted_in_the_cell(reading: Any) -> None:
    failed = _cell(_table(reading, "finetune", 1.0), "phantom-chest", "mobilenetv1_100.sup_in1k")
    assert failed.details[-1] == "4 of 5 runs: 1 failed"
    waiting = _cell(_table(reading, "finetune", 0.1), "drive-vessel", "resnet50.mocov2_ham10000")
    assert waiting.details[-1] == "3 of 5 runs: 2 not finished"


def test_a_cell_that_only_waits_is_not_run(synthetic: ModuleType) -> None:
    maker = synthetic.StudyMaker()
    maker.add_pending(synthetic.TASKS[0], "resnet20.random", "finetune")
    cell = _cell(_table(read_study(maker.evidence()), "finetune", 1.0), "breastmnist", "resnet20.random")
    assert (cell.text, cell.details) == ("not run", ("0 of 1 run: 1 not finished",))


def test_overlap_marks_stand_in_the_cell_and_in_the_legend(reading: Any) -> None:
    table = _table(reading, "linear", 1.0)
    assert "‡" in _cell(table, "breastmnist", "resnet50.sup_radimagenet").marks
    assert "†" in _cell(table, "phantom-chest", "resnet50.sup_radimagenet").marks
    assert {"†", "‡", "–", "not run", "bold"} <= {entry.sign for entry in table.legend}
    assert any(note.startswith("‡ the sources of RadImageNet are not published: ") for note in table.notes)


def test_each_row_has_at_most_one_best_and_every_tie_is_marked(reading: Any) -> None:
    for panel in reading.panels:
        table = results_table(reading, panel)
        for row in table.rows:
            tones = [cell.tone for cell in row]
            assert tones.count("best") <= 1
            assert all(("▪" in cell.marks) == (cell.tone == "tied") for cell in row)


def test_notes_say_what_the_intervals_are_over(reading: Any) -> None:
    runs, patients = _table(reading, "finetune", 1.0), _table(reading, "linear", 1.0)
    assert any(RUNS_NOTE in note for note in runs.notes)
    assert not any(PATIENTS_NOTE in note for note in runs.notes)
    assert any(PATIENTS_NOTE in note and "10,000 draws" in note for note in patients.notes)
    assert not any(RUNS_NOTE in note for note in patients.notes)
    assert PRETRAINING_NOTE in runs.notes
    assert PRETRAINING_NOTE in patients.notes


def test_a_difference_that_was_not_found_is_not_called_equality(reading: Any) -> None:
    text = " ".join(note for panel in reading.panels for note in results_table(reading, panel).notes)
    assert "Not separable from the best" in text
    assert "smallest detectable difference" in text
    for word in ("equivalent", "equal to", "comparable", "as good as the best", "matches"):
        assert word not in text


def test_a_metric_that_is_undefined_is_not_a_zero(synthetic: ModuleType) -> None:
    maker = synthetic.StudyMaker()
    record = maker.add(synthetic.TASKS[0], "resnet20.random", "finetune")
    record.outcome.metrics["test"]["auc"].update(value=None, note="undefined: one class")
    table = _table(read_study(maker.evidence()), "finetune", 1.0)
    cell = _cell(table, "breastmnist", "resnet20.random")
    assert (cell.text, cell.details) == ("undefined", ("0 of 1 run: 1 undefined",))
    assert any("undefined: one class" in note for note in table.notes)


def test_phantom_tasks_say_so_in_every_row(reading: Any) -> None:
    for panel in reading.panels:
        headings = [row[0].text for row in results_table(reading, panel).rows]
        assert "phantom-chest (phantom)" in headings
