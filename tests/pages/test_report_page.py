"""The report page in a real browser: it draws, loads nothing, runs nothing foreign, and fits a telephone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from medtransfer.reports.composition import compose_report
from medtransfer.reports.renderers.page import render_page
from medtransfer.reports.study_reading import read_study

CHROMIUM = shutil.which("chromium", path="/usr/bin")
pytestmark = [
    pytest.mark.skipif(
        CHROMIUM is None, reason="needs the browser /usr/bin/chromium, which is not installed"
    ),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


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


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


def _open(browser: Any, address: str, **options: Any) -> tuple[Any, list[str]]:
    """Open a page and collect what goes wrong: errors, refused scripts, dialogs, requests to others."""
    page = browser.new_page(**options)
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", lambda dialog: (faults.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: faults.append(request.url) if request.url != address else None)
    page.goto(address)
    return page, faults


@pytest.mark.parametrize("name", ["full", "hostile"])
def test_the_page_draws_its_figures_and_runs_nothing_else(
    browser: Any, pages: dict[str, str], name: str
) -> None:
    page, faults = _open(browser, pages[name])
    page.locator("#runs-1").scroll_into_view_if_needed()
    page.wait_for_selector("#runs-1 .main-svg", timeout=20_000)
    assert page.locator("#runs-1 .scatterlayer .point").count() > 3
    assert faults == []
    page.close()


def test_the_theme_follows_the_system_and_the_button(browser: Any, pages: dict[str, str]) -> None:
    page, faults = _open(browser, pages["full"], color_scheme="dark")
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
    page.close()


@pytest.mark.parametrize("name", ["full", "hostile"])
def test_a_telephone_scrolls_tables_and_not_the_page(browser: Any, pages: dict[str, str], name: str) -> None:
    page, _ = _open(browser, pages[name], viewport={"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    wide = "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth).length"
    assert page.evaluate(wide) > 0
    page.close()


def test_everything_is_reached_by_keyboard(browser: Any, pages: dict[str, str]) -> None:
    page, _ = _open(browser, pages["full"])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "theme"
    page.locator("#curves summary").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#curves details[open] .main-svg", timeout=20_000)
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(browser: Any, pages: dict[str, str], scheme: str) -> None:
    """WCAG AA: 4.5 for every text, measured on the colours the browser computed."""
    page, _ = _open(browser, pages["full"], color_scheme=scheme)
    low = page.evaluate(
        """() => {
          const parts = colour => colour.match(/[\\d.]+/g).map(Number);
          const light = colour => parts(colour).slice(0, 3).map(v => v / 255)
            .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
          const ground = element => {
            for (let e = element; e; e = e.parentElement) {
              const found = parts(getComputedStyle(e).backgroundColor);
              if (found.length < 4 || found[3] > 0) return getComputedStyle(e).backgroundColor;
            }
            return "rgb(255, 255, 255)";
          };
          const low = new Set();
          for (const e of document.querySelectorAll("body *:not(svg *):not(script)")) {
            if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
            const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
            if ((a + 0.05) / (b + 0.05) < 4.5) low.add(e.tagName + "." + e.className);
          }
          return [...low];
        }"""
    )
    assert low == []
    page.close()


def test_printing_is_light_and_whole(browser: Any, pages: dict[str, str]) -> None:
    page, faults = _open(browser, pages["full"], color_scheme="dark")
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    assert faults == []
    page.close()
