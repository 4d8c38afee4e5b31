"""What must be read with the rows of a comparison: of single rows, and of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from medtransfer.reports.cells import Cell
from medtransfer.reports.comparison.pair_scores import ArmScores, PairScores
from medtransfer.reports.comparison.records import ExactFloor
from medtransfer.reports.phrases import count
from medtransfer.stats.patients import FEW_PATIENTS, smallest_p
from medtransfer.stats.verdict import Source
from medtransfer.stats.wording import PRETRAINING_NOTE

_OVERLAPS = {
    "source": "pretraining data and task share images under different names",
    "unknown": "nobody knows whether pretraining has seen images of the task",
}


def row_remarks(
    scores: PairScores, exact: ExactFloor | None, *, family: int, alpha: float
) -> tuple[str, ...]:
    """Return what a reader must know of one row.

    Args:
        scores: Both models in the row.
        exact: Exact test over its runs.
        family: Number of tests corrected for.
        alpha: Error rate.
    """
    return tuple(_remarks(scores, exact, family, alpha))


def general_notes(
    families: Mapping[Source, int], *, correction: str, alpha: float, power: float
) -> tuple[str, ...]:
    """Return what must be read with every row.

    Args:
        families: Number of tests corrected for, by source of variation that applies to some row.
        correction: Method of correction.
        alpha: Error rate of the family.
        power: Chance of finding a difference that is called detectable.
    """
    return tuple(_notes(families, correction, alpha, power))


def _remarks(scores: PairScores, exact: ExactFloor | None, family: int, alpha: float) -> Iterator[str]:
    yield from scores.pair.remarks
    for name, cell, arm in (("A", scores.pair.a, scores.a), ("B", scores.pair.b, scores.b)):
        assert cell is not None
        yield from _arm_remarks(name, cell, arm)
    if exact is not None and not exact.reachable:
        numbers = f"{len(scores.a.runs.runs)} and {count(len(scores.b.runs.runs), 'run')}"
        yield (
            f"cannot be significant at this n by ranks: with {numbers} the exact Mann-Whitney test gives no p below "
            f"{exact.floor:.2g} (adjusted {exact.adjusted_floor:.2g}). The test over runs rests on normally "
            "distributed runs"
        )
    smallest = smallest_p(scores.draws, scores.patients) * max(1, family)
    if scores.patients > 1 and smallest >= alpha:
        yield (
            f"cannot be significant over {count(scores.patients, 'patient')} with {scores.draws:,} draws and "
            f"{count(family, 'test')}: no adjusted p is below {min(1.0, smallest):.3g}"
        )
    if scores.patients < FEW_PATIENTS:
        yield f"{count(scores.patients, 'test patient')}: intervals over so few tend to be too narrow"
    if not scores.pair.task.facts.get("patients_known", True):
        yield "patients are not known: every case counts as its own, and intervals may be too narrow"
    if scores.pair.task.facts.get("caution"):
        yield str(scores.pair.task.facts["caution"]).rstrip(".")


def _arm_remarks(name: str, cell: Cell, arm: ArmScores) -> Iterator[str]:
    runs = arm.runs
    for number, what in (
        (runs.failed, "failed"),
        (runs.waiting, "not finished"),
        (runs.undefined, "without a value"),
    ):
        if number:
            yield f"{name}: {number} of {count(len(cell.records), 'trial')} {what}, not in n"
    if arm.rescored:
        yield (
            f"{name}: its predictions scored today give other values than those stored; intervals over patients "
            "are of the metric as it is now"
        )
    if cell.overlap in _OVERLAPS:
        yield f"{name}: {_OVERLAPS[cell.overlap]}"


def _notes(families: Mapping[Source, int], correction: str, alpha: float, power: float) -> Iterator[str]:
    if "training runs" in families:
        yield (
            "Runs: would retrained models differ on these cases? Welch's t-test. Patients: would other patients "
            "show the difference for the mean of these runs? Paired bootstrap. Both: runs and patients drawn "
            "again together. A verdict needs all three to agree. Rows without runs are results that no seed "
            "changes: there patients alone decide."
        )
    else:
        yield (
            "No seed changes these results: tests and intervals are over test patients only (paired bootstrap)."
        )
    counted = ", ".join(f"{source} {number}" for source, number in families.items())
    yield (
        f"All tests are two-sided, alpha {alpha:g}, {correction}-adjusted over the rows shown ({counted}); intervals "
        "hold 95 % each and are not adjusted. A difference that is not significant is no proof of equivalence: "
        "that is tested against the margin by two one-sided tests, adjusted alike."
    )
    family = max([1, *families.values()])
    yield (
        "What would settle a row is counted for a difference as large as the margin, with the spread observed, power "
        f"{power * 100:g} %, alpha {alpha:g}/{family} = {alpha / family:.2g}; not for the difference observed."
    )
    yield PRETRAINING_NOTE
