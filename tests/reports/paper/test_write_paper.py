"""The files of a paper: all there, the same again, numbers of the store, nothing of the machine."""

from __future__ import annotations

import csv
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from medtransfer.core.errors import UsageError
from medtransfer.reports.estimates import Slot
from medtransfer.reports.paper.contents import PaperTable, paper_sections
from medtransfer.reports.paper.owned_files import LEDGER
from medtransfer.reports.paper.write_paper import PaperFiles, write_paper
from medtransfer.reports.study_reading import read_study
from medtransfer.reports.tables.results import panel_id

TEXTS = (".tex", ".md", ".csv", ".svg", ".bib")


def texts(paper: PaperFiles) -> dict[Path, str]:
    found = [path for path in paper.folder.rglob("*") if path.suffix in TEXTS]
    return {path.relative_to(paper.folder): path.read_text(encoding="utf-8") for path in found}


def test_all_files_are_there_and_no_others(paper: PaperFiles) -> None:
    named = {
        paper.main,
        paper.methods,
        paper.methods_markdown,
        paper.references,
        *paper.tables,
        *paper.figures,
    }
    found = {path for path in paper.folder.rglob("*") if path.is_file()}
    assert found == named | {paper.folder / LEDGER}
    assert {path.suffix for path in paper.tables} == {".tex", ".md", ".csv"}
    assert {path.suffix for path in paper.figures} == {".pdf", ".svg"}


def test_the_document_includes_every_table_and_figure(paper: PaperFiles) -> None:
    text = paper.main.read_text()
    assert {f"tables/{path.stem}" for path in paper.tables} == set(
        re.findall(r"\\input\{(tables/[^}]+)\}", text)
    )
    assert {path for path in paper.figures if path.suffix == ".pdf"} == {
        paper.folder / name for name in re.findall(r"\{(figures/[^}]+)\}", text)
    }


def test_every_kind_of_table_is_there(paper: PaperFiles) -> None:
    kinds = {re.sub(r"-[\d-]+$", "", path.stem) for path in paper.tables}
    assert {"tasks", "source-models", "results", "pairwise", "ranks", "classes"} <= kinds
    kinds = {re.sub(r"-[\d-]+$", "", path.stem) for path in paper.figures}
    assert {"runs", "labels", "curves"} <= kinds


def test_citations_and_references_are_the_same_set(paper: PaperFiles) -> None:
    cited = re.findall(r"\\cite\{([^}]+)\}", paper.methods.read_text())
    keys = {key for group in cited for key in group.split(",")}
    assert keys == set(re.findall(r"^@\w+\{([^,]+),", paper.references.read_text(), re.MULTILINE))
    in_markdown = re.findall(
        r"@([\w-]+)", " ".join(re.findall(r"\[(@[^\]]+)\]", paper.methods_markdown.read_text()))
    )
    assert set(in_markdown) == keys


def test_numbers_of_the_results_are_those_of_the_store(paper: PaperFiles, reading: Any) -> None:
    checked = 0
    for panel in reading.panels:
        name = panel_id(panel)
        with (paper.folder / "tables" / f"{name}.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        latex = (paper.folder / "tables" / f"{name}.tex").read_text()
        for row, shown in zip(panel.rows, rows, strict=True):
            slot = Slot(reading.tasks[row.row.task].primary.name)
            for key, cell in row.cells.items():
                values = [
                    record.outcome.metrics["test"][slot.metric]["value"]
                    for record in cell.records
                    if record.outcome
                ]
                if not cell.applicable or not values or None in values:
                    continue
                mean = f"{sum(values) / len(values):.3f}"
                assert shown[reading.models[key].label].startswith(mean)
                assert mean in latex
                checked += 1
    assert checked > 50


def test_captions_stand_in_every_format(paper: PaperFiles, reading: Any) -> None:
    found = texts(paper)
    for section in paper_sections(reading):
        for item in section.items:
            if isinstance(item, PaperTable):
                markdown = found[Path("tables") / f"{item.table.id}.md"]
                assert markdown.count("|") > 3
                assert "Phantom results" not in item.caption or "Phantom results" in markdown


def test_the_same_study_gives_the_same_bytes(
    hostile_paper: PaperFiles, hostile_reading: Any, tmp_path: Path
) -> None:
    command = "medtransfer report /home/canary-person/store --paper /home/canary-person/paper"
    again = write_paper(hostile_reading, tmp_path / "again", command=command)
    for path in hostile_paper.folder.rglob("*"):
        if path.is_file():
            assert (again.folder / path.relative_to(hostile_paper.folder)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("which", ["paper", "hostile_paper"])
def test_nothing_tells_of_the_machine_and_nothing_is_markup(
    which: str, request: pytest.FixtureRequest
) -> None:
    for path, text in texts(request.getfixturevalue(which)).items():
        assert "canary" not in text, path
        assert "\u2028" not in text, path
        if path.suffix == ".svg":
            root = ET.fromstring(text)
            assert not [element for element in root.iter() if element.tag.endswith(("script", "image"))], path
        elif path.suffix != ".csv":
            assert "<script" not in text, path
        if path.suffix in {".tex", ".bib"}:
            assert text.isascii(), path


def test_hostile_names_are_no_formulas(hostile_paper: PaperFiles) -> None:
    cells = 0
    for path in hostile_paper.tables:
        if path.suffix == ".csv":
            with path.open(newline="", encoding="utf-8") as stream:
                for row in csv.reader(stream):
                    for cell in row:
                        cells += "HYPERLINK" in cell
                        assert not cell.lstrip().startswith(("=", "@")), path
    assert cells > 3


def test_a_manuscript_is_not_overwritten(hostile_reading: Any, tmp_path: Path) -> None:
    (tmp_path / "main.tex").write_text("\\documentclass{thesis}")
    with pytest.raises(UsageError, match=r"main\.tex"):
        write_paper(hostile_reading, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["main.tex"]


def test_a_study_of_one_trial_has_a_paper(synthetic: Any, tmp_path: Path) -> None:
    maker = synthetic.StudyMaker("one")
    maker.add(synthetic.TASKS[0], "resnet20.random", "linear", varied=())
    files = write_paper(read_study(maker.evidence()), tmp_path / "one")
    assert "\\section{Results}" in files.main.read_text()
    assert "pairwise" not in files.main.read_text()


def test_a_study_without_results_has_a_paper(synthetic: Any, tmp_path: Path) -> None:
    maker = synthetic.StudyMaker("none")
    maker.add_failed(synthetic.TASKS[0], "resnet20.random", "linear", "bad", "why", varied=())
    files = write_paper(read_study(maker.evidence()), tmp_path / "none")
    assert "0 of 1 trial finished. 1 trial failed" in files.methods_markdown.read_text()
