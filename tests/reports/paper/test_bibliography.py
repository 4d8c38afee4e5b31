"""The bibliography knows every task, model and network of the registries, and loses no other citation."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from medtransfer import __version__
from medtransfer.core.provenance import package_versions
from medtransfer.models.catalogue import architectures, catalogue
from medtransfer.reports.paper.bibliography import (
    NOT_PUBLISHED,
    known_works,
    work_of_architecture,
    work_of_package,
    works_cited,
)
from medtransfer.tasks.registry import target_tasks

ROOT = Path(__file__).resolve().parents[3]
WORKS = list(known_works().values())
YEAR = re.compile(r"\b(?:19|20)\d\d\b")


@pytest.mark.parametrize("record", [*target_tasks, *catalogue], ids=lambda record: record.name)
def test_no_citation_of_a_registry_is_lost(record) -> None:
    works = works_cited(record.citation)
    assert bool(works) == (record.citation not in NOT_PUBLISHED)
    assert all(work.key in known_works() for work in works)
    for part in record.citation.split("; "):
        surname = part.partition(" et al.")[0].split(" and ")[0]
        if "et al." in part:
            authors = [work.fields["author"].replace("{\\'e}", "e").replace("{\\'i}", "i") for work in works]
            assert any(surname.split()[-1] in author.partition(" and ")[0] for author in authors), part


def test_the_year_of_a_work_is_near_the_year_of_its_citation() -> None:
    for work in WORKS:
        for citation in work.cited:
            years = [int(year) for year in YEAR.findall(citation)]
            if years and "torchvision" not in citation:
                assert min(abs(int(work.fields["year"]) - year) for year in years) <= 1, citation


@pytest.mark.parametrize("name", architectures.names())
def test_every_network_of_the_catalogue_has_a_work(name: str) -> None:
    assert work_of_architecture(name) is not None


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("resnet50", "he2016resnet"),
        ("timm/resnet18", "he2016resnet"),
        ("resnext50_32x4d", "xie2017resnext"),
        ("mobilenetv3_large_100", "howard2019mobilenetv3"),
        ("vit_base_patch14_dinov2", "dosovitskiy2021vit"),
        ("efficientnet_b0", "tan2019efficientnet"),
        ("resnest50d", None),
        ("vitamin_small", None),
        ("swinv2_tiny", None),
        ("", None),
    ],
)
def test_networks_are_told_apart(name: str, key: str | None) -> None:
    found = work_of_architecture(name)
    assert (found and found.key) == key


def test_every_package_of_the_provenance_has_a_work() -> None:
    assert [name for name in package_versions() if work_of_package(name) is None] == []


def test_entries_are_whole() -> None:
    assert len(WORKS) > 100
    for work in WORKS:
        assert work.key.isascii()
        assert work.fields.get("title") or (work.kind == "misc" and work.fields.get("note"))
        assert work.fields.get("author") or work.kind == "misc"
        assert {"year", "howpublished"} & work.fields.keys()
        for value in work.fields.values():
            assert value.isascii()
            assert value.count("{") == value.count("}")
        text = work.as_bibtex()
        assert not re.search(r"^  (cited|architectures|package) =", text, re.MULTILINE)
        assert text.startswith(f"@{work.kind}{{{work.key},\n")


def test_no_line_of_the_file_is_lost() -> None:
    text = (ROOT / "src/medtransfer/reports/paper/bibliography.bib").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith(("%", "@", "}"))]
    kept = sum(
        len(work.fields) + bool(work.cited) + bool(work.architectures) + bool(work.package) for work in WORKS
    )
    assert len(lines) == kept


def test_no_citation_network_or_package_means_two_works() -> None:
    for names in (
        [citation for work in WORKS for citation in work.cited],
        [start for work in WORKS for start in work.architectures],
        [work.package for work in WORKS if work.package],
    ):
        assert [name for name, number in Counter(names).items() if number > 1] == []


def test_unknown_citations_become_notes() -> None:
    (work,) = works_cited("Doe & Roe, 100 % _better_, 2031")
    assert work.kind == "misc"
    assert work.fields == {"note": r"Doe \& Roe, 100 \% \_\allowbreak{}better\_\allowbreak{}, 2031"}
    assert works_cited("Doe & Roe, 100 % _better_, 2031") == (work,)
    assert works_cited("another")[0].key != work.key


def test_a_citation_of_several_works_names_each() -> None:
    both = "Liu et al., A ConvNet for the 2020s, 2022; Doe, Mine, 2031; own data"
    known, noted = works_cited(both)
    assert known.key == "liu2022convnext"
    assert noted.fields["note"] == "Doe, Mine, 2031"


def test_our_own_entry_says_what_the_citation_file_says() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    ours = known_works()["medtransfer"].fields
    assert ours["title"].lower() == citation["title"].lower()
    assert ours["author"] == f"{{{citation['authors'][0]['name']}}}"
    assert ours["year"] == str(citation["date-released"].year)
    assert str(citation["version"]) == __version__
