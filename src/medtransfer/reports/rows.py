"""Rows: the estimates of one task's cells, and which models can be told from the best of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

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
from medtransfer.reports.patient_draws import PatientDraws, draw_patients
from medtransfer.reports.subjects import ReportTask
from medtransfer.stats.patients import Interval, bootstrap_interval
from medtransfer.stats.ties import TieGroup, tie_group, tie_group_by_cases
from medtransfer.store.records import Record

ReadPredictions = Callable[[Record], pd.DataFrame]


@dataclass(frozen=True)
class RowReading:
    """The cells of one row with their estimates, and the comparison of the primary metric on test."""

    row: Row
    """Where it stands."""
    cells: Mapping[str, Cell]
    """Cells by model key."""
    ties: TieGroup | None
    """Over the labels of the models; null when fewer than two models have a result."""

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
) -> RowReading:
    """Estimate every number of a row and compare its models on the primary metric.

    Args:
        row: Where it stands.
        task: Its task.
        cells: Cells by model key.
        labels: Label of every model, by key.
        predictions: Reads the predictions of a finished trial.

    Raises:
        DataError: If two models were scored on other test cases.
    """
    settled = {
        model: cell.finished[0]
        for model, cell in cells.items()
        if cell.deterministic and cell.applicable and cell.finished
    }
    draws = draw_patients(task, settled, predictions)
    estimated = {model: cell.with_estimates(_estimates(task, cell, draws)) for model, cell in cells.items()}
    family = {model: cell for model, cell in estimated.items() if cell.applicable and cell.finished}
    over_patients = all(cell.deterministic for cell in cells.values())
    ties = None
    if len(family) > 1:
        ties = _by_cases(task, family, labels, draws) if over_patients else _by_runs(task, family, labels)
    return RowReading(row, estimated, ties)


def _estimates(task: ReportTask, cell: Cell, draws: PatientDraws | None) -> dict[Slot, Estimate]:
    places = dict.fromkeys(
        place for record in cell.finished if record.outcome for place in record.outcome.metrics
    )
    slots = [_slot(metric, place) for metric in task.metrics for place in places]
    return {slot: _estimate(task, cell, slot, draws) for slot in slots if cell.applicable}


def _slot(metric: Metric, place: str) -> Slot:
    split, _, checkpoint = place.partition("/")
    return Slot(metric.name, checkpoint or "best", split)


def _estimate(task: ReportTask, cell: Cell, slot: Slot, draws: PatientDraws | None) -> Estimate:
    metric = next(metric for metric in task.metrics if metric.name == slot.metric)
    runs, undefined = read_runs(cell.finished, slot)
    remarks = metric_remarks(cell.finished, slot)
    if not cell.deterministic:
        return estimate_over_runs(runs, undefined, metric, remarks)
    return estimate_over_patients(runs, undefined, _interval(cell, slot, runs, draws), remarks)


def _interval(
    cell: Cell, slot: Slot, runs: Sequence[tuple[int, float]], draws: PatientDraws | None
) -> Interval | None:
    """Return the interval over patients; on test only, for validation has chosen what is scored on it."""
    if draws is None or not runs or (slot.split, slot.checkpoint) != ("test", "best"):
        return None
    values = draws.metric_values[cell.place.model, slot.metric]
    return bootstrap_interval(values, runs[0][1], patients=draws.patients)


def _by_runs(task: ReportTask, family: Mapping[str, Cell], labels: Mapping[str, str]) -> TieGroup:
    slot = Slot(task.primary.name)
    scores = {labels[model]: cell.estimates[slot].numbers for model, cell in family.items()}
    return tie_group(scores, task.primary.higher_is_better)


def _by_cases(
    task: ReportTask, family: Mapping[str, Cell], labels: Mapping[str, str], draws: PatientDraws | None
) -> TieGroup | None:
    if draws is None:
        return None
    slot = Slot(task.primary.name)
    return tie_group_by_cases(
        {labels[model]: cell.estimates[slot].mean for model, cell in family.items()},
        {labels[model]: draws.metric_values[model, slot.metric] for model in family},
        patients=draws.patients,
        higher_is_better=task.primary.higher_is_better,
    )
