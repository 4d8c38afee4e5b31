"""Published levels beside a study's own results; orientation, not a contest."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from medtransfer.core.errors import UsageError
from medtransfer.metrics.declared_metrics import Metric
from medtransfer.reports.cells import Cell
from medtransfer.reports.estimates import Estimate, Slot
from medtransfer.reports.phrases import NONE, count, number, percent
from medtransfer.reports.published.comparable_levels import comparable_levels, published_text, to_fraction
from medtransfer.reports.published.doubts import CONFLICTS
from medtransfer.reports.published.names import DICE_NOTE
from medtransfer.reports.published.records import Flag, PublishedResult
from medtransfer.reports.published.source_records import source_label, spread_ddof
from medtransfer.reports.study_reading import Panel, StudyReading
from medtransfer.reports.subjects import ReportTask
from medtransfer.reports.tables.cell_text import NOT_RUN, value_text
from medtransfer.reports.tables.table import Column, LegendEntry, Table, TableCell
from medtransfer.stats.comparisons import Arm, Comparison, welch_from_summaries

CAUTION: Final = (
    "Published numbers come from other splits, other recipes and partly other test cases than yours. A "
    "difference holds all of that besides the models: read it as orientation, never as evidence for a model."
)
ACROSS_STUDIES: Final = (
    "p is Welch's two-sided test from summaries, across studies: it asks whether the two numbers differ, not why. "
    "It stands alone, without correction, and only where both numbers of runs are known."
)
_FINETUNE: Final = "finetune"
_MARKS: Final[dict[Flag, tuple[str, str]]] = {
    "digitised": ("≈", "read off a figure; its spread to 10 to 20 %"),
    "doubtful": ("!", "doubtful: sources conflict or the reading is uncertain; see the notes"),
    "rerun": ("↻", "run again by somebody else than the authors"),
}


@dataclass(frozen=True)
class _Own:
    """A result of the study that a published level can stand beside."""

    panel: Panel
    cell: Cell
    estimate: Estimate | None


def published_table(
    reading: StudyReading, task_key: str, imported: Sequence[PublishedResult] = ()
) -> Table | None:
    """Return every published level on a task of a study, with the study's own result where models match.

    Args:
        reading: The study.
        task_key: Key of one of its tasks.
        imported: Results from the store, besides those that are shipped; see
            :func:`~medtransfer.reports.published.stored.stored_results`.

    Returns:
        The table; None where nothing was published on this task and its metrics.

    Raises:
        UsageError: If the study has no such task.
    """
    task = reading.tasks.get(task_key)
    if task is None:
        raise UsageError(f"published results: expected a task of study {reading.study!r}, got {task_key!r}.")
    metrics = {metric.name: metric for metric in task.metrics}
    on_task = [level for level in comparable_levels(imported) if level.target_task == task.name]
    shown = [level for level in on_task if level.metric_name in metrics]
    if not shown:
        return None
    rows = [row for level in shown for row in _rows(reading, task, level, metrics[level.metric_name or ""])]
    rows.sort(key=lambda row: row[4].value is None)  # those with an own result first, else as published
    unlike = sum(level.metric_name is None and level.unit != "points" for level in on_task)
    return Table(
        id=f"published-{task.name}",
        caption=f"{task.label}: what others published, beside this study",
        columns=(
            Column("Model as published"),
            Column("Source"),
            Column("Labels", numeric=True),
            Column("Published", numeric=True),
            Column("Yours", "fine-tuned, checkpoint selected on validation", numeric=True),
            Column("Difference", "yours minus published, in points", numeric=True),
        ),
        rows=tuple(rows),
        legend=tuple(_legend(shown)),
        notes=tuple(_notes(shown, rows, unlike)),
    )


def _rows(
    reading: StudyReading, task: ReportTask, level: PublishedResult, metric: Metric
) -> Iterator[tuple[TableCell, ...]]:
    published = (
        TableCell(
            f"{level.initialization}, {level.architecture}",
            (level.source_model,) if level.source_model else (),
        ),
        TableCell(source_label(level.source), (level.table,)),
        TableCell(percent(level.label_fraction), value=level.label_fraction),
        _published_cell(level, metric),
    )
    cells = list(_own_cells(reading, task, level))
    found = [own for own in cells if own.estimate is not None and own.estimate.mean is not None]
    for own in found:
        yield (*published, _own_cell(reading, own), _difference_cell(level, own, metric))
    if not found:
        seen = any(not own.cell.applicable for own in cells)
        absent = TableCell(NONE, ("pretrained on these images",)) if seen else TableCell(NOT_RUN)
        yield (*published, replace(absent, tone="absent"), TableCell(NONE, tone="absent"))


def _own_cells(reading: StudyReading, task: ReportTask, level: PublishedResult) -> Iterator[_Own]:
    """Yield the fine-tuned cells of the same source model at the same label fraction."""
    for panel, row, cell in reading.cells():
        same_place = row.row.task == task.key and math.isclose(panel.fraction, level.label_fraction)
        model = cell.records[0].description.model
        if same_place and panel.block.protocol == _FINETUNE and model == level.source_model:
            yield _Own(panel, cell, cell.estimates.get(Slot(level.metric_name or "")))


def _published_cell(level: PublishedResult, metric: Metric) -> TableCell:
    marks = "".join(sign for flag, (sign, _) in _MARKS.items() if flag in level.flags)
    details = [f"{metric.title}, {'fraction of 1' if level.unit == 'fraction' else '%'}", _runs(level.n)]
    if level.reading_error is not None:
        details.append(f"read to {level.reading_error:g} points")
    if "doubtful" in level.flags and not level.conflicts:
        details.append(level.note)
    return TableCell(published_text(level), tuple(details), marks, value=level.mean * to_fraction(level))


def _own_cell(reading: StudyReading, own: _Own) -> TableCell:
    assert own.estimate is not None
    blocks = {panel.number for panel in reading.panels if panel.block.protocol == _FINETUNE}
    settings = (own.panel.block.label,) if len(blocks) > 1 else ()
    return TableCell(value_text(own.estimate), (_runs(own.estimate.n), *settings), value=own.estimate.mean)


def _difference_cell(level: PublishedResult, own: _Own, metric: Metric) -> TableCell:
    estimate = own.estimate
    assert estimate is not None
    assert estimate.mean is not None
    points = 100 * (estimate.mean - level.mean * to_fraction(level))
    ddof = spread_ddof(level.source)
    spread = "no spread" if level.std is None else "ddof unknown" if ddof is None else f"ddof {ddof}"
    own_spread = "no spread" if estimate.std is None else "ddof 1"
    details = [f"published: {_runs(level.n)}, {spread}", f"yours: {_runs(estimate.n)}, {own_spread}"]
    comparison = across_studies(level, estimate, metric)
    if comparison is not None and comparison.p is not None:
        details.append(f"across studies: p {_p(comparison.p)}")
    return TableCell(f"{'+' if points > 0 else ''}{number(points, 2)}", tuple(details), value=points)


def across_studies(level: PublishedResult, estimate: Estimate, metric: Metric) -> Comparison | None:
    """Return Welch's test of an own result against a published one, in fractions of the metric.

    Args:
        level: The published number.
        estimate: The own result, over training runs.
        metric: Metric of both.

    Returns:
        The comparison; None unless both numbers of runs, both spreads and how the published spread
        divides are known, and the own runs vary by training.
    """
    ddof = spread_ddof(level.source)
    if level.n is None or level.n < 2 or level.std is None or ddof is None:
        return None
    if estimate.mean is None or estimate.std is None or estimate.n < 2 or estimate.over != "training runs":
        return None
    sample = level.std * to_fraction(level) * (math.sqrt(level.n / (level.n - 1)) if ddof == 0 else 1.0)
    return welch_from_summaries(
        Arm(estimate.n, estimate.mean, estimate.std),
        Arm(level.n, level.mean * to_fraction(level), sample),
        "higher" if metric.higher_is_better else "lower",
    )


def _runs(n: int | None) -> str:
    return "n unknown" if n is None else f"n = {n}"


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def _legend(shown: Sequence[PublishedResult]) -> Iterator[LegendEntry]:
    for flag, (sign, meaning) in _MARKS.items():
        if any(flag in level.flags for level in shown):
            yield LegendEntry(sign, meaning)


def _notes(
    shown: Sequence[PublishedResult], rows: Sequence[tuple[TableCell, ...]], unlike: int
) -> Iterator[str]:
    yield CAUTION
    if any(row[4].value is not None for row in rows):
        yield (
            "The spread of studies A and B divides by n (ddof 0), ours by n - 1 (ddof 1); where n is unknown "
            "neither can be turned into the other and nothing is tested."
        )
    if any(line.startswith("across studies") for row in rows for line in row[5].details):
        yield ACROSS_STUDIES
    if any(level.metric_name == "dice-pooled" for level in shown):
        yield DICE_NOTE
    for key in dict.fromkeys(key for level in shown for key in level.conflicts):
        yield f"Known conflict, not resolved: {CONFLICTS[key].about}"
    if unlike:
        yield (
            f"{count(unlike, 'further published level')} on this task "
            f"{'is' if unlike == 1 else 'are'} left out: the source does not say how its metric is averaged."
        )
