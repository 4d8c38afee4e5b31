"""The overview matrix: source models against target tasks, one panel per protocol and label fraction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from medtransfer.reports.document import Heading, Matrix, MatrixPanel
from medtransfer.reports.phrases import count, number, percent
from medtransfer.reports.site.addresses import Addresses
from medtransfer.reports.site.slugs import slug
from medtransfer.reports.study_reading import Panel, StudyReading
from medtransfer.reports.subjects import ReportModel, ReportTask
from medtransfer.reports.tables.ranks import fell_out
from medtransfer.reports.tables.results import panel_id, results_table
from medtransfer.reports.tables.scores_over_tasks import ScoresOverTasks, scores_over_tasks
from medtransfer.reports.tables.table import TableCell
from medtransfer.stats.ranks import rank_models

MATRIX = "results"
"""Anchor of the matrix."""
RANK = "--rank"
"""Name of the column of mean ranks in addresses; no task can have it, for names begin with a letter or digit."""

_RANKS = (
    "Mean rank: over the tasks on which every model has a value, 1 for the best mean, ties share a rank. It "
    "does not say how large a difference is, or whether it can be told from chance; the page “Study” does."
)
_NO_RANKS = (
    "No mean rank: it needs a task on which at least two models, and all that have any value, have one."
)


def results_matrix(reading: StudyReading, addresses: Addresses) -> Matrix:
    """Return the primary metric of every model on every task, with mean ranks.

    The numbers, marks and notes are those of :func:`results_table`; rows are models here, so that a
    column holds numbers that can be sorted by, and the mean rank of a model stands in its row.
    """
    panels = tuple(_panel(reading, panel, addresses) for panel in reading.panels)
    return Matrix(MATRIX, "Source model", "source models", "target tasks", panels)


def _panel(reading: StudyReading, panel: Panel, addresses: Addresses) -> MatrixPanel:
    table = results_table(reading, panel)
    scores = scores_over_tasks(reading, panel)
    ranks = _mean_ranks(scores)
    tasks = [reading.tasks[row.row.task] for row in panel.rows]
    rows = []
    for place, model in enumerate(reading.models_of(panel), start=1):
        cells = (line[place] for line in table.rows)
        rows.append((_model_heading(model, addresses), (_rank_cell(ranks.get(model.key)), *cells)))
    return MatrixPanel(
        id=panel_id(panel),
        name=panel_name(panel),
        protocol=panel.block.label,
        fraction=percent(panel.fraction),
        caption=table.caption,
        columns=(
            _rank_heading(scores, len(tasks)),
            *(_task_heading(task, addresses, line[0]) for task, line in zip(tasks, table.rows, strict=True)),
        ),
        rows=tuple(rows),
        legend=table.legend,
        notes=(*_rank_notes(scores), *table.notes),
    )


def panel_name(panel: Panel) -> str:
    """Return the name of a panel in addresses."""
    return slug(f"{panel.block.label}-{panel.fraction * 100:.6g}")


def _mean_ranks(scores: ScoresOverTasks) -> dict[str, float]:
    """Return the mean rank of every model by its key, 1 for the best; empty without a complete task."""
    if not scores.comparable:
        return {}
    ranks = rank_models(scores.values).mean(axis=0)
    return {model.key: float(rank) for model, rank in zip(scores.models, ranks, strict=True)}


def _rank_notes(scores: ScoresOverTasks) -> Iterator[str]:
    yield _RANKS if scores.comparable else _NO_RANKS
    yield from fell_out(scores)


def _rank_cell(rank: float | None) -> TableCell:
    return TableCell(number(rank, 2), value=rank, tone="absent" if rank is None else "plain")


def _rank_heading(scores: ScoresOverTasks, tasks: int) -> Heading:
    where = f"{len(scores.tasks):,} of {count(tasks, 'task')}"
    return Heading(RANK, "Mean rank", (where,), best="low")


def _task_heading(task: ReportTask, addresses: Addresses, line: TableCell) -> Heading:
    return Heading(
        id=addresses.tasks[task.key],
        label=task.label,
        details=line.details,
        link=addresses.task(task.key),
        words=_words([task.facts.get("title"), str(task.kind), *task.classes]),
        best="high" if task.primary.higher_is_better else "low",
    )


def _model_heading(model: ReportModel, addresses: Addresses) -> Heading:
    pretraining: Mapping[str, Any] = model.facts.get("pretraining") or {}
    data = pretraining.get("data") or ()
    return Heading(
        id=addresses.models[model.key],
        label=model.label,
        link=addresses.model(model.key),
        words=_words([model.facts.get("architecture"), pretraining.get("objective"), *data]),
    )


def _words(found: Iterable[Any]) -> str:
    return " ".join(_texts(found))


def _texts(found: Iterable[Any]) -> Iterator[str]:
    yield from (str(text) for text in found if text)
