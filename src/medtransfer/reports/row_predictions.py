"""What a report keeps of the predictions of one row: every trial's are read once, and let go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtransfer.core.errors import StoreError
from medtransfer.core.seeds import seed_from
from medtransfer.core.task_kind import TaskKind
from medtransfer.metrics.predictions import ClassificationPredictions, FloatArray, Predictions
from medtransfer.reports.case_errors import CaseErrors, ModelErrors, case_errors
from medtransfer.reports.cells import Cell
from medtransfer.reports.estimates import Slot, read_runs
from medtransfer.reports.patient_draws import TaskPatients, number_of_draws
from medtransfer.reports.prediction_reader import PredictionReader
from medtransfer.reports.reliability import CellReliability, cell_reliability
from medtransfer.reports.subjects import ReportTask
from medtransfer.stats.crossed_intervals import CrossedInterval, CrossedRuns, crossed_interval
from medtransfer.stats.patients import INTERVAL_DRAWS
from medtransfer.store.records import Record

ReadPredictions = Callable[[Record], pd.DataFrame]
"""Reads the predictions of a finished trial."""


@dataclass(frozen=True)
class Depth:
    """How much of a row is computed from predictions; decided before any is read."""

    crossed: bool = True
    """Whether intervals over runs and patients are computed."""
    closer: bool = True
    """Whether single cases and probabilities are looked at."""


WHOLE = Depth()
"""Everything."""


@dataclass(frozen=True)
class BinaryScores:
    """Scores of the positive class on cases that are all of another patient, for DeLong's test."""

    labels: npt.NDArray[np.int64]
    """(N,) zeros and ones."""
    by_model: Mapping[str, FloatArray]
    """Model key to scores, shape (N,)."""


@dataclass(frozen=True)
class RowPredictions:
    """What was computed from the predictions of one row."""

    patients: int = 0
    """Number of test patients; 0 when nothing was read."""
    draws: Mapping[tuple[str, str], FloatArray] = field(default_factory=dict)
    """Deterministic cells: model key and metric to values over draws of patients, shape (B,)."""
    crossed: Mapping[str, CrossedInterval] = field(default_factory=dict)
    """Cells with several runs: model key to the interval of the primary metric over runs and patients."""
    unread: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Model key to the repetitions whose predictions are missing or damaged."""
    binary: BinaryScores | None = None
    """Scores of deterministic cells; None where DeLong's test does not apply."""
    cases: CaseErrors | None = None
    """Errors by case; None where they were not looked at."""
    reliability: Mapping[str, CellReliability] = field(default_factory=dict)
    """Model key to how far its probabilities can be believed."""


NOTHING = RowPredictions()
"""Of a row without predictions."""


def read_row_predictions(
    task: ReportTask, cells: Mapping[str, Cell], read: ReadPredictions, depth: Depth
) -> RowPredictions:
    """Read the predictions of a row, cell by cell.

    Args:
        task: Its task.
        cells: Its cells by model key.
        read: Reads the predictions of a trial.
        depth: What is wanted of them.

    Raises:
        DataError: If two results are about other test cases.
        StoreError: If predictions of a deterministic result are missing or damaged. Those of one run of
            several are left out and named instead.
    """
    reader = _RowReader(task, read, depth)
    for model, cell in cells.items():
        if cell.applicable and cell.finished:
            reader.add(model, cell)
    return reader.found()


class _RowReader:
    """Keeps what each cell says, and not its predictions."""

    def __init__(self, task: ReportTask, read: ReadPredictions, depth: Depth) -> None:
        self.task, self.read, self.depth = task, read, depth
        self.reader = PredictionReader(task)
        self.patients: TaskPatients | None = None
        self.truth: npt.NDArray[Any] | None = None
        self.draws: dict[tuple[str, str], FloatArray] = {}
        self.crossed: dict[str, CrossedInterval] = {}
        self.unread: dict[str, tuple[int, ...]] = {}
        self.scores: dict[str, FloatArray] = {}
        self.errors: dict[str, ModelErrors] = {}
        self.reliability: dict[str, CellReliability] = {}

    def add(self, model: str, cell: Cell) -> None:
        """Read the runs of a cell that are wanted."""
        if cell.deterministic:
            predictions = self._predictions(cell.finished[0])
            runs = {cell.finished[0].description.repetition: predictions}
            self._draw(model, predictions)
        elif self.depth.crossed or self.depth.closer:
            runs = self._runs(model, cell)
            if self.depth.crossed:
                self._cross(model, cell, runs)
        else:
            return
        if runs and self.depth.closer:
            self._look_closer(model, list(runs.values()))

    def found(self) -> RowPredictions:
        """Return what was kept."""
        if self.patients is None:
            return RowPredictions(unread=self.unread)
        return RowPredictions(
            patients=self.patients.patients,
            draws=self.draws,
            crossed=self.crossed,
            unread=self.unread,
            binary=BinaryScores(np.asarray(self.truth), self.scores) if self.scores else None,
            cases=CaseErrors(self.patients.case_ids, self.truth, self.errors) if self.errors else None,
            reliability=self.reliability,
        )

    def _runs(self, model: str, cell: Cell) -> dict[int, Predictions]:
        runs: dict[int, Predictions] = {}
        unread = []
        for record in cell.finished:
            repetition = record.description.repetition
            try:
                runs[repetition] = self._predictions(record)
            except StoreError:
                unread.append(repetition)
        if unread:
            self.unread[model] = tuple(unread)
        return runs

    def _predictions(self, record: Record) -> Predictions:
        predictions = self.reader.read(self.read(record))
        if self.patients is None:
            self.patients = TaskPatients.of(self.task, predictions)
            if isinstance(predictions, ClassificationPredictions):
                self.truth = predictions.labels
        self.patients.require(predictions)
        return predictions

    def _draw(self, model: str, predictions: Predictions) -> None:
        """Draw every metric of a deterministic cell."""
        assert self.patients is not None
        draws = number_of_draws(len(self.patients.case_ids))
        for metric in self.task.metrics:
            self.draws[model, metric.name] = self.patients.metric(metric.name, predictions, draws)
        if isinstance(predictions, ClassificationPredictions) and self._delong_applies(self.patients):
            self.scores[model] = predictions.scores[:, 1]

    def _delong_applies(self, patients: TaskPatients) -> bool:
        binary_auc = self.task.kind is TaskKind.BINARY and self.task.primary.name == "auc"
        return binary_auc and patients.one_case_each

    def _cross(self, model: str, cell: Cell, runs: Mapping[int, Predictions]) -> None:
        """Draw runs and patients again, for the primary metric of a cell with several runs."""
        name = self.task.primary.name
        values = dict(read_runs(cell.finished, Slot(name))[0])
        if self.patients is None or model in self.unread or len(values) < 2:
            return
        table = [self.patients.metric(name, runs[run], INTERVAL_DRAWS) for run in values]
        place = cell.place
        seed = seed_from("runs", self.task.data_hash, model, cell.settings_hash, place.fraction)
        drawn = CrossedRuns(list(values.values()), np.stack(table), seed)
        self.crossed[model] = crossed_interval(drawn, patients=self.patients.patients)

    def _look_closer(self, model: str, runs: Sequence[Predictions]) -> None:
        self.errors[model] = case_errors(self.task, runs)
        classified = [run for run in runs if isinstance(run, ClassificationPredictions)]
        if classified:
            self.reliability[model] = cell_reliability(classified)
