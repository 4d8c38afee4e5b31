"""Tables as Markdown and CSV: rectangular, escaped, and the numbers in them readable by programs."""

from __future__ import annotations

import csv
import io

import pytest

from medtransfer.reports.paper.plain_tables import csv_table, markdown_table
from medtransfer.reports.renderers.csv_files import unguarded
from medtransfer.reports.tables.table import Column, Table, TableCell

TABLE = Table(
    "t",
    "Caption",
    (Column("Task"), Column("a|b", "detail", numeric=True), Column("Same"), Column("Same")),
    (
        (
            TableCell("=cmd()"),
            TableCell("+0.031", ("[0.01, 0.05]", "p = 0.02"), "†", "best", value=0.03125),
            TableCell("x"),
            TableCell("y"),
        ),
        (TableCell("-1+1"), TableCell("–", tone="absent"), TableCell("@z"), TableCell("\ud800")),
    ),
    notes=("A *note*.",),
)


def rows_of(table: Table) -> list[list[str]]:
    return list(csv.reader(io.StringIO(csv_table(table), newline="")))


def test_csv_columns_are_distinct_and_only_those_that_hold_something() -> None:
    head, *rows = rows_of(TABLE)
    first = "a|b (detail)"
    ends = ("", ": number", ": signs", ": standing", ": details")
    assert head == ["Task", *(first + end for end in ends), "Same", "Same #2"]
    assert {len(row) for row in rows} == {len(head)}


def test_csv_holds_numbers_in_full_and_no_formula() -> None:
    _, first, second = rows_of(TABLE)
    assert first[:6] == ["'=cmd()", "+0.031", "0.03125", "†", "best", "[0.01, 0.05]; p = 0.02"]
    assert second[:6] == ["'-1+1", "–", "", "", "no result", ""]
    assert unguarded(second[0]) == "-1+1"
    assert second[6:] == ["'@z", "\\ud800"]


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "+0.1\n=1", " =1", "+inf", "-٣"])
def test_csv_guards_whatever_a_spreadsheet_computes(text: str) -> None:
    table = Table("t", "t", (Column(text),), ((TableCell(text),),))
    assert [row[0][:1] for row in rows_of(table)] == ["'", "'"]


def test_csv_writes_control_signs_out() -> None:
    table = Table("t", "t", (Column("x"),), ((TableCell("\t=1\u2028b"),),))
    assert rows_of(table)[1] == ["\\x09=1\\u2028b"]


def test_negative_numbers_of_a_column_stay_numbers() -> None:
    table = Table("t", "t", (Column("d"),), ((TableCell("−0.5", value=-0.5),),))
    assert rows_of(table)[1] == ["−0.5", "-0.5"]


def test_markdown_is_rectangular_and_escaped() -> None:
    text = markdown_table(TABLE, "All of it <b>.")
    assert text.startswith("All of it &lt;b&gt;.\n\n|")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {5}
    assert "**+0.031** †<br><sub>" in lines[2]
    assert text.endswith("- A \\*note\\*.\n")
