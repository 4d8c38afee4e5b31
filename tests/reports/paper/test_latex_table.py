"""LaTeX of a table: what stands out, what stands under it, and how many of them there are."""

from __future__ import annotations

import re

from medtransfer.reports.paper.latex_table import latex_table
from medtransfer.reports.tables.table import Column, LegendEntry, Table, TableCell

HEADS = (Column("Task"), Column("first_model", "detail", numeric=True), Column("second", numeric=True))
ROWS = (
    (
        TableCell("lesions", ("AUC",)),
        TableCell("0.900 ± 0.010", ("[0.888, 0.912]",), tone="best"),
        TableCell("0.890", marks="†▪", tone="tied"),
    ),
    (TableCell("lungs"), TableCell("–", tone="absent"), TableCell("0.950", tone="best")),
)
LEGEND = (LegendEntry("▪", "not separable"),)
TABLE = Table("results-1-100", "Results", HEADS, ROWS, LEGEND, ("One & two.", "Three."))


def test_the_best_is_bold_and_the_tied_are_grey_and_marked() -> None:
    text = latex_table(TABLE, "Results.")
    rows = [line for line in text.splitlines() if line.startswith(("lesions", "lungs"))]
    assert [row.count(" & ") for row in rows] == [2, 2]
    assert [row.count("\\textbf{") for row in rows] == [1, 1]
    assert "\\textbf{0.900 $\\pm$ 0.010}\\par\\scriptsize {[}0.888, 0.912{]}" in rows[0]
    assert "\\cellcolor[gray]{0.88}0.890 $\\dagger$\\rule" in rows[0]
    assert "cellcolor" not in rows[1]
    assert all(row.endswith("\\\\") for row in rows)


def test_a_table_is_whole() -> None:
    text = latex_table(TABLE, "All results, 100 %.")
    for command in ("toprule", "midrule", "bottomrule", "begin{tabular}", "end{tabular}", "end{table}"):
        assert text.count(f"\\{command}") == 1
    assert "\\caption{All results, 100 \\%.}\\label{tab:results-1-100}" in text
    assert text.index("One \\& two.\\par") > text.index("\\bottomrule")
    widths = [float(width) for width in re.findall(r"dimexpr([\d.]+)\\linewidth", text)]
    assert len(widths) == 3
    assert sum(widths) <= 1.001
    assert text.count("\\raggedleft") == 2


def test_wide_tables_come_in_parts_with_notes_once() -> None:
    many = tuple(Column(f"model{n}", numeric=True) for n in range(12))
    cells = tuple(TableCell(f"0.8{n:02d} ± 0.014") for n in range(12))
    table = Table("wide", "Wide", (HEADS[0], *many), ((ROWS[0][0], *cells),), LEGEND, ("Only once.",))
    text = latex_table(table, "Everything.")
    parts = text.count("\\begin{table}")
    assert parts == 2
    assert text.count("Only once.") == 1
    assert [f"\\label{{tab:wide{end}}}" in text for end in ("", "-2")] == [True, True]
    assert "Wide. Part 2 of 2. Signs: see Table~\\ref{tab:wide}." in text
    for n in range(12):
        assert text.count(f"0.8{n:02d} $\\pm$") == 1
    assert text.count("\nlesions") == parts


def test_long_tables_may_break_over_pages() -> None:
    rows = tuple((TableCell(f"row {n}"), TableCell("1"), TableCell("2")) for n in range(80))
    text = latex_table(Table("long", "Long", HEADS, rows, (), ("Below.",)), "Long.")
    assert "\\begin{table}" not in text
    assert text.count("\\begin{longtable}") == text.count("\\end{longtable}") == 1
    assert text.count("\\endfirsthead") == text.count("\\endhead") == text.count("\\endfoot") == 1
    assert text.index("Below.\\par") > text.index("\\end{longtable}")
    assert sum(line.startswith("row ") for line in text.splitlines()) == 80


def test_a_table_without_rows_is_still_one() -> None:
    text = latex_table(Table("none", "None", HEADS, ()), "None.")
    assert text.count("\\toprule") == text.count("\\bottomrule") == 1
