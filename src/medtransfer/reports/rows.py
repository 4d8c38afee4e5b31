"""Rows: the estimates of one task's cells, and which models can be told from each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from medtransfer.metrics.declared_metrics import Metric
from medtransfer.reports.cells import Cell, Row
from medtransfer.reports.estimates import (
    Estimate,
    Slot,
    estimate_over_patients,
    estimate_over_runs,
    metric_remarks,
    read_runs,
)
from medtransfer.reports.pairs import RowPairs, pairs_over_patients, pairs_over_runs
from medtransfer.reports.phrases import listed
from medtransfer.reports.row_predictions import (
    NOTHING,
    WHOLE,
    BinaryScores,
    Depth,
    ReadPredictions,
    RowPredictions,
    read_row_predictions,
)
from medtransfer.reports.subjects import ReportTask
from medtransfer.stats.patients import Interval, bootstrap_interval
from medtransfer.stats.ties import TieGroup, tie_group, tie_group_by_cases
from medtransfer.store.records import Record


@dataclass(frozen=True)
class RowReading:
    """The cells of one row with their estimates, and the comparison of the primary metric on test."""

    row: Row
    """Where it stands."""
    cells: Mapping[str, Cell]
    """Cells by model key."""
    ties: TieGroup | None
    """Over the labels of the models; null when fewer than two models have a result."""
    pairs: RowPairs | None = None
    """All pairs of models, over the same labels; null as above."""
    predictions: RowPredictions = NOTHING
    """What was computed from predictions, without the draws of the comparisons."""
    depth: Depth = WHOLE
    """What was wanted of predictions."""

    @property
    def over_patients(self) -> bool:
        """Whether its results are deterministic, so that intervals and tests are over patients."""
        return all(cell.deterministic for cell in self.cells.values())


def read_row(
    row: Row,
    task: ReportTask,
    cells: Mapping[str, Cell],
    labels: Mapping[str, str],
    predictions: ReadPredictions,
    depth: Depth = WHOLE,
) -> RowReading:
    """Estimate every number of a row and compare its models on the primary metric.

    Args:
        row: Where it stands.
        task: Its task.
        cells: Cells by model key.
        labels: Label of every model, by key.
        predictions: Reads the predictions of a finished trial.
        depth: What is wanted of predictions.

    Raises:
        DataError: If two models were scored on other test cases.
        StoreError: If predictions of a deterministic result are missing or damaged.
    """
    found = read_row_predictions(task, cells, predictions, depth)
    estimated = {model: cell.with_estimates(_estimates(task, cell, found)) for model, cell in cells.items()}
    family = {model: cell for model, cell in estimated.items() if cell.applicable and cell.finished}
    ties, pairs = None, None
    if len(family) > 1 and all(cell.deterministic for cell in cells.values()):
        ties, pairs = _by_cases(task, family, labels, found)
    elif len(family) > 1:
        ties, pairs = _by_runs(task, family, labels)
    return RowReading(row, estimated, ties, pairs, replace(found, draws={}, binary=None), depth)


def _estimates(task: ReportTask, cell: Cell, found: RowPredictions) -> dict[Slot, Estimate]:
    if not cell.applicable:
        return {}
    finished = [_unfolded(record) for record in cell.finished]
    places = dict.fromkeys(place for record in finished if record.outcome for place in record.outcome.metrics)
    slots = {_slot(metric.name, place): metric for metric in task.metrics for place in places}
    return {slot: _estimate(task, cell, finished, slot, metric, found) for slot, metric in slots.items()}


def _unfolded(record: Record) -> Record:
    """Return a record whose metrics are asked for many times."""
    assert record.outcome is not None
    return replace(record, outcome=replace(record.outcome, metrics=dict(record.outcome.metrics)))


@lru_cache(maxsize=1000)
def _slot(metric: str, place: str) -> Slot:
    split, _, checkpoint = place.partition("/")
    return Slot(metric, checkpoint or "best", split)


def _estimate(
    task: ReportTask,
    cell: Cell,
    finished: Sequence[Record],
    slot: Slot,
    metric: Metric,
    found: RowPredictions,
) -> Estimate:
    runs, undefined = read_runs(finished, slot)
    remarks = metric_remarks(finished, slot)
    if cell.deterministic:
        return estimate_over_patients(runs, undefined, _interval(cell, slot, runs, found), remarks)
    estimate = estimate_over_runs(runs, undefined, metric, remarks)
    if slot != Slot(task.primary.name):
        return estimate
    unread = found.unread.get(cell.place.model, ())
    if unread:
        named = listed([str(repetition) for repetition in unread])
        estimate = replace(
            estimate, remarks=(*estimate.remarks, f"predictions missing or damaged: repetition {named}")
        )
    return replace(estimate, crossed=found.crossed.get(cell.place.model))


def _interval(
    cell: Cell, slot: Slot, runs: Sequence[tuple[int, float]], found: RowPredictions
) -> Interval | None:
    """Return the interval over patients; on test only, for validation has chosen what is scored on it."""
    if not runs or (slot.split, slot.checkpoint) != ("test", "best"):
        return None
    values = found.draws[cell.place.model, slot.metric]
    return bootstrap_interval(values, runs[0][1], patients=found.patients)


def _by_runs(
    task: ReportTask, family: Mapping[str, Cell], labels: Mapping[str, str]
) -> tuple[TieGroup, RowPairs]:
    slot = Slot(task.primary.name)
    scores = {labels[model]: cell.estimates[slot].numbers for model, cell in family.items()}
    return tie_group(scores, task.primary.higher_is_better), pairs_over_runs(task, scores)


def _by_cases(
    task: ReportTask, family: Mapping[str, Cell], labels: Mapping[str, str], found: RowPredictions
) -> tuple[TieGroup, RowPairs]:
    slot = Slot(task.primary.name)
    points = {labels[model]: cell.estimates[slot].mean for model, cell in family.items()}
    draws = {labels[model]: found.draws[model, slot.metric] for model in family}
    scores = found.binary
    if scores is not None:
        scores = BinaryScores(scores.labels, {labels[m]: s for m, s in scores.by_model.items()})
    ties = tie_group_by_cases(
        points, draws, patients=found.patients, higher_is_better=task.primary.higher_is_better
    )
    return ties, pairs_over_patients(task, points, draws, patients=found.patients, binary=scores)
