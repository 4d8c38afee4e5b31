from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from PIL import Image

from medtransfer.reports.document import Document, Gallery, Part, Section
from medtransfer.reports.figures.chart import Chart
from medtransfer.reports.limits import limits_of_evidence
from medtransfer.reports.published.records import PublishedResult
from medtransfer.reports.site.compose_site import compose_site
from medtransfer.reports.site.extras import Extras
from medtransfer.reports.site.page import Site
from medtransfer.reports.tables.table import Table


def _parts(document: Document | Section) -> Iterator[Part]:
    for section in document.sections:
        yield from section.parts
        yield from _parts(section)


def _page(site: Site, address: str) -> Document:
    return next(page.document for page in site.pages if page.address == address)


def _table(document: Document, name: str) -> Table:
    return next(part for part in _parts(document) if isinstance(part, Table) and part.id == name)


@pytest.fixture(scope="module")
def site(reading: Any) -> Site:
    return compose_site(reading, "medtransfer report store")


def test_a_classification_task_has_everything_its_records_allow(site: Site) -> None:
    document = _page(site, "tasks/breastmnist.html")
    assert [section.id for section in document.sections] == [
        *("overview", "results", "label-efficiency", "calibration", "worst-cases", "panels", "curves"),
    ]
    ids = [part.id for part in _parts(document) if isinstance(part, Table | Chart)]
    assert {"task-results", "runs-1", "labels-1-1", "details-1-100-1", "curves-2-100-1"} <= set(ids)
    assert [
        part.caption for part in _parts(document) if isinstance(part, Table) and "row minus" in part.caption
    ]


def test_a_segmentation_task_has_no_calibration(site: Site) -> None:
    assert "calibration" not in [section.id for section in _page(site, "tasks/drive-vessel.html").sections]


def test_results_of_a_task_stand_side_by_side(site: Site, reading: Any) -> None:
    table = _table(_page(site, "tasks/dermamnist.html"), "task-results")
    assert [column.title for column in table.columns] == ["Source model", *["linear"] * 2, *["finetune"] * 2]
    row = next(row for row in table.rows if row[0].text == "resnet50.mocov2_ham10000")
    assert [cell.text for cell in row[1:]] == ["–"] * 4
    assert row[0].link == "models/resnet50.mocov2_ham10000.html"
    shared = [note for note in table.notes if not note.startswith(("linear", "finetune"))]
    assert any("one pretraining run" in note for note in shared)
    assert any(note.startswith("finetune, 100\xa0% of the training labels: ") for note in table.notes)


def test_results_of_a_model_name_every_task_and_carry_its_own_remarks_only(site: Site) -> None:
    table = _table(_page(site, "models/squeezenet1_1.sup_in1k.html"), "model-results")
    rows = {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}
    assert list(rows) == ["breastmnist", "dermamnist", "phantom-chest (phantom)"]
    assert not any("radimagenet" in note.lower() for note in table.notes)
    tones = {cell.tone for row in table.rows for cell in row}
    assert "tied" in tones, "the comparison with the others is kept"


def test_a_model_without_a_result_in_a_cell_is_shown_as_not_run(site: Site) -> None:
    table = _table(_page(site, "tasks/drive-vessel.html"), "task-results")
    assert "squeezenet1_1.sup_in1k" not in [row[0].text for row in table.rows]
    failed = next(row for row in table.rows if row[0].text == "resnet20.random")
    assert failed[4].text == "failed"


def test_the_study_page_has_ranks_settings_limits_failures_and_provenance(site: Site, reading: Any) -> None:
    document = _page(site, "study.html")
    names = [section.id for section in document.sections]
    assert names == ["over-tasks", "protocols", "limits", "failures", "methods", "provenance-section"]
    assert len(document.sections[0].sections) == len(reading.panels)
    assert document.sections[2].parts[0].text == limits_of_evidence(reading)


def test_the_limits_stand_on_the_first_page_too(site: Site, reading: Any) -> None:
    section = next(s for s in _page(site, "index.html").sections if s.id == "limits")
    assert section.parts[0].text == limits_of_evidence(reading)


def test_pictures_of_cases_are_shown_on_request_only(reading: Any) -> None:
    asked: list[str] = []

    def thumbnails(task: Any, cases: Sequence[str]) -> dict[str, bytes]:
        asked.append(task.name)
        buffer = io.BytesIO()
        Image.new("L", (4, 4)).save(buffer, "PNG")
        return dict.fromkeys(cases, buffer.getvalue())

    with_pictures = compose_site(reading, "", Extras(thumbnails=thumbnails))
    document = _page(with_pictures, "tasks/breastmnist.html")
    (gallery,) = [part for part in _parts(document) if isinstance(part, Gallery)]
    assert any(picture.png for group in gallery.groups for picture in group)
    assert "breastmnist" in asked
    without = _page(compose_site(reading), "tasks/breastmnist.html")
    assert not [part for part in _parts(without) if isinstance(part, Gallery)]


def test_imported_results_stand_on_the_page_of_their_task(reading: Any) -> None:
    imported = PublishedResult(
        *("Doe 2030", "Table 1", "BreastMNIST", "AUC%", "ImageNet", "MobileNet"),
        mean=87.65,
        std=0.2,
        n=5,
        unit="percent",
        target_task="breastmnist",
        metric_name="auc",
        source_model="mobilenetv1_100.sup_in1k",
    )
    site = compose_site(reading, "", Extras(published=(imported,)))
    section = next(s for s in _page(site, "tasks/breastmnist.html").sections if s.id == "published")
    texts = [cell.text for row in section.parts[0].rows for cell in row]
    assert any("87.65" in text for text in texts)
    other = [s.id for s in _page(site, "tasks/phantom-chest.html").sections]
    assert "published" not in other


def test_neighbours_lead_through_all_tasks(site: Site) -> None:
    tasks = [page for page in site.pages if page.address.startswith("tasks/")]
    assert tasks[0].before is None
    assert [page.after.address if page.after else None for page in tasks] == [
        *[page.address for page in tasks[1:]],
        None,
    ]
    assert [link.address for link in tasks[0].trail] == ["index.html", "index.html#target-tasks"]
