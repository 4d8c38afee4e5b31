"""What a training lowers and what validation measures: all that the loop knows of a task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from medtransfer.training.losses import Loss
from medtransfer.training.training_data import IndexArray


class ValidationMetric(Protocol):
    """Collects the logits of one validation pass and returns the metric of the pass."""

    def add(self, logits: Tensor, rows: IndexArray) -> None:
        """Take the logits of some cases, on the CPU."""

    def value(self) -> float | None:
        """Return the metric of all cases taken; None where it is undefined."""


@dataclass(frozen=True)
class Goal:
    """What training lowers and what validation measures."""

    loss: Loss
    """Mean loss of a batch."""
    start_metric: Callable[[], ValidationMetric]
    """Returns an empty metric for one validation pass."""
    higher_is_better: bool = True
    """Direction of the metric."""
