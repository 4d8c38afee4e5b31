"""From a study reading to all pages of its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from medtransfer.reports.site.addresses import OVERVIEW, STUDY, addresses_of
from medtransfer.reports.site.extras import NO_EXTRAS, Extras
from medtransfer.reports.site.matrix import MATRIX
from medtransfer.reports.site.model_page import model_page
from medtransfer.reports.site.overview_page import overview_page
from medtransfer.reports.site.page import Link, Site, SitePage
from medtransfer.reports.site.panel_columns import results_tables
from medtransfer.reports.site.study_page import study_page
from medtransfer.reports.site.task_page import task_page
from medtransfer.reports.study_reading import StudyReading


def compose_site(reading: StudyReading, command: str = "", extras: Extras = NO_EXTRAS) -> Site:
    """Return all pages of a study's report.

    Args:
        reading: The study.
        command: The command that writes the report.
        extras: Published results and pictures to show beside its own.
    """
    addresses = addresses_of(reading)
    tables = results_tables(reading)
    tasks = [task_page(reading, task, addresses, tables, extras) for task in reading.tasks.values()]
    models = [model_page(reading, model, addresses, tables) for model in reading.models.values()]
    first = Link(reading.study, OVERVIEW)
    of_tasks, of_models = (
        Link("Target tasks", f"{OVERVIEW}#target-tasks"),
        Link("Source models", f"{OVERVIEW}#source-models-section"),
    )
    return Site(
        study=reading.study,
        pages=(
            overview_page(reading, addresses),
            *_in_a_row(tasks, (first, of_tasks)),
            *_in_a_row(models, (first, of_models)),
            replace(study_page(reading, addresses, command), trail=(first,)),
        ),
        menu=(Link("Results", f"{OVERVIEW}#{MATRIX}-section"), of_tasks, of_models, Link("Study", STUDY)),
    )


def _in_a_row(pages: Sequence[SitePage], trail: tuple[Link, ...]) -> list[SitePage]:
    """Return the pages with ways to their neighbours."""
    links = [Link(page.document.title, page.address) for page in pages]
    before, after = [None, *links[:-1]], [*links[1:], None]
    return [
        replace(page, trail=trail, before=b, after=a) for page, b, a in zip(pages, before, after, strict=True)
    ]
