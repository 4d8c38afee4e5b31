"""The numbers of one pair of cells: runs, and the same runs on other draws of patients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from medtransfer.core.seeds import seed_from
from medtransfer.metrics.declared_metrics import Metric
from medtransfer.metrics.predictions import FloatArray
from medtransfer.reports.cells import Cell
from medtransfer.reports.comparison.pairing import CellPair
from medtransfer.reports.comparison.records import RunScores
from medtransfer.reports.estimates import Slot, read_runs
from medtransfer.reports.patient_draws import TaskPatients, number_of_draws, read_predictions
from medtransfer.reports.subjects import ReportTask
from medtransfer.stats.crossed_intervals import CrossedRuns
from medtransfer.stats.summaries import summarise_runs
from medtransfer.store.records import Record

ReadPredictions = Callable[[Record], pd.DataFrame]
"""Reads the predictions of a finished trial."""

_SAME_VALUE = 1e-6


@dataclass(frozen=True)
class ArmScores:
    """One model in one row."""

    runs: RunScores
    """Its runs."""
    over_patients: FloatArray
    """Mean over the runs under each draw of patients, shape (B,), NaN where undefined."""
    over_both: CrossedRuns | None
    """Every run under each draw, to draw runs again too; null for fewer than two runs."""
    rescored: bool
    """Whether its predictions, scored today, give other values than those stored."""


@dataclass(frozen=True)
class PairScores:
    """Both models in one row."""

    pair: CellPair
    """Where they stand."""
    metric: Metric
    """What was measured."""
    deterministic: bool
    """Whether no seed changes either result."""
    a: ArmScores
    """First model."""
    b: ArmScores
    """Second model, on the same draws of patients."""
    patients: int
    """Patients that were drawn."""
    draws: int
    """Draws made."""


def score_pair(
    pair: CellPair, metric: Metric, readers: tuple[ReadPredictions, ReadPredictions]
) -> PairScores:
    """Read the predictions of two cells and score them over the same draws of patients.

    Args:
        pair: Two cells with at least one value each.
        metric: What to measure.
        readers: Read the predictions of A and of B.

    Raises:
        DataError: If two of the runs were scored on other test cases.
        StoreError: If predictions are missing or damaged.
    """
    assert pair.a is not None
    assert pair.b is not None
    deterministic = pair.a.deterministic and pair.b.deterministic
    reader = _Reader(pair.task, metric)
    a = reader.arm(pair.a, readers[0], deterministic, "a")
    b = reader.arm(pair.b, readers[1], deterministic, "b")
    assert reader.patients is not None
    return PairScores(
        pair=pair,
        metric=metric,
        deterministic=deterministic,
        a=a,
        b=b,
        patients=reader.patients.patients,
        draws=len(a.over_patients),
    )


class _Reader:
    """Scores runs one by one, all on the draws of the first."""

    def __init__(self, task: ReportTask, metric: Metric) -> None:
        self.task, self.metric = task, metric
        self.patients: TaskPatients | None = None

    def arm(self, cell: Cell, read: ReadPredictions, deterministic: bool, side: str) -> ArmScores:
        runs, undefined = read_runs(cell.finished, Slot(self.metric.name))
        runs = runs[:1] if deterministic else runs
        records = {record.description.repetition: record for record in cell.finished}
        scored = [self._score(read(records[repetition])) for repetition, _ in runs]
        table = np.stack([draws for _, draws in scored])
        rescored = any(
            value is None or abs(value - stored) > _SAME_VALUE
            for (value, _), (_, stored) in zip(scored, runs, strict=True)
        )
        numbers = [value for _, value in runs]
        return ArmScores(
            runs=_run_scores(cell, runs, undefined),
            over_patients=table.mean(axis=0),
            over_both=CrossedRuns(numbers, table, self._seed(cell, side)) if len(runs) > 1 else None,
            rescored=rescored,
        )

    def _score(self, frame: pd.DataFrame) -> tuple[float | None, FloatArray]:
        predictions = read_predictions(self.task, frame)
        if self.patients is None:
            self.patients = TaskPatients.of(self.task, predictions)
        draws = number_of_draws(len(self.patients.case_ids))
        drawn = self.patients.metric(self.metric.name, predictions, draws)
        return self.metric.compute(predictions).value, drawn

    def _seed(self, cell: Cell, side: str) -> int:
        """Return the seed of the draws of runs: another one for each side, as their runs are no pairs."""
        place = cell.place
        return seed_from("compared runs", self.task.data_hash, place.model, place.fraction, side)


def _run_scores(cell: Cell, runs: Sequence[tuple[int, float]], undefined: int) -> RunScores:
    summary = summarise_runs([value for _, value in runs])
    return RunScores(
        runs=tuple(runs),
        mean=summary.mean,
        std=summary.std,
        failed=cell.failed,
        waiting=cell.waiting,
        undefined=undefined,
    )


def values(scores: RunScores) -> list[float]:
    """Return the values of runs without their repetitions."""
    return [value for _, value in scores.runs]
