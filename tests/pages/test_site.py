"""The site of a report in a real browser: every page, from disk, without a network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medtransfer.reports.write_report import ReportFiles

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

Visit = Callable[..., tuple[Any, list[str]]]
Sites = dict[str, ReportFiles]
KINDS = ("index.html", "study.html", "tasks/breastmnist.html", "models/resnet50.sup_radimagenet.html")


def _follow(page: Any, link: Any) -> None:
    """Follow a link, and wait until the next page is there."""
    with page.expect_navigation():
        link.click()


def _open(visit: Visit, files: ReportFiles, page: Path | str = "index.html", **options: Any) -> Any:
    path = files.folder / page
    return visit(path.as_uri(), root=files.folder.as_uri() + "/", **options)


@pytest.mark.parametrize("name", ["full", "hostile"])
def test_every_page_opens_from_disk_draws_all_figures_and_runs_nothing_foreign(
    visit: Visit, sites: Sites, name: str
) -> None:
    drawn = 0
    for path in sites[name].pages:
        page, faults = _open(visit, sites[name], path)
        page.evaluate(
            "() => { document.querySelectorAll('details').forEach(d => { d.open = true; });"
            " document.dispatchEvent(new Event('drawall')); }"
        )
        page.wait_for_function(
            "[...document.querySelectorAll('.plot')].every(p => p.querySelector('.main-svg'))", timeout=30_000
        )
        drawn += page.locator(".plot .main-svg:first-child").count()
        assert faults == [], path.name
        page.context.close()
    assert drawn >= 3


def test_ways_lead_from_the_matrix_to_pages_and_back(visit: Visit, sites: Sites) -> None:
    page, faults = _open(visit, sites["full"])
    _follow(page, page.locator("#results figure:not(.out) thead a", has_text="dermamnist"))
    assert page.locator("h1").inner_text() == "dermamnist"
    _follow(page, page.get_by_role("link", name="phantom-chest (phantom)"))
    assert page.locator("h1").inner_text() == "phantom-chest (phantom)"
    _follow(page, page.locator("#task-results tbody a", has_text="resnet20"))
    assert page.locator("h1").inner_text() == "resnet20.random"
    _follow(page, page.get_by_role("navigation", name="Where this page is").get_by_text("first-light"))
    assert page.url.endswith("/index.html")
    assert faults == []


def test_the_chosen_theme_holds_on_the_next_page(visit: Visit, sites: Sites) -> None:
    page, _ = _open(visit, sites["full"], color_scheme="light")
    page.get_by_role("button", name="Dark theme").press("Enter")
    _follow(page, page.get_by_role("link", name="Study"))
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


@pytest.mark.parametrize("name", ["full", "hostile"])
def test_a_telephone_scrolls_tables_and_not_the_page(visit: Visit, sites: Sites, name: str) -> None:
    for path in sites[name].pages:
        page, _ = _open(visit, sites[name], path, viewport={"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path.name
        page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("address", KINDS)
def test_text_has_contrast(visit: Visit, sites: Sites, low_contrast: str, address: str, scheme: str) -> None:
    page, _ = _open(visit, sites["full"], address, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert page.evaluate(low_contrast) == []


@pytest.mark.parametrize("address", KINDS)
def test_everything_that_acts_has_a_name(visit: Visit, sites: Sites, address: str) -> None:
    page, _ = _open(visit, sites["full"], address)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("a, button, input, select, summary, [role=img], [role=region]")]
        .filter(e => !(e.textContent.trim() || e.getAttribute("aria-label") || e.labels?.length
          || document.getElementById(e.getAttribute("aria-labelledby"))?.textContent.trim()))
        .map(e => e.outerHTML)"""
    )
    assert nameless == []


def test_other_tables_are_sorted_by_number_or_text(visit: Visit, sites: Sites) -> None:
    page, _ = _open(visit, sites["full"], "tasks/breastmnist.html")
    table = page.locator("#task-results")
    heads = table.locator("thead th")

    def values(column: int) -> list[float | None]:
        found = table.locator(f"tbody tr td:nth-child({column})")
        return found.evaluate_all(
            "all => all.map(c => 'value' in c.dataset ? Number(c.dataset.value) : null)"
        )

    before = values(2)
    heads.nth(1).locator("button").press("Enter")
    numbers = [value for value in before if value is not None]
    assert values(2) == sorted(numbers, reverse=True) + [None] * (len(before) - len(numbers))
    assert heads.nth(1).get_attribute("aria-sort") == "descending"
    heads.nth(1).locator("button").press("Enter")
    assert values(2) == sorted(numbers) + [None] * (len(before) - len(numbers))
    heads.nth(1).locator("button").press("Enter")
    assert values(2) == before
    assert heads.nth(1).get_attribute("aria-sort") is None
    heads.nth(0).locator("button").press("Enter")
    names = table.locator("tbody th").all_inner_texts()
    assert names == sorted(names)


def test_an_address_with_an_anchor_opens_the_fold_it_leads_to(visit: Visit, sites: Sites) -> None:
    page, faults = _open(visit, sites["full"], "tasks/breastmnist.html")
    fold = page.locator("details.folded").first
    page.evaluate("id => { location.hash = id; }", fold.get_attribute("id"))
    page.wait_for_function("document.querySelector('details.folded').open")
    page.evaluate("location.hash = '#%'")
    assert faults == []


def test_without_scripts_every_number_can_be_read(visit: Visit, sites: Sites) -> None:
    page, _ = _open(visit, sites["full"], java_script_enabled=False)
    panels = page.locator("#results figure.table")
    assert panels.count() == len(sites["full"].reading.panels)
    assert all(panels.nth(number).is_visible() for number in range(panels.count()))
    assert page.locator(".controls, button.sort").count() == 0
    page, _ = _open(visit, sites["full"], "tasks/breastmnist.html", java_script_enabled=False)
    picture = page.locator("#runs-1 img")
    picture.scroll_into_view_if_needed()
    assert picture.is_visible()


def test_printing_shows_everything_in_light_colours(visit: Visit, sites: Sites) -> None:
    page, faults = _open(visit, sites["full"], color_scheme="dark")
    page.get_by_label("Find source models").fill("resnet20")
    hidden = page.locator("#results tbody tr").evaluate_all(
        "all => all.filter(e => !e.getClientRects().length).length"
    )
    assert hidden > 0
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    shown = page.locator("#results td, #results tbody th").evaluate_all(
        "all => all.every(e => e.getClientRects().length)"
    )
    assert shown
    assert not page.locator(".controls").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    assert faults == []


def test_printing_a_task_opens_its_folds_and_closes_them_again(visit: Visit, sites: Sites) -> None:
    page, faults = _open(visit, sites["full"], "tasks/breastmnist.html")
    closed = "document.querySelectorAll('details.folded:not([open])').length"
    before = page.evaluate(closed)
    assert before > 0
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(closed) == 0
    page.wait_for_selector("details.folded .main-svg", timeout=20_000)
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(closed) == before
    assert faults == []
