from __future__ import annotations

import json
import posixpath
from itertools import pairwise
from typing import Any

import pytest
from bs4 import BeautifulSoup

from medtransfer.reports.renderers.site import render_site
from medtransfer.reports.site.compose_site import compose_site

Pages = dict[str, BeautifulSoup]


def _pages(reading: Any) -> Pages:
    files = render_site(compose_site(reading, "medtransfer report"), {"runs-1": "figures/runs-1.png"})
    return {a: BeautifulSoup(text, "html.parser") for a, text in files.items() if a.endswith(".html")}


@pytest.fixture(scope="module")
def pages(reading: Any) -> Pages:
    return _pages(reading)


@pytest.fixture(scope="module")
def hostile_pages(hostile_reading: Any) -> Pages:
    return _pages(hostile_reading)


def test_there_is_a_page_for_every_task_and_every_model(pages: Pages, reading: Any) -> None:
    assert [*pages][:1] + [*pages][-1:] == ["index.html", "study.html"]
    titles = {address: page.h1.get_text() for address, page in pages.items()}
    assert titles["tasks/phantom-chest.html"] == "phantom-chest (phantom)"
    for subjects, folder in ((reading.tasks, "tasks/"), (reading.models, "models/")):
        found = [title for address, title in titles.items() if address.startswith(folder)]
        assert found == [subject.label for subject in subjects.values()]


@pytest.mark.parametrize("study", ["pages", "hostile_pages"])
def test_every_way_leads_somewhere_and_ids_are_unique(request: pytest.FixtureRequest, study: str) -> None:
    pages: Pages = request.getfixturevalue(study)
    places = {address: [tag["id"] for tag in page.find_all(id=True)] for address, page in pages.items()}
    for address, page in pages.items():
        assert len(places[address]) == len(set(places[address])), address
        for tag in page.find_all("a"):
            path, _, anchor = tag["href"].partition("#")
            target = posixpath.normpath(posixpath.join(posixpath.dirname(address), path)) if path else address
            assert target in pages, (address, tag["href"])
            assert not anchor or anchor in places[target], (address, tag["href"])


def test_every_task_and_model_is_reached_from_the_first_page(pages: Pages) -> None:
    links = {tag["href"] for tag in pages["index.html"].select("#results a")}
    assert links == {address for address in pages if "/" in address}


@pytest.mark.parametrize("study", ["pages", "hostile_pages"])
def test_scripts_are_files_of_the_site_alone(request: pytest.FixtureRequest, study: str) -> None:
    for address, page in request.getfixturevalue(study).items():
        root = "../" if "/" in address else ""
        scripts = [tag for tag in page.find_all("script") if tag.get("type") != "application/json"]
        assert {tag["src"] for tag in scripts} <= {
            f"{root}assets/{name}" for name in ("theme.js", "site.js", "plotly.min.js", "charts.js")
        }
        assert not any(tag.string for tag in scripts)
        assert len(scripts) in (2, 4)
        assert [tag["href"] for tag in page.find_all("link")] == [f"{root}assets/site.css"]
        assert not page.find_all(["iframe", "object", "embed", "form", "base"])
        assert not [tag for tag in page.find_all(True) for name in tag.attrs if name.startswith("on")]
        policy = page.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
        assert policy.startswith("default-src 'none'; script-src 'self' file:;")
        assert "unsafe-inline" not in policy.split("style-src")[0]
        assert "unsafe-eval" not in policy


def test_hostile_names_stand_on_pages_as_text(hostile_pages: Pages) -> None:
    for address, page in hostile_pages.items():
        text = page.get_text()
        assert "canary" not in str(page), address
        assert "\u2028" not in str(page), address
        assert "49|" not in text, address
        assert not page.select("img:not(noscript img)"), address
        assert "</script><script>alert(1)</script>" in text, address


def test_charts_are_data_with_a_place_each(pages: Pages) -> None:
    drawn = 0
    for page in pages.values():
        places = {tag["data-chart"] for tag in page.select(".plot")}
        content = page.find("script", id="charts")
        assert (content is not None) is bool(places)
        if content is not None:
            assert set(json.loads(content.string)["figures"]) == places
            drawn += len(places)
    assert drawn > 20


def test_pictures_stand_in_where_scripts_do_not_run(pages: Pages) -> None:
    (picture,) = pages["tasks/breastmnist.html"].select("noscript img")
    assert picture["src"] == "../figures/runs-1.png"
    assert not pages["tasks/dermamnist.html"].select("noscript img")


def test_headings_descend_one_level_at_a_time(pages: Pages) -> None:
    for address, page in pages.items():
        levels = [int(tag.name[1]) for tag in page.find_all(["h1", "h2", "h3", "h4", "h5", "h6"])]
        assert levels[0] == 1, address
        steps = [after - before for before, after in pairwise(levels)]
        assert max(steps) <= 1, address


def test_the_same_study_gives_the_same_site(reading: Any) -> None:
    first, second = (render_site(compose_site(reading), {}) for _ in range(2))
    assert first == second
