from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

import pytest
from bs4 import BeautifulSoup

from medtransfer.reports.composition import compose_report
from medtransfer.reports.renderers.page import render_page
from medtransfer.reports.renderers.templating import breakable, script_json


@pytest.fixture(scope="module")
def page(reading: Any) -> str:
    return render_page(compose_report(reading))


@pytest.fixture(scope="module")
def soup(page: str) -> BeautifulSoup:
    return BeautifulSoup(page, "html.parser")


def test_scripts_are_ours_alone_whatever_the_names(soup: BeautifulSoup, hostile_reading: Any) -> None:
    hostile = BeautifulSoup(render_page(compose_report(hostile_reading)), "html.parser")
    assert len(hostile.find_all("script")) == len(soup.find_all("script")) == 4
    assert not hostile.find_all("img")
    assert not [tag for tag in hostile.find_all(True) for name in tag.attrs if name.startswith("on")]
    text = hostile.get_text()
    assert "{{7*7}}" in text
    assert "49|" not in text
    assert "canary" not in str(hostile)
    assert "\u2028" not in str(hostile)


def test_the_policy_allows_these_scripts_and_nothing_from_outside(soup: BeautifulSoup) -> None:
    policy = soup.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
    assert policy.startswith("default-src 'none';")
    scripts = [tag.string for tag in soup.find_all("script") if tag.get("type") != "application/json"]
    for text in scripts:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "unsafe-inline" not in policy.split("style-src")[0]
    assert "unsafe-eval" not in policy
    assert not soup.find_all(["link", "iframe", "object", "embed", "form"])
    assert not soup.find_all(src=True)
    assert all(tag["href"].startswith("#") for tag in soup.find_all(href=True))


def test_every_link_has_its_place_and_ids_are_unique(soup: BeautifulSoup) -> None:
    names = [tag["id"] for tag in soup.find_all(id=True)]
    assert len(names) == len(set(names))
    assert {tag["href"][1:] for tag in soup.find_all("a")} <= set(names)


def test_every_chart_has_its_figure(soup: BeautifulSoup) -> None:
    content = json.loads(soup.find("script", id="charts").string)
    places = {tag["data-chart"] for tag in soup.select(".plot")}
    assert places == set(content["figures"])
    assert all(tag["aria-label"] for tag in soup.select(".plot"))


def test_tables_have_headings_regions_and_captions(soup: BeautifulSoup) -> None:
    tables = soup.find_all("table")
    assert tables
    for table in tables:
        region = table.parent
        assert (region["role"], region["tabindex"]) == ("region", "0")
        assert soup.find(id=region["aria-labelledby"]).get_text(strip=True)
        assert all(row.find("th", scope="row") for row in table.tbody.find_all("tr"))


def test_best_and_tied_cells_are_marked(soup: BeautifulSoup) -> None:
    table = soup.select_one("#results-1-100 table")
    best = table.select("td.best")
    assert len(best) == len(table.tbody.find_all("tr"))
    assert table.select("td.tied sup")


def test_the_same_report_gives_the_same_page(page: str, reading: Any) -> None:
    assert render_page(compose_report(reading)) == page


def test_script_json_cannot_end_its_element() -> None:
    value = {"</script>": ["<!--", "\u2028", "&", "'"]}
    text = str(script_json(value))
    assert not re.search(r"[<>&'\u2028]", text)
    assert json.loads(text) == value


def test_breakable_text_is_escaped() -> None:
    assert str(breakable("a_<b>")) == "a_<wbr>&lt;b&gt;"
