"""Choosing among settings by their scores on validation, the same way for every probe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import TrialError
from medtransfer.metrics.declared_metrics import metrics
from medtransfer.protocols.transfer_protocol import Bench
from medtransfer.training.case_predictions import classification_predictions

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Choice:
    """What was chosen."""

    index: int
    """Number of the setting."""
    values: tuple[float | None, ...]
    """Selection metric of every setting; null where undefined."""


def choose_on_validation(bench: Bench, rows: npt.NDArray[np.int64], scores: Sequence[FloatArray]) -> Choice:
    """Return the first of the settings with the best selection metric.

    Args:
        bench: Cases and selection metric.
        rows: (n,) validation rows.
        scores: (n, C) probabilities of each setting; of equally good ones the first wins.

    Raises:
        TrialError: If the metric is undefined on validation, such as when a class is absent.
    """
    metric = metrics.get(bench.selection_metric)
    found = [metric.compute(classification_predictions(bench.cases, rows, each)) for each in scores]
    values = tuple(each.value for each in found)
    if all(value is None for value in values):
        raise TrialError(
            "selection_undefined",
            f"task {bench.task!r}: expected a defined {bench.selection_metric!r} on validation to choose by, "
            f"got none: {found[0].note}.",
        )
    ranks = [-np.inf if value is None else metric.sign * value for value in values]
    return Choice(int(np.argmax(ranks)), values)
