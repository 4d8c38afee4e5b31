"""What a metric declares and what it returns; the one path from predictions to a reported number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import ShapeError, UsageError
from medtransfer.core.task_kind import TaskKind
from medtransfer.metrics.predictions import ClassificationPredictions, Predictions

FloatArray = npt.NDArray[np.float64]

_CELLS_AT_ONCE = 1 << 24
"""Weights (draws x cases) turned to float64 at once, 128 MiB; bounds memory whatever the number of draws."""


@dataclass(frozen=True)
class ClassScores:
    """What the function behind a metric returns for B weightings of the same cases."""

    values: FloatArray
    """(B, K) values, NaN where undefined; K classes, or one column for a metric that has no classes."""
    names: tuple[str, ...] = ()
    """K class names; empty for a metric that has no classes."""
    support: tuple[int, ...] = ()
    """K numbers of cases that have the class, unweighted."""
    notes: tuple[str, ...] = ()
    """What a reader must know about the unweighted value."""


@dataclass(frozen=True)
class MetricValue:
    """A metric of one split."""

    value: float | None
    """Mean over the defined classes; null when there is none."""
    note: str | None = None
    """What a reader must know: undefined classes, few positives, empty masks."""
    per_class: dict[str, float | None] = field(default_factory=dict)
    """Value by class name, null where undefined; empty for a metric that has no classes."""
    support: dict[str, int] = field(default_factory=dict)
    """Number of cases that have the class, by class name."""

    @property
    def classes_used(self) -> int:
        """How many classes the value is the mean of."""
        return sum(value is not None for value in self.per_class.values())

    def as_json(self) -> dict[str, Any]:
        """Return the fields and the numbers of classes as a JSON object."""
        return {
            "value": self.value,
            "note": self.note,
            "per_class": dict(self.per_class),
            "support": dict(self.support),
            "classes_used": self.classes_used,
            "classes": len(self.per_class),
        }


@dataclass(frozen=True)
class Metric:
    """A declared metric: where it applies, its range and direction, and what happens at the edges."""

    name: str
    """Registry name in kebab-case."""
    title: str
    """Heading in tables."""
    version: int
    """Raised when the same predictions would give another number."""
    kinds: frozenset[TaskKind]
    """Kinds of task it is defined for."""
    lower: float
    """Smallest possible value."""
    upper: float
    """Largest possible value."""
    higher_is_better: bool
    """Direction."""
    edge_policy: str
    """What happens where libraries disagree, in one or two sentences."""
    undefined_when: str
    """Why a class value can be null."""
    score: Callable[[Any, FloatArray], ClassScores]
    """From predictions of a supported kind and weights (B, N), float64, to values by class."""
    needs: Literal["", "volumes", "field-of-view"] = ""
    """What a case table must hold besides images and labels."""
    equivalence_margin: float = 0.01
    """Difference below which two models count as equivalent where the task does not say otherwise."""

    @property
    def sign(self) -> int:
        """+1 when higher is better, else -1; the only place where direction becomes a number."""
        return 1 if self.higher_is_better else -1

    def supports(self, kind: TaskKind) -> bool:
        """Return whether the metric is defined for a kind of task."""
        return kind in self.kinds

    def compute(self, predictions: Predictions) -> MetricValue:
        """Return the metric of one split.

        Raises:
            UsageError: If the metric does not apply to these predictions.
            ShapeError: If there are no cases or the labels are not class numbers.
        """
        self._check(predictions)
        scores = self.score(predictions, np.ones((1, len(predictions.case_ids))))
        by_class = [float(value) if np.isfinite(value) else None for value in scores.values[0]]
        defined = [value for value in by_class if value is not None]
        return MetricValue(
            value=sum(defined) / len(defined) if defined else None,
            note="; ".join([*self._undefined_note(scores, by_class), *scores.notes]) or None,
            per_class=dict(zip(scores.names, by_class, strict=True)) if scores.names else {},
            support=dict(zip(scores.names, scores.support, strict=True)),
        )

    def resampled(self, predictions: Predictions, weights: npt.NDArray[Any]) -> FloatArray:
        """Return the metric under each of B weightings of the cases.

        The mean runs over the classes that are defined on the unweighted cases, so every draw
        estimates the same quantity.

        Args:
            predictions: N cases.
            weights: How often each case is in each draw, shape (B, N), non-negative.

        Returns:
            Values, shape (B,), NaN where a draw lacks a class the metric needs.

        Raises:
            UsageError: If the metric does not apply to these predictions.
            ShapeError: If the weights do not fit the cases.
        """
        self._check(predictions)
        weights = _checked_weights(weights, len(predictions.case_ids))
        needed = np.isfinite(self.score(predictions, np.ones((1, weights.shape[1]))).values[0])
        if not needed.any():
            return np.full(len(weights), np.nan)
        step = max(1, _CELLS_AT_ONCE // weights.shape[1])
        parts = [
            self.score(predictions, weights[start : start + step].astype(np.float64, copy=False))
            .values[:, needed]
            .mean(axis=1)
            for start in range(0, len(weights), step)
        ]
        return np.concatenate(parts) if parts else np.empty(0)

    def _check(self, predictions: Predictions) -> None:
        kind = predictions_kind(predictions)
        if not self.supports(kind):
            fitting = ", ".join(sorted(self.kinds))
            raise UsageError(
                f"metric {self.name!r}: expected {fitting} predictions, got {kind}. "
                "Choose a metric that is declared for this kind of task."
            )
        if not predictions.case_ids:
            raise ShapeError(f"metric {self.name!r}: expected at least one case, got none. Check the split.")

    def _undefined_note(self, scores: ClassScores, by_class: Sequence[float | None]) -> list[str]:
        undefined = [i for i, value in enumerate(by_class) if value is None]
        if not undefined:
            return []
        if len(undefined) == len(by_class):
            return [f"undefined: {self.undefined_when}"]
        names = quoted([scores.names[i] for i in undefined])
        used = len(by_class) - len(undefined)
        return [f"mean over {used} of {len(by_class)} classes; undefined for {names}: {self.undefined_when}"]


def predictions_kind(predictions: Predictions) -> TaskKind:
    """Return the kind of task predictions belong to."""
    return predictions.kind if isinstance(predictions, ClassificationPredictions) else TaskKind.SEGMENTATION


def quoted(names: Sequence[str], most: int = 5) -> str:
    """Return names in quotes, separated by commas, at most ``most`` of them.

    Example:
        >>> quoted(["Hernia", "Mass"], most=1)
        "'Hernia' and 1 more"
    """
    shown = ", ".join(repr(name) for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def _checked_weights(weights: npt.NDArray[Any], cases: int) -> npt.NDArray[Any]:
    if weights.ndim != 2 or weights.shape[1] != cases:
        raise ShapeError(f"weights: expected shape (draws, {cases}), got {weights.shape}.")
    if weights.size and not (weights.min() >= 0 and weights.max() < np.inf):  # false where one is NaN
        raise ShapeError(
            "weights: expected finite numbers of at least 0, got negative, NaN or infinite ones."
        )
    return weights
