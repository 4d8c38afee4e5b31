"""What is written for a paper compiles with pdflatex and bibtex, whatever the names in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from medtransfer.reports.paper.bibliography import known_works, works_cited
from medtransfer.reports.paper.latex_document import PACKAGES
from medtransfer.reports.paper.latex_table import latex_table
from medtransfer.reports.paper.write_paper import PaperFiles
from medtransfer.reports.renderers.latex import latex_text
from medtransfer.reports.tables.table import Column, LegendEntry, Table, TableCell

Compiled = Callable[[Path], str]

SIGNS = [chr(code) for code in (*range(0x600), *range(0x1E00, 0x2300), *range(0x2300, 0x110000, 7919))]
ATTACKS = (
    r"\end{document}",
    r"\input{/etc/passwd}",
    r"\write18{touch hacked}",
    r"$x$ & y \\ % z",
    "=cmd|' /C calc'!A0",
    "</script>",
    "a_b^c~{d}#",
    "line\u2028separator\u202eturned",
    "{{{{",
    "}}}}",
    "[2cm]",
    "*[3cm]",
    "``quotes''",
    "字 😀 ж ا",
    "x" * 300,
)


def document(folder: Path, body: str) -> Path:
    folder.mkdir()
    text = f"\\documentclass{{article}}\n{PACKAGES}\n\\begin{{document}}\n{body}\n\\end{{document}}\n"
    (folder / "main.tex").write_text(text, encoding="ascii")
    return folder


def overfull(log: str) -> list[float]:
    return [float(found) for found in re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)]


def test_every_sign_compiles(compiled: Compiled, tmp_path: Path) -> None:
    lines = [" ".join(f"a{sign}" for sign in SIGNS[start : start + 40]) for start in range(0, len(SIGNS), 40)]
    log = compiled(document(tmp_path / "signs", "\n\n".join(latex_text(line) for line in lines)))
    assert "Missing character" not in log


def test_every_sign_needs_only_the_fonts_of_a_base_installation(compiled: Compiled, tmp_path: Path) -> None:
    log = compiled(document(tmp_path / "signs", latex_text("".join(chr(code) for code in range(0x100)))))
    assert "/tcrm" not in log
    assert ".pk>" not in log


def test_tables_of_attacks_compile(compiled: Compiled, tmp_path: Path) -> None:
    rows = tuple(
        (
            TableCell(a),
            *(TableCell(b, (a, b), "†▪", tone) for b, tone in zip(ATTACKS[:3], TONES, strict=True)),
        )
        for a in ATTACKS
    )
    table = Table(
        "attacks",
        ATTACKS[0],
        (Column(ATTACKS[3]), *(Column(name, ATTACKS[6], numeric=True) for name in ATTACKS[4:7])),
        rows,
        (LegendEntry("▪", ATTACKS[8]),),
        ATTACKS,
    )
    short = Table("few", "few", table.columns, rows[:2], (), ATTACKS[:2])
    body = latex_table(table, " ".join(ATTACKS)) + latex_table(short, ATTACKS[7])
    assert "longtable" in body
    assert "{table}" in body
    log = compiled(document(tmp_path / "attacks", body))
    assert max(overfull(log), default=0) < 30
    assert not (tmp_path / "compiled" / "hacked").exists()


TONES = ("best", "tied", "plain")


def test_wide_tables_stay_on_the_page(compiled: Compiled, tmp_path: Path) -> None:
    columns = (Column("Task"), *(Column(f"resnet50.method{n}_in1k", numeric=True) for n in range(20)))
    cell = TableCell("0.820 ± 0.014", ("[0.800, 0.840]", "over 5 runs"), "‡▪", "tied")
    rows = tuple((TableCell(f"task-number-{n}"), *[cell] * 20) for n in range(6))
    log = compiled(document(tmp_path / "wide", latex_table(Table("wide", "Wide", columns, rows), "Wide.")))
    assert max(overfull(log), default=0) < 1


def test_the_whole_bibliography_compiles(compiled: Compiled, tmp_path: Path) -> None:
    works = [*known_works().values(), *(work for attack in ATTACKS for work in works_cited(attack))]
    body = "\\nocite{*}\\bibliographystyle{unsrt}\\bibliography{references}"
    folder = document(tmp_path / "works", body)
    (folder / "references.bib").write_text("\n".join(work.as_bibtex() for work in works), encoding="ascii")
    compiled(folder)
    shown = (tmp_path / "compiled" / "main.bbl").read_text()
    assert shown.count("\\bibitem") == len({work.key for work in works})


def test_the_paper_of_a_study_compiles(compiled: Compiled, paper: PaperFiles) -> None:
    log = compiled(paper.folder)
    assert "undefined" not in log
    assert max(overfull(log), default=0) < 5


def test_the_paper_of_a_hostile_study_compiles(compiled: Compiled, hostile_paper: PaperFiles) -> None:
    log = compiled(hostile_paper.folder)
    assert "undefined" not in log
    assert max(overfull(log), default=0) < 30
