"""R4: LogME with one SVD for every class against ours, which decomposes once and by the smaller side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize

from benchmarks.contest import Arm, Contest, Goal, Verdict
from medtransfer.transferability.logme import logme

CASES, CLASSES = 2500, 5
GOALS = {512: 8.0, 2048: 4.0}
LARGEST_DIFFERENCE = 1e-5

FloatArray = npt.NDArray[np.float64]


def contests(folder: Path, *, quick: bool) -> Iterator[Contest]:
    """Yield one contest per embedding size, for a multi-label task of five findings."""
    del folder
    for columns, goal in GOALS.items():
        features, labels = draw_problem(120, columns // 16) if quick else draw_problem(CASES, columns)
        yield Contest(
            f"d={columns}",
            numerator=Arm("one SVD per class", partial(logme_class_by_class, features, labels)),
            denominator=Arm("ours", partial(_ours, features, labels)),
            goal=Goal(goal),
            verify=_verdict,
            warm_up=False,
        )


def draw_problem(cases: int, columns: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return embeddings of falling spread and labels that depend on them, always the same."""
    random = np.random.default_rng(0)
    spread = (1.0 + np.arange(columns)) ** -0.7
    features = random.standard_normal((cases, columns)) * spread
    scores = features @ random.standard_normal((columns, CLASSES))
    noise = random.standard_normal((cases, CLASSES)) * scores.std(axis=0)
    return features.astype(np.float32), (scores + noise > scores.std(axis=0)).astype(np.int64)


def logme_class_by_class(features: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    """Return LogME the plain way: for each class an SVD, and a search for the best precisions."""
    table = features.astype(np.float64)
    found = []
    for target in labels.T.astype(np.float64):
        left, singular, _ = np.linalg.svd(table, full_matrices=False)
        along, energies = np.square(left.T @ target), np.square(singular)
        rest = max(float(target @ target - along.sum()), 0.0)
        found.append(-_lowest(energies, along, rest, len(table)) / len(table))
    return float(np.mean(found))


def _lowest(energies: FloatArray, along: FloatArray, rest: float, cases: int) -> float:
    def profile(logarithm: float) -> float:
        ratio = np.exp(logarithm)
        residual = rest + float(along @ (ratio / (ratio + energies)))
        volume = float(np.log1p(energies / ratio).sum())
        return cases / 2 * np.log(2 * np.pi * residual / cases) + cases / 2 + volume / 2

    places = np.linspace(-30, 30, 61)
    best = int(np.argmin([profile(place) for place in places]))
    around = (places[max(best - 1, 0)], places[min(best + 1, len(places) - 1)])
    return float(optimize.minimize_scalar(profile, bounds=around, method="bounded").fun)


def _ours(features: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    return logme(features, labels).value


def _verdict(results: Mapping[str, Any]) -> Verdict:
    difference = abs(results["one SVD per class"] - results["ours"])
    return Verdict(difference <= LARGEST_DIFFERENCE, {"difference": difference})
