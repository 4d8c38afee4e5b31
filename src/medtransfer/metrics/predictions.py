"""Per-case predictions: the one thing every metric, interval and audit is computed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtransfer.core.errors import ShapeError, TrialError
from medtransfer.core.task_kind import TaskKind

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_COUNTS = ("true_positive", "false_positive", "false_negative")


@dataclass(frozen=True)
class ClassificationPredictions:
    """Scores of one split."""

    kind: TaskKind
    """Binary, multi-class or multi-label."""
    classes: tuple[str, ...]
    """Class names, C of them."""
    case_ids: tuple[str, ...]
    """N case ids."""
    patient_ids: tuple[str, ...]
    """N patient ids; the unit of resampling."""
    labels: npt.NDArray[Any]
    """(N,) integers, or (N, C) zeros and ones for multi-label."""
    scores: FloatArray
    """(N, C) probabilities in [0, 1]; binary tasks have two columns; rows sum to 1 unless multi-label."""
    volume_ids: tuple[str, ...] = ()
    """N volume ids where cases are slices; empty where they are not."""
    scored: tuple[str, ...] = ()
    """Classes that metrics over scored classes cover; empty: all."""

    def __post_init__(self) -> None:
        expected = (len(self.case_ids), len(self.classes))
        _check_ids(self.case_ids, self.patient_ids, self.volume_ids)
        if self.kind is TaskKind.BINARY and len(self.classes) != 2:
            raise ShapeError(f"binary predictions: expected two classes, got {list(self.classes)!r}.")
        if self.scores.shape != expected:
            raise ShapeError(f"scores: expected shape {expected}, got {self.scores.shape}.")
        bad = np.flatnonzero(~np.isfinite(self.scores).all(axis=1))
        if len(bad):
            raise TrialError(
                "non_finite_predictions",
                f"predictions: expected finite scores, got NaN or infinity in {len(bad)} of {expected[0]} cases, "
                f"first {self.case_ids[bad[0]]!r}.",
            )

    def to_frame(self) -> pd.DataFrame:
        """Return one row per case: ``case_id, patient_id[, volume_id], label…, score:<class>…``."""
        columns: dict[str, Any] = {"case_id": self.case_ids, "patient_id": self.patient_ids}
        if self.volume_ids:
            columns["volume_id"] = self.volume_ids
        if self.kind is TaskKind.MULTI_LABEL:
            columns |= {f"label:{name}": self.labels[:, i] for i, name in enumerate(self.classes)}
        else:
            columns["label"] = self.labels
        columns |= {f"score:{name}": self.scores[:, i] for i, name in enumerate(self.classes)}
        return pd.DataFrame(columns)

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        kind: TaskKind,
        classes: tuple[str, ...],
        scored: tuple[str, ...] = (),
    ) -> ClassificationPredictions:
        """Return the predictions :meth:`to_frame` wrote; the scored classes are not in the frame."""
        multi_label = kind is TaskKind.MULTI_LABEL
        labels = frame[[f"label:{name}" for name in classes]] if multi_label else frame["label"]
        return cls(
            kind=kind,
            classes=classes,
            case_ids=tuple(frame["case_id"].astype(str).tolist()),
            patient_ids=tuple(frame["patient_id"].astype(str).tolist()),
            labels=labels.to_numpy(),
            scores=frame[[f"score:{name}" for name in classes]].to_numpy(dtype=np.float64),
            volume_ids=_volumes(frame),
            scored=scored,
        )


@dataclass(frozen=True)
class SegmentationPredictions:
    """Pixel counts of one split, per case, class and region; enough for every overlap metric."""

    classes: tuple[str, ...]
    """Names of what is scored, C of them: foreground classes, or unions of them."""
    regions: tuple[str, ...]
    """Where pixels were counted: ``image`` and, where declared, ``field-of-view``; R of them."""
    case_ids: tuple[str, ...]
    """N case ids."""
    patient_ids: tuple[str, ...]
    """N patient ids."""
    counts: IntArray
    """(N, R, C, 3) pixels: true positive, false positive, false negative, in the mask's own resolution."""
    volume_ids: tuple[str, ...] = ()
    """N volume ids where cases are slices; empty where they are not."""

    def __post_init__(self) -> None:
        expected = (len(self.case_ids), len(self.regions), len(self.classes), 3)
        _check_ids(self.case_ids, self.patient_ids, self.volume_ids)
        if self.counts.shape != expected:
            raise ShapeError(f"counts: expected shape {expected}, got {self.counts.shape}.")

    def to_frame(self) -> pd.DataFrame:
        """Return one row per case, region and class: ``…, true_positive, false_positive, false_negative``."""
        columns = ["case_id", "patient_id", "region", "class", *_COUNTS]
        rows = [
            (case, patient, region, name, *(int(v) for v in self.counts[i, r, c]))
            for i, (case, patient) in enumerate(zip(self.case_ids, self.patient_ids, strict=True))
            for r, region in enumerate(self.regions)
            for c, name in enumerate(self.classes)
        ]
        frame = pd.DataFrame(rows, columns=columns)
        if self.volume_ids:
            frame.insert(2, "volume_id", np.repeat(self.volume_ids, len(self.regions) * len(self.classes)))
        return frame

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> SegmentationPredictions:
        """Return the predictions :meth:`to_frame` wrote.

        Raises:
            ShapeError: If a case lacks a region or class, or the rows are in another order.
        """
        found = list(frame[["case_id", "region", "class"]].astype(str).itertuples(index=False, name=None))
        regions = tuple(dict.fromkeys(region for _, region, _ in found))
        classes = tuple(dict.fromkeys(name for _, _, name in found))
        rows = [(region, name) for region in regions for name in classes]
        firsts = frame.iloc[:: max(1, len(rows))]
        if found != [(case, *row) for case in firsts["case_id"].astype(str) for row in rows]:
            raise ShapeError(
                "mask predictions: expected one row per case, region and class, case by case in one order, "
                f"got {len(frame)} rows in another. Write the table again from the masks."
            )
        counts = frame[list(_COUNTS)].to_numpy(dtype=np.int64)
        return cls(
            classes=classes,
            regions=regions,
            case_ids=tuple(firsts["case_id"].astype(str).tolist()),
            patient_ids=tuple(firsts["patient_id"].astype(str).tolist()),
            counts=counts.reshape(len(firsts), len(regions), len(classes), 3),
            volume_ids=_volumes(firsts),
        )


def _volumes(frame: pd.DataFrame) -> tuple[str, ...]:
    return tuple(frame["volume_id"].astype(str).tolist()) if "volume_id" in frame.columns else ()


def _check_ids(case_ids: tuple[str, ...], patient_ids: tuple[str, ...], volume_ids: tuple[str, ...]) -> None:
    if volume_ids and len(volume_ids) != len(case_ids):
        raise ShapeError(
            f"volume ids: expected one per case, {len(case_ids)} of them, or none, got {len(volume_ids)}."
        )
    if len(patient_ids) != len(case_ids):
        raise ShapeError(
            f"patient ids: expected one per case, {len(case_ids)} of them, got {len(patient_ids)}."
        )


Predictions = ClassificationPredictions | SegmentationPredictions
