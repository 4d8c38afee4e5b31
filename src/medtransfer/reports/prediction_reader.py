"""Predictions of many trials on the same cases: what the trials share is checked and made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtransfer.core.task_kind import TaskKind
from medtransfer.metrics.predictions import Predictions, SegmentationPredictions
from medtransfer.reports.estimates import Slot
from medtransfer.reports.patient_draws import read_predictions
from medtransfer.reports.subjects import ReportTask

_SHARED = ("checkpoint", "split", "case_id", "patient_id", "volume_id", "region", "class")
_COUNTS = ("true_positive", "false_positive", "false_negative")


@dataclass(frozen=True)
class _Seen:
    """A table that was read, and what came of it."""

    frame: pd.DataFrame
    """All its columns."""
    places: npt.NDArray[np.intp]
    """Its rows that were wanted, in the order of the cases."""
    predictions: Predictions
    """What they say."""


class PredictionReader:
    """Reads the predictions of trials of one task, one after another.

    Trials of a task are scored on the same cases, so that their tables differ in numbers alone. Each table
    is compared with the last one that was read in full; where cases, patients and their order are the same,
    only numbers are taken from it.

    Args:
        task: The task the trials belong to.
        slot: Which checkpoint and split; the best one on test by default.
    """

    def __init__(self, task: ReportTask, slot: Slot | None = None) -> None:
        self._task, self._slot = task, slot or Slot("")
        self._seen: _Seen | None = None

    def read(self, frame: pd.DataFrame) -> Predictions:
        """Return one checkpoint's predictions of one split, ordered by case id.

        Args:
            frame: All predictions of a trial, with the columns ``checkpoint`` and ``split``.
        """
        if self._seen is not None and _same_cases(frame, self._seen.frame):
            return self._with_numbers_of(frame, self._seen)
        predictions = read_predictions(self._task, frame, self._slot)
        self._seen = _Seen(frame, self._places(frame), predictions)
        return predictions

    def _places(self, frame: pd.DataFrame) -> npt.NDArray[np.intp]:
        wanted = (frame["checkpoint"] == self._slot.checkpoint) & (frame["split"] == self._slot.split)
        places = np.flatnonzero(wanted.to_numpy(dtype=bool))
        cases = frame["case_id"].iloc[places].reset_index(drop=True)
        ordered: npt.NDArray[np.intp] = places[cases.sort_values(kind="stable").index.to_numpy()]
        return ordered

    def _with_numbers_of(self, frame: pd.DataFrame, seen: _Seen) -> Predictions:
        first = seen.predictions
        if isinstance(first, SegmentationPredictions):
            counts = _columns(frame, _COUNTS, seen.places).astype(np.int64, copy=False)
            return replace(first, counts=counts.reshape(first.counts.shape))
        names = [f"score:{name}" for name in first.classes]
        scores = _columns(frame, names, seen.places).astype(np.float64, copy=False)
        if first.kind is TaskKind.MULTI_LABEL:
            labels = _columns(frame, [f"label:{name}" for name in first.classes], seen.places)
        else:
            labels = frame["label"].to_numpy()[seen.places]
        return replace(first, labels=labels, scores=scores)


def _same_cases(frame: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Return whether two tables have the same columns, and the same rows as far as they name cases."""
    if len(frame) != len(other) or not frame.columns.equals(other.columns):
        return False
    return all(frame[name].equals(other[name]) for name in _SHARED if name in frame.columns)


def _columns(
    frame: pd.DataFrame, names: Sequence[str], places: npt.NDArray[np.intp]
) -> npt.NDArray[np.generic]:
    """Return columns at some rows, shape (N, C), each column in one piece of memory."""
    found: npt.NDArray[np.generic] = np.array([frame[name].to_numpy()[places] for name in names])
    return found.T
