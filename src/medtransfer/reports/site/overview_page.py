"""The first page: how large the study is, the matrix, and ways to everything else."""

from __future__ import annotations

from collections.abc import Iterator

from medtransfer.reports.composition import (
    SUBTITLE,
    limits_section,
    study_cautions,
    study_facts,
    study_warnings,
)
from medtransfer.reports.document import Document, Notice, Paragraph, Part, Section
from medtransfer.reports.phrases import count
from medtransfer.reports.site.addresses import OVERVIEW, Addresses, linked
from medtransfer.reports.site.matrix import MATRIX, results_matrix
from medtransfer.reports.site.page import SitePage
from medtransfer.reports.study_reading import StudyReading
from medtransfer.reports.tables.source_models import source_models_table
from medtransfer.reports.tables.tasks import tasks_table

_LEAD = (
    "The primary metric of every task on its test cases, with the checkpoint that was selected on "
    "validation. Names lead to the pages of tasks and source models."
)

_CAUTIONS = "cautions"


def overview_page(reading: StudyReading, addresses: Addresses) -> SitePage:
    """Return the first page of a study's report."""
    tasks = linked(tasks_table(reading), addresses.by_task)
    models = linked(source_models_table(reading), addresses.by_model)
    cautions = tuple(study_cautions(reading))
    document = Document(
        title=reading.study,
        subtitle=SUBTITLE,
        sections=(
            Section("overview", "Overview", tuple(_overview(reading))),
            Section(f"{MATRIX}-section", "Results", (Paragraph(_LEAD), results_matrix(reading, addresses))),
            limits_section(reading),
            *([Section(_CAUTIONS, "Cautions", cautions)] if cautions else []),
            Section("target-tasks", "Target tasks", (tasks,)),
            Section("source-models-section", "Source models", (models,)),
        ),
    )
    return SitePage(OVERVIEW, document)


def _overview(reading: StudyReading) -> Iterator[Part]:
    """Yield the facts, what went wrong, and where the cautions stand, which must not hide the results."""
    yield study_facts(reading)
    yield from study_warnings(reading, "on the page “Study” under “Failed trials”")
    cautions = len(list(study_cautions(reading)))
    if cautions:
        yield Notice(
            "caution",
            f"{count(cautions, 'caution')} about single tasks {'stands' if cautions == 1 else 'stand'} under "
            "the results and on the pages of the tasks; read them before you compare.",
        )
