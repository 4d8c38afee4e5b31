"""Captions: n and intervals as they are, signs explained, phantoms named."""

from __future__ import annotations

from typing import Any

import pytest

from medtransfer.reports.estimates import Slot
from medtransfer.reports.paper.captions import (
    figure_caption,
    interval_evidence,
    pairwise_evidence,
    phantom_sentence,
    run_evidence,
    table_caption,
)
from medtransfer.reports.paper.contents import PaperFigure, PaperTable, paper_sections
from medtransfer.reports.tables.results import results_table
from medtransfer.store.records import State


def row_of(reading: Any, protocol: str, fraction: float, task: str) -> Any:
    for panel in reading.panels:
        for row in panel.rows:
            place = (panel.block.protocol, panel.fraction, reading.tasks[row.row.task].name)
            if place == (protocol, fraction, task):
                return panel, row
    raise LookupError(task)


def test_intervals_over_runs_name_the_smallest_and_the_largest_n(reading: Any) -> None:
    _, row = row_of(reading, "finetune", 1.0, "phantom-chest")
    finished = sorted(
        sum(record.state is State.DONE for record in cell.records) for cell in row.cells.values()
    )
    assert (finished[0], finished[-1]) == (4, 5)
    assert interval_evidence(reading, [row]) == (
        "Cells with ±: mean ± sample standard deviation over n = 4 to 5 runs, brackets: 95 % t interval of the "
        "mean over training runs."
    )


def test_intervals_over_patients_name_the_patients(reading: Any) -> None:
    _, row = row_of(reading, "linear", 1.0, "drive-vessel")
    assert interval_evidence(reading, [row]) == (
        "Cells without ±: one deterministic result, brackets: 95 % bootstrap interval over n = 16 test patients."
    )


def test_a_single_run_has_no_interval(reading: Any) -> None:
    _, row = row_of(reading, "finetune", 1.0, "dermamnist")
    single = [cell for cell in row.cells.values() if len(cell.records) == 1]
    assert [cell.estimates[Slot("auc")].over for cell in single] == [None]
    assert interval_evidence(reading, [row]).endswith("Cells without brackets have no interval.")
    assert run_evidence(reading, [row]) == "n = 1 to 5 runs per source model."


def test_nothing_is_said_of_rows_without_results(reading: Any) -> None:
    assert interval_evidence(reading, []) == ""
    assert run_evidence(reading, []) == ""


def test_pairs_name_their_unit(reading: Any) -> None:
    _, over_runs = row_of(reading, "finetune", 0.1, "breastmnist")
    assert pairwise_evidence(over_runs.pairs.pairwise) == (
        "n = 5 runs; brackets: 95 % interval of the difference over runs, not adjusted."
    )
    _, over_patients = row_of(reading, "linear", 1.0, "breastmnist")
    assert "n = 30 patients; " in pairwise_evidence(over_patients.pairs.pairwise)


def test_signs_of_a_table_are_in_its_caption(reading: Any) -> None:
    panel = reading.panels[0]
    table = results_table(reading, panel)
    caption = table_caption(table, [])
    assert table.legend
    for entry in table.legend:
        assert f"{entry.sign}, {entry.meaning}" in caption
    assert caption.startswith(f"{table.caption}. ")


def test_phantoms_are_named_and_others_are_not(reading: Any) -> None:
    phantoms = [task for task in reading.tasks.values() if task.phantom]
    others = [task for task in reading.tasks.values() if not task.phantom]
    assert (len(phantoms), len(others)) == (1, 3)
    assert phantom_sentence(reading.tasks.values()) == (
        "Phantom results: the images of phantom-chest (phantom) are generated and say nothing about patients."
    )
    assert phantom_sentence(others) == ""
    assert figure_caption("Title", "What it shows.", phantoms).startswith(
        "Title. What it shows. Phantom results"
    )


@pytest.mark.parametrize("kind", [PaperTable, PaperFigure])
def test_every_caption_over_phantoms_says_so(reading: Any, kind: type) -> None:
    said = 0
    for section in paper_sections(reading):
        for item in section.items:
            if not isinstance(item, kind):
                continue
            text = repr(item.chart if isinstance(item, PaperFigure) else item.table)
            if "phantom-chest (phantom)" in text.replace("phantom-chest (phantom) (no value", ""):
                said += 1
                assert "Phantom results" in item.caption, item.caption
    assert said > 3
