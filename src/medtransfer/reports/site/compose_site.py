"""From a study reading to all pages of its report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from medtransfer.reports.on_demand import OnDemand
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

MakePage = Callable[[], SitePage]
"""Composes one page."""


def compose_site(reading: StudyReading, command: str = "", extras: Extras = NO_EXTRAS) -> Site:
    """Return all pages of a study's report.

    Args:
        reading: The study.
        command: The command that writes the report.
        extras: Published results and pictures to show beside its own.
    """
    addresses = addresses_of(reading)
    tables = results_tables(reading)
    first = Link(reading.study, OVERVIEW)
    of_tasks, of_models = (
        Link("Target tasks", f"{OVERVIEW}#target-tasks"),
        Link("Source models", f"{OVERVIEW}#source-models-section"),
    )
    tasks = {
        Link(task.label, addresses.task(task.key)): partial(
            task_page, reading, task, addresses, tables, extras
        )
        for task in reading.tasks.values()
    }
    models = {
        Link(model.label, addresses.model(model.key)): partial(model_page, reading, model, addresses, tables)
        for model in reading.models.values()
    }
    pages: tuple[MakePage, ...] = (
        partial(overview_page, reading, addresses),
        *_in_a_row(tasks, (first, of_tasks)),
        *_in_a_row(models, (first, of_models)),
        lambda: replace(study_page(reading, addresses, command), trail=(first,)),
    )
    return Site(
        study=reading.study,
        pages=OnDemand(pages),
        menu=(Link("Results", f"{OVERVIEW}#{MATRIX}-section"), of_tasks, of_models, Link("Study", STUDY)),
    )


def _in_a_row(pages: Mapping[Link, MakePage], trail: tuple[Link, ...]) -> Iterator[MakePage]:
    """Yield what makes each page with ways to its neighbours; the links name the pages."""
    links = list(pages)
    for make, before, after in zip(pages.values(), [None, *links[:-1]], [*links[1:], None], strict=True):
        yield partial(_between, make, trail, before, after)


def _between(make: MakePage, trail: tuple[Link, ...], before: Link | None, after: Link | None) -> SitePage:
    return replace(make(), trail=trail, before=before, after=after)
