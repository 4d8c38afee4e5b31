"""Bootstrap: scikit-learn's weighted AUC draw by draw against ours, which takes all draws of a case at once."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from benchmarks.contest import Arm, Contest, Goal, Verdict
from benchmarks.machine import timed
from medtransfer.core.task_kind import TaskKind
from medtransfer.metrics.declared_metrics import resampled
from medtransfer.metrics.predictions import ClassificationPredictions
from medtransfer.stats.patients import patient_weights

CASES, PATIENTS, MODELS, DRAWS = 25_000, 2_800, 20, 10_000
AT_ONCE = 1_000
"""Draws whose weights are in memory together: 100 MB of counts, 128 MiB of them as float64."""
PLAIN_DRAWS = 5
"""Draws the plain way is timed on, its weights given; its time per draw is the same for all of them."""
LARGEST_DIFFERENCE = 1e-12
GOAL = 30.0

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Split:
    """A test split scored by several models."""

    models: Sequence[ClassificationPredictions]
    """Predictions of each model on the same cases."""
    draws: int
    """Draws of patients."""


def contests(folder: Path, *, quick: bool) -> Iterator[Contest]:
    """Yield the one contest; the plain way is timed on few draws of every model, per draw and model."""
    del folder
    split = draw_split(400, 50, 2, 120) if quick else draw_split(CASES, PATIENTS, MODELS, DRAWS)
    models, weights = len(split.models), first_weights(split, PLAIN_DRAWS)
    yield Contest(
        f"AUC, {models} models × {len(split.models[0].case_ids):,} cases × {split.draws:,} draws",
        numerator=Arm("scikit-learn, draw by draw", partial(plain, split, weights), PLAIN_DRAWS * models),
        denominator=Arm("ours", partial(timed, partial(ours, split)), split.draws * models),
        goal=Goal(GOAL),
        verify=verdict,
        warm_up=False,
    )


def draw_split(cases: int, patients: int, models: int, draws: int) -> Split:
    """Return made-up predictions: patients of several cases each, three of ten cases positive."""
    random = np.random.default_rng(0)
    owner = random.integers(0, patients, cases)
    labels = (random.random(cases) < 0.3).astype(np.int64)
    labels[:2] = 0, 1
    shared = labels + random.normal(0, 1, patients)[owner]
    case_ids, patient_ids = tuple(f"c{row}" for row in range(cases)), tuple(f"p{one}" for one in owner)
    found = []
    for _ in range(models):
        positive = 1 / (1 + np.exp(-(shared + random.normal(0, 0.7, cases))))
        scores = np.stack([1 - positive, positive], axis=1)
        found.append(
            ClassificationPredictions(TaskKind.BINARY, ("no", "yes"), case_ids, patient_ids, labels, scores)
        )
    return Split(found, draws)


def first_weights(split: Split, draws: int) -> FloatArray:
    """Return the weights of the first draws, shape (draws, cases), each draw in one piece."""
    weights = patient_weights(split.models[0].patient_ids, draws, seed=0)
    return np.ascontiguousarray(weights, dtype=np.float64)


def plain(split: Split, weights: FloatArray) -> FloatArray:
    """Return AUC values as a script computes them, shape (models, draws)."""
    return np.array(
        [
            [roc_auc_score(model.labels, model.scores[:, 1], sample_weight=one) for one in weights]
            for model in split.models
        ]
    )


def ours(split: Split) -> FloatArray:
    """Return AUC values of all draws, the weights drawn and dropped in portions, shape (models, draws)."""
    parts = []
    for part, start in enumerate(range(0, split.draws, AT_ONCE)):
        weights = patient_weights(split.models[0].patient_ids, min(AT_ONCE, split.draws - start), seed=part)
        parts.append([resampled("auc", model, weights) for model in split.models])
    return np.concatenate(parts, axis=1)


def verdict(results: Mapping[str, Any]) -> Verdict:
    """Return whether both found the same AUC values, and how long ours took for all of them."""
    expected = results["scikit-learn, draw by draw"]
    seconds, found = results["ours"]
    difference = float(np.abs(found[:, : expected.shape[1]] - expected).max())
    facts = {"largest_difference": difference, "cpu_seconds_of_all_draws": round(seconds, 2)}
    print(
        f"bootstrap: largest difference {difference:.1e} on {expected.size} values; ours took {seconds:.1f} CPU s "
        f"for all {found.size:,}",
        file=sys.stderr,
    )
    return Verdict(difference <= LARGEST_DIFFERENCE, facts)
