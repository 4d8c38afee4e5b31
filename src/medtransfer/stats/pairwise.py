"""All pairs of the models of one task, tested as one declared family."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import ShapeError
from medtransfer.stats.case_comparisons import compare_by_cases
from medtransfer.stats.comparison_record import Better, Comparison, mirrored
from medtransfer.stats.comparisons import Arm, welch_from_summaries
from medtransfer.stats.corrections import holm
from medtransfer.stats.patients import smallest_p
from medtransfer.stats.run_scores import probability_of_outperforming
from medtransfer.stats.summaries import summarise_runs

Pair = tuple[str, str]
"""Names of the first model (A) and the second (B)."""


@dataclass(frozen=True)
class Pairwise:
    """Every model of one task and metric against every other."""

    models: tuple[str, ...]
    """All models of the family, sorted by name; filtering a page must not change it."""
    comparisons: Mapping[Pair, Comparison]
    """First (A) against second (B), in both orders, with the adjusted p-value; a pair with a model that
    has no result is missing."""
    outperforms: Mapping[Pair, float | None]
    """Chance that a run of the first is better than a run of the second, ties counting half; null where
    runs cannot tell: over patients, below two runs, or where neither model varies."""
    family_size: int
    """Number of tests corrected for: pairs that have a p-value."""
    without_p: int
    """Number of pairs of the family that could not be tested."""
    correction: str
    """Method of correction."""
    alpha: float
    """Error rate of the family."""
    unit: Literal["runs", "patients"]
    """What n counts."""
    n: Mapping[str, int]
    """Number of runs, or of patients, of every model."""
    smallest_adjusted_p: float = 0.0
    """Smallest adjusted p-value the numbers of draws and of patients allow; 0 for tests without a floor."""

    def between(self, first: str, second: str) -> Comparison | None:
        """Return the first model against the second; null where one of them has no result.

        Raises:
            ShapeError: If a model is not in the family, or both are the same.
        """
        for name in (first, second):
            if name not in self.models:
                raise ShapeError(f"pair: expected two of {list(self.models[:5])!r}, got {name!r}.")
        if first == second:
            raise ShapeError(f"pair: expected two models, got {first!r} twice. Name another one.")
        return self.comparisons.get((first, second))

    def separated(self, first: str, second: str) -> bool:
        """Return whether the two differ at the error rate of the family; False without a p-value."""
        found = self.between(first, second)
        return found is not None and found.significant(self.alpha)


def pairwise_by_runs(
    scores: Mapping[str, Sequence[float]], higher_is_better: bool = True, alpha: float = 0.05
) -> Pairwise:
    """Compare every pair of models over their runs by two-sided Welch tests, Holm over all pairs.

    Args:
        scores: Finite values per run, by model; a model whose runs all failed has none.
        higher_is_better: Direction of the metric.
        alpha: Error rate of the family, in (0, 0.8).

    Raises:
        ShapeError: If a value is not finite, or alpha is out of range.

    Example:
        >>> found = pairwise_by_runs({"a": [.81, .83, .80], "b": [.71, .74, .72], "c": [.80, .82, .81]})
        >>> found.family_size, found.separated("a", "b"), found.separated("a", "c")
        (3, True, False)
    """
    better: Better = "higher" if higher_is_better else "lower"
    models = tuple(sorted(scores))
    present = [name for name in models if len(scores[name])]
    arms = {name: _arm(scores[name]) for name in present}
    rate = _rate(alpha, [name for name in present if arms[name].n > 1])
    found = {
        (a, b): welch_from_summaries(arms[a], arms[b], better, alpha=rate)
        for a, b in combinations(present, 2)
    }
    return _pairwise(
        models,
        found,
        alpha,
        unit="runs",
        n={name: len(scores[name]) for name in models},
        outperforms={pair: _outperforms(scores, pair, compared) for pair, compared in found.items()},
    )


def pairwise_by_cases(
    points: Mapping[str, float | None],
    draws: Mapping[str, npt.NDArray[Any]],
    *,
    patients: int,
    higher_is_better: bool = True,
    alpha: float = 0.05,
) -> Pairwise:
    """Compare every pair of models by the paired bootstrap over patients, Holm over all pairs.

    Args:
        points: Metric on all cases, by model; null where undefined.
        draws: Metric per draw, shape (B,), by model, all on the same draws of patients.
        patients: Number of patients that were resampled.
        higher_is_better: Direction of the metric.
        alpha: Error rate of the family, in (0, 0.8).

    Raises:
        ShapeError: If a model with a point has no draws, or the draws do not have the same shape.
    """
    better: Better = "higher" if higher_is_better else "lower"
    models = tuple(sorted(points))
    known = {name: point for name in models if (point := points[name]) is not None}
    without = [name for name in known if name not in draws]
    if without:
        raise ShapeError(f"paired bootstrap: expected draws for every model, got none for {without[:5]!r}.")
    values = {name: np.asarray(draws[name], dtype=np.float64) for name in known}
    rate = _rate(alpha, known)

    def compare(a: str, b: str) -> Comparison:
        return compare_by_cases(
            known[a], known[b], values[a], values[b], better, patients=patients, alpha=rate
        )

    found = {pair: compare(*pair) for pair in combinations(known, 2)}
    result = _pairwise(
        models,
        found,
        alpha,
        unit="patients",
        n=dict.fromkeys(models, patients),
        outperforms={},
    )
    floor = max((smallest_p(len(drawn), patients) for drawn in values.values()), default=0.0)
    return replace(result, smallest_adjusted_p=min(1.0, floor * result.family_size))


def _arm(values: Sequence[float]) -> Arm:
    runs = summarise_runs(values)
    return Arm(runs.n, runs.mean, runs.std)


def _rate(alpha: float, testable: Iterable[str]) -> float:
    """Return the error rate of the first step of Holm's procedure, which detectable effects are stated at."""
    k = len(list(testable))
    return alpha / max(1, k * (k - 1) // 2)


def _outperforms(scores: Mapping[str, Sequence[float]], pair: Pair, compared: Comparison) -> float | None:
    if {"undetermined", "zero_variance"} & set(compared.flags):
        return None
    sign = 1.0 if compared.better == "higher" else -1.0
    first, second = (sign * np.asarray(scores[name], dtype=np.float64) for name in pair)
    return probability_of_outperforming(first, second)


def _pairwise(
    models: tuple[str, ...],
    found: Mapping[Pair, Comparison],
    alpha: float,
    *,
    unit: Literal["runs", "patients"],
    n: Mapping[str, int],
    outperforms: Mapping[Pair, float | None],
) -> Pairwise:
    """Correct the comparisons and write every pair both ways."""
    corrected = holm([comparison.p for comparison in found.values()])

    def adjust(comparison: Comparison, p: float | None) -> Comparison:
        return replace(comparison, adjusted_p=p, correction=corrected.method, family_size=corrected.tests)

    comparisons: dict[Pair, Comparison] = {}
    chances: dict[Pair, float | None] = {}
    for (pair, comparison), adjusted in zip(found.items(), corrected.values, strict=True):
        back = (pair[1], pair[0])
        tested = adjust(comparison, adjusted)
        comparisons[pair], comparisons[back] = tested, mirrored(tested)
        chance = outperforms.get(pair)
        chances[pair], chances[back] = chance, None if chance is None else 1 - chance
    return Pairwise(
        models=models,
        comparisons=comparisons,
        outperforms=chances,
        family_size=corrected.tests,
        without_p=len(models) * (len(models) - 1) // 2 - corrected.tests,
        correction=corrected.method,
        alpha=alpha,
        unit=unit,
        n=n,
    )
