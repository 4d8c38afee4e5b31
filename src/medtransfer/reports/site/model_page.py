"""The page of a source model: where it comes from, and its profile over the tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from medtransfer.reports.document import Document, Facts, Notice, Part, Section
from medtransfer.reports.figures.model_profile import profile_charts
from medtransfer.reports.phrases import short_hash
from medtransfer.reports.site.addresses import Addresses, linked
from medtransfer.reports.site.page import SitePage
from medtransfer.reports.site.panel_columns import ResultsTables, model_results_table
from medtransfer.reports.study_reading import StudyReading
from medtransfer.reports.subjects import ReportModel
from medtransfer.reports.tables.model_profile import profile_table


def model_page(
    reading: StudyReading, model: ReportModel, addresses: Addresses, tables: ResultsTables
) -> SitePage:
    """Return the page of a source model.

    Args:
        reading: The study.
        model: One of its source models.
        addresses: Where the pages lie.
        tables: The results tables of the study.
    """
    sections = (
        Section("overview", "Overview", (model_facts(model), *_notices(model))),
        Section("results", "Results", (model_results_table(reading, model, addresses, tables),)),
        Section("profile", "Profile over the tasks", tuple(_profile(reading, model, addresses))),
    )
    document = Document(
        title=model.label,
        subtitle="Where it starts from, and how it did on every task",
        sections=tuple(section for section in sections if section.parts or section.sections),
        product=f"Source model · {reading.study}",
    )
    return SitePage(addresses.model(model.key), document)


def model_facts(model: ReportModel) -> Facts:
    """Return where a model comes from, in a few words."""
    facts = model.facts
    pretraining: Mapping[str, Any] = facts.get("pretraining") or {}
    random = pretraining.get("objective") == "none"
    data = ", ".join(str(name) for name in pretraining.get("data") or ())
    entries = (
        ("Architecture", str(facts.get("architecture") or "unknown")),
        ("Pretraining", "none: random weights" if random else str(pretraining.get("objective") or "unknown")),
        ("Pretraining data", "none" if random else data or "not declared"),
        ("Year", str(pretraining.get("year") or "")),
        ("Weights, sha256", short_hash(model.weights_hash) or "unknown"),
        ("Licence", str(facts.get("model_licence") or "")),
        ("Citation", str(facts.get("model_citation") or "")),
    )
    return Facts(tuple((name, value) for name, value in entries if value))


def _notices(model: ReportModel) -> Iterator[Notice]:
    if model.facts.get("model_note"):
        yield Notice("note", str(model.facts["model_note"]))


def _profile(reading: StudyReading, model: ReportModel, addresses: Addresses) -> Iterator[Part]:
    yield from profile_charts(reading, model)
    table = profile_table(reading, model)
    if table is not None:
        yield linked(table, addresses.by_task)
