"""Draws of test patients, and metrics over them, for the results of one task on the same draws."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtransfer.core.errors import DataError
from medtransfer.core.seeds import seed_from
from medtransfer.metrics.declared_metrics import resampled
from medtransfer.metrics.predictions import (
    ClassificationPredictions,
    FloatArray,
    Predictions,
    SegmentationPredictions,
)
from medtransfer.reports.estimates import Slot
from medtransfer.reports.subjects import ReportTask
from medtransfer.stats.patients import INTERVAL_DRAWS, P_VALUE_DRAWS, patient_weights

_DRAWS_AT_ONCE = 1000
_MOST_WEIGHTS = 50_000_000
"""Weights (draws x cases) that are kept; above it they are drawn again for every result."""
_Weights = npt.NDArray[np.int16]


@dataclass(frozen=True)
class TaskPatients:
    """The test cases of a task, and draws of their patients.

    The draws depend on the task's data and the split only, so differences between models,
    protocols and label fractions are paired; fewer draws are the first of more draws.
    """

    task: ReportTask
    """The task."""
    case_ids: tuple[str, ...]
    """N case ids, sorted."""
    patient_ids: tuple[str, ...]
    """Patient of each case."""
    _kept: dict[int, _Weights] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, task: ReportTask, predictions: Predictions) -> TaskPatients:
        """Return the cases that predictions are about."""
        return cls(task, predictions.case_ids, predictions.patient_ids)

    @property
    def patients(self) -> int:
        """Number of patients that are resampled."""
        return len(set(self.patient_ids))

    @property
    def one_case_each(self) -> bool:
        """Whether every case is another patient."""
        return self.patients == len(self.case_ids)

    def require(self, predictions: Predictions) -> None:
        """Check that predictions are about these cases.

        Raises:
            DataError: If they are about others.
        """
        if (predictions.case_ids, predictions.patient_ids) != (self.case_ids, self.patient_ids):
            raise DataError(
                f"task {self.task.label!r}: expected the same test cases for every result, got others for "
                "two of them. Check the store with 'medtransfer status'; its predictions do not belong "
                "together."
            )

    def metric(self, name: str, predictions: Predictions, draws: int) -> FloatArray:
        """Return a metric under each draw of patients, shape (draws,), NaN where a draw lacks a class.

        Raises:
            DataError: If the predictions are about other cases.
        """
        self.require(predictions)
        return np.concatenate([resampled(name, predictions, part) for part in self._parts(draws)])

    def _parts(self, draws: int) -> Iterator[_Weights]:
        for part, start in enumerate(range(0, draws, _DRAWS_AT_ONCE)):
            yield self._weights(part)[: draws - start]

    def _weights(self, part: int) -> _Weights:
        """Return a thousand draws, kept in memory as far as they are few."""
        if part in self._kept:
            return self._kept[part]
        seed = seed_from("patients", self.task.data_hash, "test", part)
        weights = patient_weights(self.patient_ids, _DRAWS_AT_ONCE, seed).astype(np.int16)
        if (len(self._kept) + 1) * weights.size <= _MOST_WEIGHTS:
            self._kept[part] = weights
        return weights


def number_of_draws(cases: int) -> int:
    """Return how many draws a split gets: enough for p-values unless it is very large."""
    return P_VALUE_DRAWS if cases * P_VALUE_DRAWS <= _MOST_WEIGHTS else INTERVAL_DRAWS


def read_predictions(task: ReportTask, frame: pd.DataFrame, slot: Slot | None = None) -> Predictions:
    """Return one checkpoint's predictions of one split, ordered by case id.

    Args:
        task: The task the trial belongs to.
        frame: All predictions of a trial, with the columns ``checkpoint`` and ``split``.
        slot: Which checkpoint and split; the best one on test by default.
    """
    wanted = slot or Slot("")
    rows = frame[(frame["checkpoint"] == wanted.checkpoint) & (frame["split"] == wanted.split)]
    rows = rows.sort_values("case_id", kind="stable", ignore_index=True)
    if task.kind.is_classification:
        return ClassificationPredictions.from_frame(rows, task.kind, task.raw_classes, task.scored)
    return SegmentationPredictions.from_frame(rows)
