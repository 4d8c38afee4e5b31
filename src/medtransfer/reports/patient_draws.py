"""Metrics over draws of test patients, for the models of one table row on the same draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

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
from medtransfer.store.records import Record

_DRAWS_AT_ONCE = 1000
_MOST_WEIGHTS = 50_000_000


@dataclass(frozen=True)
class PatientDraws:
    """Metrics of several models over the same draws of patients."""

    metric_values: Mapping[tuple[str, str], FloatArray]
    """Model key and metric name to values, shape (B,), NaN where a draw lacks a class."""
    patients: int
    """Number of patients that were resampled."""
    draws: int
    """Number of draws B."""


def draw_patients(
    task: ReportTask, found: Mapping[str, Record], read: Callable[[Record], pd.DataFrame]
) -> PatientDraws | None:
    """Compute every metric of a task over draws of test patients, for each model.

    The draws depend on the task's data and the split only, so differences between models,
    protocols and label fractions are paired.

    Args:
        task: The task.
        found: One finished trial per model key.
        read: Reads the predictions of a trial.

    Returns:
        The draws, or None without a finished trial.

    Raises:
        DataError: If two models were scored on other test cases.
    """
    if not found:
        return None
    predictions = {model: read_predictions(task, read(record)) for model, record in found.items()}
    first = next(iter(predictions.values()))
    for other in predictions.values():
        if other.case_ids != first.case_ids or other.patient_ids != first.patient_ids:
            raise DataError(
                f"task {task.label!r}: expected the same test cases for every model, got others for two of "
                "them. "
                "Check the store with 'medtransfer status'; its predictions do not belong together."
            )
    names = [metric.name for metric in task.metrics]
    parts: dict[tuple[str, str], list[FloatArray]] = {(m, name): [] for m in predictions for name in names}
    draws = number_of_draws(len(first.case_ids))
    for weights in _weights(task, first, draws):
        for (model, name), drawn in parts.items():
            drawn.append(resampled(name, predictions[model], weights))
    return PatientDraws(
        metric_values={key: np.concatenate(drawn) for key, drawn in parts.items()},
        patients=len(set(first.patient_ids)),
        draws=draws,
    )


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
        classes = tuple(task.classes)
        return ClassificationPredictions.from_frame(rows, task.kind, classes, task.scored)
    return SegmentationPredictions.from_frame(rows)


def _weights(task: ReportTask, predictions: Predictions, draws: int) -> Iterator[npt.NDArray[np.int32]]:
    for part, start in enumerate(range(0, draws, _DRAWS_AT_ONCE)):
        seed = seed_from("patients", task.data_hash, "test", part)
        yield patient_weights(predictions.patient_ids, min(_DRAWS_AT_ONCE, draws - start), seed)
