"""The task's own metric on validation, collected while the validation loss is computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt
from torch import Tensor

from medtransfer.data.case_table import CaseTable
from medtransfer.data.decoding import resize_mask
from medtransfer.metrics.declared_metrics import metrics
from medtransfer.metrics.predictions import Predictions
from medtransfer.training.case_predictions import (
    IndexArray,
    classification_predictions,
    segmentation_predictions,
)
from medtransfer.training.goal import Goal, ValidationMetric
from medtransfer.training.inference import class_probabilities, pixel_probabilities
from medtransfer.training.losses import build_loss
from medtransfer.training.mask_scoring import count_pixels, label_map, read_view, region_names
from medtransfer.training.recipe import TrainingRecipe


def build_goal(
    cases: CaseTable,
    metric: str,
    recipe: TrainingRecipe,
    *,
    masks: npt.NDArray[np.uint8] | None,
    validate: IndexArray,
) -> Goal:
    """Return the loss of a kind of task and the metric that validation measures.

    Args:
        cases: All cases.
        metric: Registry name of the metric.
        recipe: Choice of loss.
        masks: (N, S, S) masks of all cases in the network's resolution; None unless segmentation.
        validate: Validation rows.
    """
    start: Callable[[], ValidationMetric] = partial(LabelMetric, cases, metric)
    if masks is not None:
        start = partial(MaskMetric, cases, metric, masks, _views(cases, validate, masks.shape[1]))
    weights = [cases.class_weights.get(name, 1.0) for name in cases.classes] if cases.class_weights else None
    loss = build_loss(cases.kind, recipe, class_weights=weights, unknown_labels=cases.has_unknown_labels())
    return Goal(loss, start, metrics.get(metric).higher_is_better)


@dataclass
class LabelMetric:
    """A metric of labels."""

    cases: CaseTable
    """All cases."""
    name: str
    """Registry name of the metric."""
    rows: list[IndexArray] = field(default_factory=list)
    """Rows taken so far."""
    scores: list[npt.NDArray[np.float64]] = field(default_factory=list)
    """Their probabilities."""

    def add(self, logits: Tensor, rows: IndexArray) -> None:
        """Take logits (B, K)."""
        self.rows.append(rows)
        self.scores.append(class_probabilities(logits, self.cases.kind))

    def value(self) -> float | None:
        """Return the metric; None where it is undefined."""
        rows, scores = np.concatenate(self.rows), np.concatenate(self.scores)
        return _value(self.name, classification_predictions(self.cases, rows, scores))


@dataclass
class MaskMetric:
    """A metric of masks in the network's resolution; the final scores use the masks' own."""

    cases: CaseTable
    """All cases."""
    name: str
    """Registry name of the metric."""
    masks: npt.NDArray[np.uint8]
    """(N, S, S) masks of all cases."""
    views: dict[int, npt.NDArray[np.bool_]]
    """(S, S) field of view by row; empty when the table has none."""
    rows: list[int] = field(default_factory=list)
    """Rows taken so far."""
    counts: list[npt.NDArray[np.int64]] = field(default_factory=list)
    """Their pixel counts."""

    def add(self, logits: Tensor, rows: IndexArray) -> None:
        """Take logits (B, K, S, S)."""
        for row, shares in zip(rows.tolist(), pixel_probabilities(logits).cpu(), strict=True):
            truth, view = np.asarray(self.masks[row]), self.views.get(row)
            self.rows.append(row)
            structures = list(self.cases.scored_structures().values())
            self.counts.append(count_pixels(label_map(shares), truth, view, structures))

    def value(self) -> float | None:
        """Return the metric; None where it is undefined."""
        rows = np.array(self.rows)
        return _value(
            self.name, segmentation_predictions(self.cases, rows, region_names(self.cases), self.counts)
        )


def _value(name: str, predictions: Predictions) -> float | None:
    return metrics.get(name).compute(predictions).value


def _views(cases: CaseTable, rows: IndexArray, side: int) -> dict[int, npt.NDArray[np.bool_]]:
    found = {int(row): read_view(cases, int(row)) for row in rows}
    return {row: resize_mask(view, side) > 0 for row, view in found.items() if view is not None}
