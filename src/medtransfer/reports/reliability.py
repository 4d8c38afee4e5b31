"""How far the probabilities of a cell can be believed, kept for every cell that is looked at closely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from medtransfer.core.errors import ShapeError
from medtransfer.metrics.calibration import BinRule, ReliabilityCurve, brier_score, reliability_curve
from medtransfer.metrics.predictions import ClassificationPredictions

RULES: tuple[BinRule, ...] = ("equal-width", "equal-mass")
"""How bins are cut; the errors of both are shown, and the curve of the first."""


@dataclass(frozen=True)
class CellReliability:
    """The runs of a cell."""

    errors: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Calibration error of each run, by its name with the bin rule."""
    brier: tuple[float, ...] = ()
    """Brier score of each run."""
    curve: ReliabilityCurve | None = None
    """Over the predictions of all runs in one set of bins of equal width."""
    reason: str = ""
    """Why there are no numbers: scores that are no probabilities, or no labelled case."""


def cell_reliability(runs: Sequence[ClassificationPredictions]) -> CellReliability:
    """Return calibration errors and Brier score of each run, and one curve over all of them.

    Args:
        runs: Predictions of the same cases, at least one.
    """
    try:
        curves = {rule: [reliability_curve(run, rule) for run in runs] for rule in RULES}
        return CellReliability(
            errors={
                found[0].error_id: tuple(curve.expected_error for curve in found) for found in curves.values()
            },
            brier=tuple(brier_score(run) for run in runs),
            curve=reliability_curve(_pooled(runs), RULES[0]),
        )
    except ShapeError as error:
        return CellReliability(reason=str(error))


def _pooled(runs: Sequence[ClassificationPredictions]) -> ClassificationPredictions:
    """Return the predictions of all runs one after another."""
    first = runs[0]
    return ClassificationPredictions(
        kind=first.kind,
        classes=first.classes,
        case_ids=first.case_ids * len(runs),
        patient_ids=first.patient_ids * len(runs),
        labels=np.concatenate([run.labels for run in runs]),
        scores=np.concatenate([run.scores for run in runs]),
    )
