from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import rankdata

from medtransfer.reports.document import Matrix, MatrixPanel
from medtransfer.reports.estimates import Slot
from medtransfer.reports.site.addresses import addresses_of
from medtransfer.reports.site.matrix import RANK, results_matrix


@pytest.fixture(scope="module")
def matrix(reading: Any) -> Matrix:
    return results_matrix(reading, addresses_of(reading))


def _cell(panel: MatrixPanel, row: str, column: str) -> Any:
    place = [heading.id for heading in panel.columns].index(column)
    return next(cells[place] for heading, cells in panel.rows if heading.id == row)


def test_every_cell_is_where_the_results_have_it(matrix: Matrix, reading: Any) -> None:
    addresses = addresses_of(reading)
    seen = 0
    for panel, shown in zip(reading.panels, matrix.panels, strict=True):
        for row in panel.rows:
            task = reading.tasks[row.row.task]
            for model, cell in row.cells.items():
                estimate = cell.estimates.get(Slot(task.primary.name))
                value = _cell(shown, addresses.models[model], addresses.tasks[task.key]).value
                assert value == (estimate.mean if estimate else None)
                seen += value is not None
    assert seen > 50


def test_panels_have_names_for_addresses_and_ids_for_anchors(matrix: Matrix) -> None:
    assert len({panel.name for panel in matrix.panels}) == len(matrix.panels)
    assert matrix.panels[0].name == "linear-100"
    assert matrix.panels[0].id == "results-1-100"


def test_mean_ranks_are_over_the_tasks_where_every_model_has_a_value(matrix: Matrix, reading: Any) -> None:
    checked = 0
    for panel, shown in zip(reading.panels, matrix.panels, strict=True):
        models = [model.key for model in reading.models_of(panel)]
        lines = []
        for row in panel.rows:
            slot = Slot(reading.tasks[row.row.task].primary.name)
            found = [row.cells[m].estimates.get(slot) if m in row.cells else None for m in models]
            lines.append([np.nan if e is None or e.mean is None else e.mean for e in found])
        complete = [line for line in lines if np.isfinite(line).all()]
        ranks = [_cell(shown, heading.id, RANK).value for heading, _ in shown.rows]
        if complete:
            expected = np.mean([rankdata([-value for value in line]) for line in complete], axis=0)
            assert ranks == pytest.approx(expected.tolist())
            assert shown.columns[0].details == (f"{len(complete)} of {len(lines)} tasks",)
            checked += 1
    assert checked


def test_marks_and_notes_are_those_of_the_results_table(matrix: Matrix) -> None:
    panel = matrix.panels[0]
    cells = [cell for _, cells in panel.rows for cell in cells]
    assert {"best", "tied", "absent"} <= {cell.tone for cell in cells}
    assert any("‡" in cell.marks for cell in cells)
    assert any(note.startswith("Mean rank:") for note in panel.notes)
    assert any("Holm" in note for note in panel.notes)


def test_a_hostile_name_is_found_by_its_words_and_leads_to_a_safe_address(hostile_reading: Any) -> None:
    matrix = results_matrix(hostile_reading, addresses_of(hostile_reading))
    links = [heading.link for panel in matrix.panels for heading, _ in panel.rows]
    assert len(set(links)) == 4
    assert all(set(link) <= set("abcdefghijklmnopqrstuvwxyz0123456789-._/") for link in links)
    assert all(link.startswith("models/") and link.count("/") == 1 for link in links)
