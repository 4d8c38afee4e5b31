from __future__ import annotations

import json
from pathlib import Path

import pytest

from medtransfer.core.errors import UsageError
from medtransfer.reports.site.manifest import (
    MANIFEST,
    listed_files,
    read_manifest,
    refuse_foreign_pages,
    remove_leftovers,
    write_manifest,
)

PAGE = "tasks/old.html"


def _earlier(out: Path, address: str = PAGE, content: str = "page") -> dict[str, str]:
    (out / address).parent.mkdir(parents=True, exist_ok=True)
    (out / address).write_text(content)
    found = listed_files({address: content})
    write_manifest(out, found)
    return read_manifest(out)


def test_leftovers_of_an_earlier_report_go(tmp_path: Path) -> None:
    before = _earlier(tmp_path)
    assert remove_leftovers(tmp_path, before, {}) == [tmp_path / PAGE]
    assert not (tmp_path / PAGE).exists()


def test_what_a_report_still_has_stays(tmp_path: Path) -> None:
    before = _earlier(tmp_path)
    assert remove_leftovers(tmp_path, before, listed_files({PAGE: "newer"})) == []
    assert (tmp_path / PAGE).exists()


def test_a_page_that_somebody_changed_stays(tmp_path: Path) -> None:
    before = _earlier(tmp_path)
    (tmp_path / PAGE).write_text("my notes")
    assert remove_leftovers(tmp_path, before, {}) == []
    assert (tmp_path / PAGE).read_text() == "my notes"


def test_files_that_no_report_wrote_stay(tmp_path: Path) -> None:
    before = _earlier(tmp_path)
    (tmp_path / "tasks/mine.html").write_text("page")
    remove_leftovers(tmp_path, before, {})
    assert [path.name for path in (tmp_path / "tasks").iterdir()] == ["mine.html"]


def test_links_are_never_followed(tmp_path: Path) -> None:
    target = tmp_path / "target.html"
    target.write_text("page")
    before = listed_files({PAGE: "page"})
    (tmp_path / "tasks").mkdir()
    (tmp_path / PAGE).symlink_to(target)
    assert remove_leftovers(tmp_path, before, {}) == []
    (tmp_path / PAGE).unlink()
    (tmp_path / "tasks").rmdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "old.html").write_text("page")
    (tmp_path / "tasks").symlink_to(elsewhere)
    assert remove_leftovers(tmp_path, before, {}) == []
    assert target.exists()
    assert (elsewhere / "old.html").exists()


@pytest.mark.parametrize(
    "address", ["../victim.html", "tasks/../victim.html", "/etc/passwd", "index.html", "tasks/.html", "x.png"]
)
def test_a_list_that_names_other_places_vouches_for_nothing(tmp_path: Path, address: str) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / MANIFEST).write_text(json.dumps({"format": 1, "files": {address: "0" * 64}}))
    assert read_manifest(tmp_path) == {}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"format": 2, "files": {"tasks/a.html": "0"}}', '{"format": 1}', "\xff"]
)
def test_a_damaged_list_vouches_for_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / MANIFEST).write_bytes(text.encode("latin-1"))
    assert read_manifest(tmp_path) == {}
    assert read_manifest(tmp_path / "nowhere") == {}


def test_a_foreign_page_is_not_overwritten(tmp_path: Path) -> None:
    refuse_foreign_pages(tmp_path, ["index.html"], "medtransfer report")
    (tmp_path / "index.html").write_text("<h1>my site</h1>")
    with pytest.raises(UsageError, match=r"index\.html, which is no page of a report\. Choose another"):
        refuse_foreign_pages(tmp_path, ["index.html"], "medtransfer report")
    (tmp_path / "index.html").write_text('<meta name="generator" content="medtransfer report">')
    refuse_foreign_pages(tmp_path, ["index.html"], "medtransfer report")
