"""A comparison in words and tables: what stands where, and that it fits a terminal of 80 columns."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from medtransfer.core.task_kind import TaskKind
from medtransfer.reports.comparison import ModelComparison, Selection, compare_models
from medtransfer.reports.comparison.comparison_table import (
    comparison_table,
    missing_table,
    note_lines,
    verdict_lines,
)

A, B = "squeezenet1_1.sup_in1k", "mobilenetv1_100.sup_in1k"


@pytest.fixture(scope="module")
def comparison(synthetic: ModuleType) -> ModelComparison:
    return compare_models(synthetic.full_study().evidence(), None, A, B, Selection(task="breastmnist"))


def test_a_row_holds_values_intervals_and_the_verdict(comparison: ModelComparison) -> None:
    table = comparison_table(comparison)
    assert table.caption == f"A: {A}. B: {B}"
    assert len(table.rows) == len(comparison.rows) == 4
    for row, cells in zip(comparison.rows, table.rows, strict=True):
        place, values, tests, verdict = cells
        assert place.text == f"{row.number} breastmnist"
        assert values.text == f"A\u00a0{row.a.mean:.3f}"
        assert values.details[0] == f"B\u00a0{row.b.mean:.3f}"
        assert f"{abs(row.a.mean - row.b.mean):.3f}" in values.details[1]
        assert len([tests.text, *tests.details]) == len(row.tests) + (row.outperforms is not None)
        for test, line in zip(row.tests, [tests.text, *tests.details], strict=False):
            assert f"{abs(test.comparison.low):.3f}" in line
            assert f"{abs(test.comparison.high):.3f}" in line
            assert line.endswith(("p\u00a0<0.001", f"p\u00a0{test.comparison.adjusted_p:.3f}"))
        assert verdict.text in {"A better", "B better", "equivalent", "undecided"}


def test_there_is_one_sentence_per_row(comparison: ModelComparison) -> None:
    lines = verdict_lines(comparison)
    assert len(lines) == len(comparison.rows)
    for row, line in zip(comparison.rows, lines, strict=True):
        assert line.startswith(f"{row.number} breastmnist, {row.place.protocol}, ")
        assert line.endswith(row.short_sentence)
        assert A not in row.short_sentence


def test_remarks_name_their_rows_once(comparison: ModelComparison) -> None:
    notes = note_lines(comparison)
    assert len(notes) == len(set(notes))
    for row in comparison.rows:
        for remark in row.remarks:
            (line,) = [note for note in notes if note.endswith(f"{remark}.")]
            numbers = line.removeprefix("Rows ").removeprefix("Row ").split(":")[0]
            assert str(row.number) in numbers.split(", ")
    assert (
        "Holm-adjusted over the rows shown (training runs 3, test patients 4, runs and patients 3)"
        in " ".join(notes)
    )
    assert "two-sided" in " ".join(notes)
    assert "no proof of equivalence" in " ".join(notes)


def test_what_is_missing_has_a_table(synthetic: ModuleType) -> None:
    found = compare_models(
        synthetic.full_study().evidence(),
        None,
        "resnet50.mocov2_ham10000",
        B,
        Selection(task="dermamnist", protocol="linear"),
    )
    assert found.rows == ()
    texts = [[cell.text for cell in row] for row in missing_table(found).rows]
    assert texts[0][1:] == ["not applicable: pretrained on ham10000", "has results"]
    assert len(texts) == 2


def test_a_source_without_a_test_is_a_dash(two_models: Callable[..., Any]) -> None:
    found = compare_models(two_models(runs=1).evidence(), None, A, B)
    ((_, _, tests, verdict),) = comparison_table(found).rows
    assert tests.text == "runs".ljust(9, "\u00a0") + "–"
    assert tests.details[1] == "both".ljust(9, "\u00a0") + "–"
    assert verdict.text == "undecided"


def test_few_patients_leave_a_p_without_an_interval(
    synthetic: ModuleType, two_models: Callable[..., Any]
) -> None:
    task = synthetic.MadeTask("liver", TaskKind.SEGMENTATION, ("liver",), ("dice",), {}, 12, 3)
    found = compare_models(two_models([task]).evidence(), None, A, B)
    ((_, _, tests, verdict),) = comparison_table(found).rows
    for line, source in zip(tests.details, ("patients", "both"), strict=False):
        name, p = line.split("–\u00a0\u00a0p\u00a0")
        assert name.strip("\u00a0") == source
        assert float(p) >= 0.125
    assert verdict.text == "undecided"
    (row,) = found.rows
    (remark,) = [remark for remark in row.remarks if remark.startswith("cannot be significant over")]
    assert remark == (
        f"cannot be significant over 4 patients with {row.draws:,} draws and 1 test: no adjusted p is below 0.125"
    )


def test_names_that_attack_are_shown_as_text_on_one_line(synthetic: ModuleType) -> None:
    from rich.console import Console

    from medtransfer.reports.renderers.console import rich_table

    found = compare_models(
        synthetic.hostile_study().evidence(), None, synthetic.HOSTILE, "\x1b[31mred\r\nnext"
    )
    console = Console(width=200, file=io.StringIO(), markup=False)
    console.print(rich_table(comparison_table(found)))
    text = console.file.getvalue()
    assert len(found.rows) == 1
    assert "\x1b" not in text
    assert "\u2028" not in text
    assert "\\x1b[31mred next" in text
    assert synthetic.CANARY_HOME not in text + "".join(note_lines(found)) + "".join(verdict_lines(found))


def test_comparing_imports_no_torch() -> None:
    code = (
        "import sys, medtransfer.reports.comparison.comparison_table, medtransfer.reports.comparison; "
        "sys.exit('torch' in sys.modules or 'matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
