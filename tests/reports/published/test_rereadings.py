"""All re-readings: found by name, whole in every form, and the documentation page is up to date."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from medtransfer.core.errors import NotRegisteredError, UsageError
from medtransfer.reports.document import Document, Section
from medtransfer.reports.figures.chart import Chart
from medtransfer.reports.paper.latex_table import latex_table
from medtransfer.reports.published.conflicts import conflicts_table
from medtransfer.reports.published.doubts import CONFLICTS
from medtransfer.reports.published.material import shipped_material
from medtransfer.reports.published.page import PICTURES, page_document, page_text, write_page
from medtransfer.reports.published.rereadings import REREADINGS, compose_rereadings, find_rereading
from medtransfer.reports.published.siblings import independent_rerun
from medtransfer.reports.published.tidy import COLUMNS, section_object, tables_of, tidy_csv
from medtransfer.reports.published.write_rereadings import write_rereadings
from medtransfer.reports.renderers.csv_files import read_rows
from medtransfer.reports.tables.table import Column, Table, TableCell

DOCS = Path(__file__).resolve().parents[3] / "docs"
MATERIAL = shipped_material()


@pytest.fixture(scope="module")
def document() -> Document:
    return compose_rereadings(MATERIAL)


def sections_of(section: Section) -> list[Section]:
    return [section, *(inner for member in section.sections for inner in sections_of(member))]


def test_the_page_is_up_to_date() -> None:
    page = DOCS / "published.md"
    assert page.read_text(encoding="utf-8") == page_text(), "run: make published-page"


def test_every_picture_of_the_page_is_there_and_no_other() -> None:
    shown = {f"{chart.id}.png" for chart in page_document().charts()}
    assert {path.name for path in (DOCS / PICTURES).glob("*.png")} == shown


def test_old_pictures_are_taken_away(tmp_path: Path) -> None:
    old = tmp_path / PICTURES / "old.png"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"")
    write_page(tmp_path / "published.md")
    assert not old.exists()
    assert len(list(old.parent.glob("*.png"))) == len(list(page_document().charts()))


def test_every_study_says_where_our_reading_differs(document: Document) -> None:
    for section in document.sections:
        if section.id == "siblings":
            continue
        texts = [getattr(part, "text", "") for part in section.parts]
        assert any(text.startswith("How our reading differs.") for text in texts), section.id


def test_names_are_those_of_the_sections(document: Document) -> None:
    assert [section.id for section in document.sections] == list(REREADINGS)


def test_anchors_are_unique(document: Document) -> None:
    sections = [inner for section in document.sections for inner in sections_of(section)]
    parts = [part.id for section in sections for part in section.parts if isinstance(part, Table | Chart)]
    names = [*(section.id for section in sections), *parts]
    assert len(names) == len(set(names))


def test_tables_are_rectangular_and_no_cell_is_empty(document: Document) -> None:
    for section in document.sections:
        for table in tables_of(section):
            assert table.rows, table.id
            for row in table.rows:
                assert len(row) == len(table.columns), table.id
                assert all(cell.text for cell in row), table.id


def test_an_unknown_name_suggests_a_near_one() -> None:
    with pytest.raises(NotRegisteredError, match="Did you mean 'study-a-inat'"):
        find_rereading("study-a-inatt")


def test_every_conflict_stands_with_all_its_numbers() -> None:
    rows = {row[0].text: row for row in conflicts_table(MATERIAL).rows}
    assert len(conflicts_table(MATERIAL).rows) == len(CONFLICTS)
    numbers = rows["Shenzhen with Swin-B from scratch"][1]
    assert [line.partition(": ")[2] for line in (numbers.text, *numbers.details)] == [
        "92.52 ± 4.98",
        "83.92 ± 1.19",
    ]
    assert rows["Shenzhen with Swin-B from scratch"][2].value == pytest.approx(8.60)


def test_the_rerun_stands_beside_study_a_in_points() -> None:
    (table,) = tables_of(independent_rerun(MATERIAL))
    first, second, *others = table.rows
    assert [cell.text for cell in first[3:]] == ["80.63 ± 0.08", "3", "81.70 ± 0.15", "−1.07"]
    assert second[6].value == pytest.approx(-4.63)
    assert all(row[5].text == "–" for row in others)


def test_related_tables_show_every_number_once() -> None:
    related = [
        r
        for r in MATERIAL.results
        if r.source in ("haghighi2022_DiRA", "ma2022_BenchmarkTransformers", "ma2023_Ark")
    ]
    tables = tables_of(REREADINGS["siblings"].compose(MATERIAL))
    values = [cell.value for table in tables for row in table.rows for cell in row if cell.value is not None]
    assert sorted(values) == sorted(result.mean for result in related)
    assert len(values) == 77 + 66 + 60


def test_tidy_rows_hold_every_cell_and_the_exact_number(document: Document) -> None:
    tables = [table for section in document.sections for table in tables_of(section)]
    rows = list(csv.DictReader(io.StringIO(tidy_csv(tables))))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == sum(len(table.rows) * (len(table.columns) - 1) for table in tables)
    (cell,) = [
        row
        for row in rows
        if (row["table"], row["row"], row["column"])
        == ("study-a-domain-adaptation-printed", "ImageNet", "DXC14")
    ]
    assert (cell["text"], float(cell["value"])) == ("81.70 ± 0.15", 81.70)


def test_no_cell_is_a_formula_and_negative_numbers_stay_numbers() -> None:
    hostile = Table(
        "t", "T", (Column("=a()"), Column("@b")), ((TableCell("+c"), TableCell("=d()", ("-e",), value=-0.5)),)
    )
    text = tidy_csv([hostile])
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["row"], row["column"], row["text"], row["details"]) == ("'+c", "'@b", "'=d()", "'-e")
    assert row["value"] == "-0.5"
    assert read_rows(text)[0]["text"] == "=d()"


def test_json_has_no_number_that_json_lacks(document: Document) -> None:
    for section in document.sections:
        json.dumps(section_object(section), allow_nan=False)


def test_every_table_becomes_latex(document: Document) -> None:
    for section in document.sections:
        for table in tables_of(section, folded=False):
            assert r"\bottomrule" in latex_table(table, table.caption)


def test_files_are_written_whole_and_again_the_same(tmp_path: Path) -> None:
    files = write_rereadings(MATERIAL, tmp_path / "out")
    before = {
        path: path.read_bytes()
        for path in (files.html, files.markdown, files.csv, files.json, *files.figures)
    }
    assert write_rereadings(MATERIAL, tmp_path / "out") == files
    assert {path: path.read_bytes() for path in before} == before
    assert [section["name"] for section in json.loads(files.json.read_text())] == list(REREADINGS)
    assert files.html.read_text().count("<h2") >= len(REREADINGS)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(UsageError, match="expected a folder at"):
        write_rereadings(MATERIAL, tmp_path / "out")
