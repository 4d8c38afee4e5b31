"""All pairs of the models of one row: which differ, and which are shown to be equivalent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from medtransfer.reports.row_predictions import BinaryScores
from medtransfer.reports.subjects import ReportTask
from medtransfer.stats.corrections import holm
from medtransfer.stats.delong import AucDifference, compare_aucs
from medtransfer.stats.equivalence import Equivalence, equivalence_by_cases, equivalence_of_runs
from medtransfer.stats.pairwise import Pair, Pairwise, pairwise_by_cases, pairwise_by_runs
from medtransfer.stats.patients import FloatArray

MOST_DELONG = 2_000_000
"""Pairs times cases up to which DeLong's test is made beside the bootstrap."""


@dataclass(frozen=True)
class RowPairs:
    """Every model of a row against every other, by label."""

    pairwise: Pairwise
    """Whether they differ; Holm over all pairs."""
    equivalences: Mapping[Pair, Equivalence]
    """Whether they differ by less than the margin of the task, first label before the second; pairs
    without a result are missing."""
    adjusted: Mapping[Pair, float | None]
    """p-values of equivalence, Holm over all pairs."""
    margin: float
    """Margin of equivalence in metric units."""
    rank_sets: Mapping[str, tuple[int, int]]
    """Best and worst rank that the comparisons leave to each model; see :func:`rank_sets`."""
    delong: Mapping[Pair, AucDifference] | None = None
    """A second test of the same differences, not corrected; None where it does not apply."""

    def equivalent(self, first: str, second: str) -> bool:
        """Return whether two models are equivalent at the error rate of the family."""
        p = self.adjusted.get((min(first, second), max(first, second)))
        return p is not None and p < self.pairwise.alpha


def rank_sets(pairwise: Pairwise) -> dict[str, tuple[int, int]]:
    """Return the best and the worst rank that the comparisons leave to each model of the family.

    At least as many models stand before it as were shown to be better, and as many behind it as
    were shown to be worse; models without a value have no rank. All tests hold at once at the
    error rate of the family, and so do the ranks of all models.
    """
    sets = {}
    for name in pairwise.models:
        others = (other for other in pairwise.models if other != name)
        compared = [found for other in others if (found := pairwise.comparisons.get((name, other)))]
        leaders = [found.leader for found in compared if found.significant(pairwise.alpha)]
        sets[name] = 1 + leaders.count("b"), len(compared) + 1 - leaders.count("a")
    return sets


def pairs_over_runs(task: ReportTask, scores: Mapping[str, Sequence[float]]) -> RowPairs:
    """Compare all pairs over runs.

    Args:
        task: The task; names direction and margin.
        scores: Values per run, by label of the model.
    """
    pairwise = pairwise_by_runs(scores, task.primary.higher_is_better)
    margin = task.equivalence_margin
    return _with_equivalence(
        pairwise, margin, lambda a, b: equivalence_of_runs(scores[a], scores[b], margin), None
    )


def pairs_over_patients(
    task: ReportTask,
    points: Mapping[str, float | None],
    draws: Mapping[str, FloatArray],
    *,
    patients: int,
    binary: BinaryScores | None = None,
) -> RowPairs:
    """Compare all pairs over patients.

    Args:
        task: The task.
        points: Value on all cases, by label of the model.
        draws: Values per draw of patients, shape (B,), by label.
        patients: Number of patients that were resampled.
        binary: Scores by label, where DeLong's test applies.
    """
    pairwise = pairwise_by_cases(
        points, draws, patients=patients, higher_is_better=task.primary.higher_is_better
    )
    margin = task.equivalence_margin

    def equivalence(a: str, b: str) -> Equivalence:
        first, second = points[a], points[b]
        assert first is not None
        assert second is not None
        return equivalence_by_cases(first, second, draws[a], draws[b], margin, patients=patients)

    return _with_equivalence(pairwise, margin, equivalence, _delong(pairwise, binary))


def _with_equivalence(
    pairwise: Pairwise,
    margin: float,
    equivalence: Callable[[str, str], Equivalence],
    delong: Mapping[Pair, AucDifference] | None,
) -> RowPairs:
    compared = [pair for pair in combinations(pairwise.models, 2) if pair in pairwise.comparisons]
    found = {pair: equivalence(*pair) for pair in compared}
    adjusted = holm([tested.p for tested in found.values()]).values
    return RowPairs(
        pairwise, found, dict(zip(found, adjusted, strict=True)), margin, rank_sets(pairwise), delong
    )


def _delong(pairwise: Pairwise, binary: BinaryScores | None) -> Mapping[Pair, AucDifference] | None:
    if binary is None:
        return None
    compared = [pair for pair in combinations(pairwise.models, 2) if pair in pairwise.comparisons]
    positives = int(binary.labels.sum())
    if min(positives, len(binary.labels) - positives) < 2 or len(compared) * len(binary.labels) > MOST_DELONG:
        return None
    scores = binary.by_model
    return {(a, b): compare_aucs(binary.labels, scores[a], scores[b]) for a, b in compared}
