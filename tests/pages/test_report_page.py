"""A self-contained page in a real browser: it draws, loads nothing, runs nothing foreign, fits a telephone."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from medtransfer.reports.composition import compose_report
from medtransfer.reports.renderers.page import render_page
from medtransfer.reports.study_reading import read_study

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

Visit = Callable[..., tuple[Any, list[str]]]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, synthetic: ModuleType) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("pages")
    addresses = {}
    for name in ("full", "hostile"):
        file = folder / f"{name}.html"
        document = compose_report(read_study(getattr(synthetic, f"{name}_study")().evidence()))
        file.write_text(render_page(document), encoding="utf-8")
        addresses[name] = file.as_uri()
    return addresses


@pytest.mark.parametrize("name", ["full", "hostile"])
def test_the_page_draws_its_figures_and_runs_nothing_else(
    visit: Visit, pages: dict[str, str], name: str
) -> None:
    page, faults = visit(pages[name])
    page.locator("#runs-1").scroll_into_view_if_needed()
    page.wait_for_selector("#runs-1 .main-svg", timeout=20_000)
    assert page.locator("#runs-1 .scatterlayer .point").count() > 3
    assert faults == []


def test_the_theme_follows_the_system_and_the_button(visit: Visit, pages: dict[str, str]) -> None:
    page, faults = visit(pages["full"], color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.locator("#runs-1").scroll_into_view_if_needed()
    page.wait_for_selector("#runs-1 .main-svg", timeout=20_000)
    ink = "getComputedStyle(document.querySelector('#runs-1 .ytick text')).fill"
    ink_dark = page.evaluate(ink)
    page.get_by_role("button", name="Light theme").press("Enter")
    assert page.evaluate(ground) != dark
    page.wait_for_function(f"{ink} !== '{ink_dark}'", timeout=10_000)
    assert faults == []


@pytest.mark.parametrize("name", ["full", "hostile"])
def test_a_telephone_scrolls_tables_and_not_the_page(visit: Visit, pages: dict[str, str], name: str) -> None:
    page, _ = visit(pages[name], viewport={"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    wide = "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth).length"
    assert page.evaluate(wide) > 0


def test_everything_is_reached_by_keyboard(visit: Visit, pages: dict[str, str]) -> None:
    page, _ = visit(pages["full"])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "theme"
    page.locator("#curves summary").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#curves details[open] .main-svg", timeout=20_000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(visit: Visit, pages: dict[str, str], low_contrast: str, scheme: str) -> None:
    page, _ = visit(pages["full"], color_scheme=scheme)
    assert page.evaluate(low_contrast) == []


def test_printing_is_light_and_whole(visit: Visit, pages: dict[str, str]) -> None:
    page, faults = visit(pages["full"], color_scheme="dark")
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    assert faults == []
