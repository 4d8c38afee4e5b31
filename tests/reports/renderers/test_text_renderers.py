from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from medtransfer.reports.composition import compose_report
from medtransfer.reports.evidence import Evidence
from medtransfer.reports.renderers.console import console_tables
from medtransfer.reports.renderers.json_file import render_json, report_object
from medtransfer.reports.renderers.markdown import plain, render_markdown


@pytest.mark.parametrize(
    "text", ["<script>", "a|b", "*x*", "_x_", "[x](y)", "`x`", "$x$", "# x", "@user", "~~x~~"]
)
def test_markdown_text_holds_no_markup(text: str) -> None:
    shown = plain(text)
    for sign in "<>|@":
        assert sign not in shown
    for sign in "*_[]`$#~":
        assert sign not in shown.replace(f"\\{sign}", "").replace("&#", "")


def test_markdown_tables_are_rectangular_and_pictures_are_linked(reading: Any, hostile_reading: Any) -> None:
    for study in (reading, hostile_reading):
        document = compose_report(study)
        text = render_markdown(document)
        for chart in document.charts():
            assert f"(figures/{chart.id}.png)" in text
        widths: list[int] = []
        for line in [*text.split("\n"), ""]:
            if line.startswith("|"):
                widths.append(line.replace("\\|", "").count("|"))
            else:
                assert len(set(widths)) <= 1
                widths = []
        assert "canary" not in text
        assert "<script" not in text


def test_markdown_marks_best_ties_and_cells_without_result(reading: Any) -> None:
    text = render_markdown(compose_report(reading))
    table = text.split("**finetune, 10\xa0% of the training labels: primary metric", 1)[1].split("\n\n")[1]
    row = next(line for line in table.split("\n") if line.startswith("| drive-vessel"))
    assert row.count("**") == 2
    assert "| failed<br><sub>0 of 5 runs: 5 failed</sub> |" in row
    assert "| not run |" in row


def test_json_is_one_document_with_nulls(reading: Any) -> None:
    report = json.loads(render_json(reading, "medtransfer report /home/canary-person/x"))
    counts = {"done": 269, "failed": 7, "pending": 2, "running": 0}
    assert report["trials"] == counts | {"superseded": 0, "total": 278}
    result = next(
        r
        for r in report["results"]
        if (r["task"], r["protocol"], r["label_fraction"]) == ("dermamnist", "finetune", 1.0)
    )
    cell = next(c for c in result["cells"] if c["model"] == "resnet20.random")
    assert cell["standing"] == "undetermined"
    assert all((e["std"], e["low"], e["interval"]) == (None, None, None) for e in cell["estimates"])
    assert result["comparison"]["correction"] == "Holm"
    assert len(report["failures"]) == 7
    assert "canary" not in json.dumps(report)


@pytest.mark.parametrize("width", [80, 140])
def test_console_tables_hold_no_control_signs_and_no_markup(hostile_reading: Any, width: int) -> None:
    console = Console(width=width, record=True, force_terminal=False, file=None)
    with console.capture() as capture:
        for table in console_tables(hostile_reading):
            console.print(table)
    shown = capture.get()
    assert "\x1b" not in shown
    assert "\\x1b" in shown.replace("\n", "")


def test_console_tables_turn_when_there_are_many_models(reading: Any) -> None:
    table = console_tables(reading)[0]
    assert str(table.columns[0].header).startswith("Task")
    assert len(table.columns) == len(reading.tasks) + 1
    assert table.row_count == len(reading.models)


def test_json_in_parts_is_what_the_library_writes_at_once(reading: Any, hostile_reading: Any) -> None:
    for each in (reading, hostile_reading):
        expected = json.dumps(report_object(each, "c"), sort_keys=True, indent=1, allow_nan=False) + "\n"
        assert render_json(each, "c") == expected
    nothing = replace(reading, panels=(), evidence=Evidence("none", (), reading.evidence.predictions))
    text = render_json(nothing)
    assert json.loads(text)["failures"] == []
    assert text == json.dumps(report_object(nothing), sort_keys=True, indent=1, allow_nan=False) + "\n"
