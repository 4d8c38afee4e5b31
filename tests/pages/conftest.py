"""The studies of the report tests, written as sites, and a browser that reports whatever goes wrong."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from medtransfer.reports.write_report import ReportFiles, write_report_of

CHROMIUM = shutil.which("chromium", path="/usr/bin")


def _load(file: Path) -> ModuleType:
    name = file.stem
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def synthetic() -> ModuleType:
    """The module that makes studies."""
    return _load(Path(__file__).parents[1] / "reports" / "synthetic_study.py")


@pytest.fixture(scope="session")
def large(synthetic: ModuleType) -> Any:
    """Evidence of 5,000 trials."""
    return _load(Path(__file__).with_name("large_study.py")).LargeStudy(synthetic).evidence()


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory, synthetic: ModuleType) -> dict[str, ReportFiles]:
    """The reports of a study with every kind of cell, and of one in which every name attacks."""
    folder = tmp_path_factory.mktemp("sites")
    return {
        name: write_report_of(getattr(synthetic, f"{name}_study")().evidence(), folder / name)
        for name in ("full", "hostile")
    }


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A running Chromium."""
    if CHROMIUM is None:
        pytest.skip("needs the browser /usr/bin/chromium, which is not installed")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., tuple[Any, list[str]]]]:
    """Opens pages without a network, and collects errors, refused scripts, dialogs and foreign requests."""
    opened = []

    def open_page(address: str, root: str | None = None, **options: Any) -> tuple[Any, list[str]]:
        """Open an address; files under ``root`` may be loaded, and nothing else but the page."""
        context = browser.new_context(offline=True, **options)
        context.set_default_timeout(20_000)
        opened.append(context)
        page = context.new_page()
        faults: list[str] = []
        allowed = root or address.partition("#")[0]
        page.on(
            "console", lambda said: faults.append(said.text) if said.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: (faults.append(dialog.message), dialog.dismiss()))
        page.on(
            "request",
            lambda request: faults.append(request.url) if not request.url.startswith(allowed) else None,
        )
        page.goto(address)
        return page, faults

    yield open_page
    for context in opened:
        context.close()


LOW_CONTRAST = """() => {
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
  for (const e of document.querySelectorAll("body *:not(svg *):not(script):not(noscript)")) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
    const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) low.add(e.tagName + "." + e.className);
  }
  return [...low];
}"""


@pytest.fixture(scope="session")
def low_contrast() -> str:
    """A script that returns the elements whose text has a contrast below 4.5 (WCAG AA) on the page as drawn."""
    return LOW_CONTRAST
