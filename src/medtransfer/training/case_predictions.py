"""From arrays over rows of a case table to the prediction records that metrics read."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from medtransfer.data.case_table import CaseTable
from medtransfer.metrics.predictions import ClassificationPredictions, SegmentationPredictions

IndexArray = npt.NDArray[np.int64]


def classification_predictions(
    cases: CaseTable, rows: IndexArray, scores: npt.NDArray[np.float64]
) -> ClassificationPredictions:
    """Return the predictions of some rows.

    Args:
        cases: All cases.
        rows: (N,) row numbers.
        scores: (N, C) probabilities of these rows, in their order.

    Raises:
        TrialError: If a score is NaN or infinite.
    """
    return ClassificationPredictions(
        kind=cases.kind,
        classes=cases.classes,
        case_ids=_texts(cases, "case_id", rows),
        patient_ids=_texts(cases, "patient_id", rows),
        labels=cases.labels()[rows],
        scores=scores,
        volume_ids=_volumes(cases, rows),
        scored=cases.scored,
    )


def segmentation_predictions(
    cases: CaseTable,
    rows: IndexArray,
    regions: tuple[str, ...],
    counts: Iterable[npt.NDArray[np.int64]],
) -> SegmentationPredictions:
    """Return the predictions of some rows from their pixel counts, each (R, C, 3), in the order of rows."""
    return SegmentationPredictions(
        classes=tuple(cases.scored_structures()),
        regions=regions,
        case_ids=_texts(cases, "case_id", rows),
        patient_ids=_texts(cases, "patient_id", rows),
        counts=np.stack(list(counts)),
        volume_ids=_volumes(cases, rows),
    )


def _volumes(cases: CaseTable, rows: IndexArray) -> tuple[str, ...]:
    return _texts(cases, "volume_id", rows) if cases.has_volumes else ()


def _texts(cases: CaseTable, column: str, rows: IndexArray) -> tuple[str, ...]:
    return tuple(cases.texts(column)[rows])
