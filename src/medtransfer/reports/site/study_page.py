"""The page about the study as a whole: settings, evidence over all tasks, failures, provenance."""

from __future__ import annotations

from collections.abc import Iterator

from medtransfer.reports.composition import (
    block_settings,
    failures_section,
    limits_section,
    methods_section,
    provenance_section,
)
from medtransfer.reports.document import Document, Part, Section
from medtransfer.reports.figures.critical_difference import critical_difference_chart
from medtransfer.reports.figures.performance_profiles import performance_profiles_chart
from medtransfer.reports.site.addresses import STUDY, Addresses, linked
from medtransfer.reports.site.page import SitePage
from medtransfer.reports.study_reading import StudyReading
from medtransfer.reports.tables.ranks import ranks_table
from medtransfer.reports.tables.results import panel_id, panel_title


def study_page(reading: StudyReading, addresses: Addresses, command: str) -> SitePage:
    """Return the page about a study as a whole.

    Args:
        reading: The study.
        addresses: Where the pages lie.
        command: The command that writes the report.
    """
    sections = (
        Section("over-tasks", "Source models over all tasks", (), tuple(_over_tasks(reading, addresses))),
        Section("protocols", "Protocols and settings", (), tuple(_protocols(reading))),
        limits_section(reading),
        *failures_section(reading),
        methods_section(),
        provenance_section(reading, command),
    )
    document = Document(
        title="Evidence over all tasks",
        subtitle="Ranks, failures, methods and provenance",
        sections=tuple(section for section in sections if section.parts or section.sections),
        product=f"Study · {reading.study}",
    )
    return SitePage(STUDY, document)


def _over_tasks(reading: StudyReading, addresses: Addresses) -> Iterator[Section]:
    """Yield what every panel says about its models over tasks; nothing for one with fewer than two models."""
    for panel in reading.panels:
        ranks = ranks_table(reading, panel)
        charts = (critical_difference_chart(reading, panel), performance_profiles_chart(reading, panel))
        parts: list[Part] = [linked(ranks, addresses.by_model)] if ranks is not None else []
        parts += [chart for chart in charts if chart is not None]
        if parts:
            yield Section(panel_id(panel, "over-tasks"), panel_title(panel), tuple(parts))


def _protocols(reading: StudyReading) -> list[Section]:
    sections = []
    for number in dict.fromkeys(panel.number for panel in reading.panels):
        panels = [panel for panel in reading.panels if panel.number == number]
        sections.append(Section(f"block-{number + 1}", panels[0].block.label, tuple(block_settings(panels))))
    return sections
