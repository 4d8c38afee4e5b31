"""R3: scikit-learn's LogisticRegression one by one against our grid of heads, at the same minimum."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from benchmarks.contest import Arm, Contest, Goal, Verdict
from medtransfer.core.task_kind import TaskKind
from medtransfer.protocols.linear import STRENGTHS
from medtransfer.protocols.logistic_heads import LogisticHeads, fit_heads

FRACTIONS = (0.05, 0.1, 0.25, 0.5, 1.0)
SEEDS = 5
CASES = 2000
TEST_CASES = 600
GOALS = {512: 20.0, 2048: 12.0}
LARGEST_GAP = 2e-4
"""Nats per training case by which our objective may lie above scikit-learn's."""
LARGEST_AUC_DIFFERENCE = 1e-3
"""Most by which the median test AUC may differ."""

FloatArray = npt.NDArray[np.float64]
Solutions = Sequence[tuple[FloatArray, FloatArray]]
"""Weights (S, d) and intercepts (S,) of each training subset."""


@dataclass(frozen=True)
class Problem:
    """Embeddings like those of a network: correlated, of falling spread; noisy binary labels."""

    features: npt.NDArray[np.float32]
    """(N, d), training cases first."""
    labels: npt.NDArray[np.int64]
    """(N,) zeros and ones."""
    subsets: tuple[npt.NDArray[np.int64], ...]
    """Training rows of every fraction and seed."""
    test: npt.NDArray[np.int64]
    """Test rows."""


def contests(folder: Path, *, quick: bool) -> Iterator[Contest]:
    """Yield one contest per embedding size; both sides solve the whole grid of 250 heads."""
    del folder
    warnings.simplefilter("ignore", ConvergenceWarning)
    for columns, goal in GOALS.items():
        problem = draw_problem(100, columns // 16) if quick else draw_problem(CASES, columns)
        yield Contest(
            f"d={columns}",
            numerator=Arm("scikit-learn, one by one", partial(fit_one_by_one, problem)),
            denominator=Arm("ours", partial(fit_grid, problem)),
            goal=Goal(goal),
            verify=partial(_verdict, problem),
            also=(Arm("ours, equal subsets solved again", partial(fit_grid, problem, share=False)),),
            warm_up=False,
        )


def draw_problem(cases: int, columns: int) -> Problem:
    """Return a problem with ``cases`` training cases, always the same."""
    random = np.random.default_rng(0)
    total = cases + TEST_CASES
    spread = (1.0 + np.arange(columns)) ** -0.7
    mixing = random.standard_normal((columns, columns)) / np.sqrt(columns)
    features = (random.standard_normal((total, columns)) * spread) @ mixing
    scores = features @ random.standard_normal(columns)
    chances = 1 / (1 + np.exp(-2 * scores / scores.std()))
    labels = (random.random(total) < chances).astype(np.int64)
    subsets = [
        np.sort(np.random.default_rng(seed).permutation(cases)[: round(fraction * cases)])
        for fraction in FRACTIONS
        for seed in range(SEEDS)
    ]
    return Problem(features.astype(np.float32), labels, tuple(subsets), np.arange(cases, total))


def fit_one_by_one(problem: Problem) -> Solutions:
    """Return scikit-learn's heads of each subset, with its default solver and tolerance."""
    solutions = []
    for rows in problem.subsets:
        inputs = StandardScaler().fit_transform(problem.features[rows].astype(np.float64))
        heads = [
            LogisticRegression(C=strength, max_iter=100_000).fit(inputs, problem.labels[rows])
            for strength in STRENGTHS
        ]
        weights = np.concatenate([head.coef_ for head in heads])
        solutions.append((weights, np.concatenate([head.intercept_ for head in heads])))
    return solutions


def fit_grid(problem: Problem, *, share: bool = True) -> list[LogisticHeads]:
    """Return our heads of each subset; as in the protocol, equal subsets are solved once if ``share``."""
    solved: dict[bytes, LogisticHeads] = {}
    found = []
    for rows in problem.subsets:
        key = rows.tobytes()
        if key not in solved or not share:
            solved[key] = fit_heads(
                problem.features[rows], problem.labels[rows], TaskKind.BINARY, ("no", "yes"), STRENGTHS
            )
        found.append(solved[key])
    return found


def compare(problem: Problem, theirs: Solutions, ours: Sequence[LogisticHeads]) -> Verdict:
    """Return how far the two are apart, in nats per training case and in test AUC.

    scikit-learn's default tolerance stops before the minimum for weak regularisation, so its objective
    may lie above ours; a gap counts against us where ours lies above.
    """
    pairs = [
        _gap_and_difference(problem, rows, heads, solution, number)
        for rows, solution, heads in zip(problem.subsets, theirs, ours, strict=True)
        for number in range(len(STRENGTHS))
    ]
    gaps, differences = np.array(pairs).T
    facts = {
        "fits": len(gaps),
        "objective_gap_ours_above": max(0.0, float(gaps.max())),
        "objective_gap_sklearn_above": max(0.0, float(-gaps.min())),
        "fits_where_sklearn_stops_early": int(np.sum(gaps < -LARGEST_GAP)),
        "median_auc_difference": float(np.median(differences)),
        "all_converged": all(fit.converged for heads in ours for fit in heads.fits),
    }
    near = facts["objective_gap_ours_above"] <= LARGEST_GAP
    same = facts["median_auc_difference"] <= LARGEST_AUC_DIFFERENCE
    return Verdict(bool(near and same and facts["all_converged"]), facts)


def _gap_and_difference(
    problem: Problem,
    rows: npt.NDArray[np.int64],
    heads: LogisticHeads,
    theirs: tuple[FloatArray, FloatArray],
    number: int,
) -> tuple[float, float]:
    """Return our objective minus theirs, and the distance of the test AUCs, for one strength."""
    standardise, strength = heads.standardisation, heads.strengths[number]
    inputs, unseen = standardise(problem.features[rows]), standardise(problem.features[problem.test])
    signs, truth = 2 * problem.labels[rows] - 1, problem.labels[problem.test]
    both = (
        (heads.weights[number, 0], heads.intercepts[number, 0]),
        (theirs[0][number][standardise.kept], theirs[1][number]),
    )
    ours_at, theirs_at = (
        np.logaddexp(0, -signs * (inputs @ w + b)).mean() + w @ w / (2 * strength * len(rows))
        for w, b in both
    )
    our_auc, their_auc = (roc_auc_score(truth, unseen @ w) for w, _ in both)
    return float(ours_at - theirs_at), abs(float(our_auc - their_auc))


def _verdict(problem: Problem, results: Mapping[str, Any]) -> Verdict:
    return compare(problem, results["scikit-learn, one by one"], results["ours"])
