"""Where the pages of a report lie, and links from tables to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from medtransfer.reports.site.slugs import slugs
from medtransfer.reports.study_reading import StudyReading
from medtransfer.reports.tables.table import Table

OVERVIEW = "index.html"
"""Address of the first page."""
STUDY = "study.html"
"""Address of the page about the study as a whole."""
TASKS = "tasks"
"""Folder of the pages about tasks."""
MODELS = "models"
"""Folder of the pages about source models."""


@dataclass(frozen=True)
class Addresses:
    """Names of tasks and models in addresses, by key."""

    tasks: Mapping[str, str]
    """File names of task pages without their ending."""
    models: Mapping[str, str]
    """File names of model pages without their ending."""
    task_labels: Mapping[str, str]
    """Labels of the tasks."""
    model_labels: Mapping[str, str]
    """Labels of the models."""

    def task(self, key: str) -> str:
        """Return the address of a task's page from the root of the site."""
        return f"{TASKS}/{self.tasks[key]}.html"

    def model(self, key: str) -> str:
        """Return the address of a model's page from the root of the site."""
        return f"{MODELS}/{self.models[key]}.html"

    @property
    def by_task(self) -> dict[str, str]:
        """Addresses of task pages by the label of the task."""
        return {label: self.task(key) for key, label in self.task_labels.items()}

    @property
    def by_model(self) -> dict[str, str]:
        """Addresses of model pages by the label of the model."""
        return {label: self.model(key) for key, label in self.model_labels.items()}


def addresses_of(reading: StudyReading) -> Addresses:
    """Return where the pages of a study's tasks and models lie."""
    return Addresses(
        tasks=slugs({task.key: task.name for task in reading.tasks.values()}),
        models=slugs({model.key: model.label for model in reading.models.values()}),
        task_labels={task.key: task.label for task in reading.tasks.values()},
        model_labels={model.key: model.label for model in reading.models.values()},
    )


def linked(table: Table, links: Mapping[str, str]) -> Table:
    """Return a table whose row headings lead to pages.

    Args:
        table: Any table.
        links: Addresses from the root of the site, by row heading; other rows stay as they are.
    """
    rows = tuple(
        (replace(first, link=links.get(first.text, first.link)), *others) for first, *others in table.rows
    )
    return replace(table, rows=rows)
