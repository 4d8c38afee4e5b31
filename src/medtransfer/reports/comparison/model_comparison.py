"""Two source models compared in every place where both have results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medtransfer.core.errors import UsageError
from medtransfer.core.progress import Progress, no_progress
from medtransfer.metrics.declared_metrics import Metric, metrics
from medtransfer.reports.cells import Cell
from medtransfer.reports.comparison.arm_differences import arm_differences
from medtransfer.reports.comparison.contenders import ModelCells, read_cells
from medtransfer.reports.comparison.pair_scores import PairScores, score_pair
from medtransfer.reports.comparison.pairing import CellPair, missing_reason, pair_across, pair_within
from medtransfer.reports.comparison.records import ComparedRow, Contender, MissingRow, ModelComparison
from medtransfer.reports.comparison.remarks import general_notes, row_remarks
from medtransfer.reports.comparison.row_tests import (
    Tests,
    corrected,
    exact_floor,
    family_sizes,
    outperforms,
    row_tests,
    same_runs,
    spread,
)
from medtransfer.reports.comparison.selection import Selection, select
from medtransfer.reports.evidence import Evidence
from medtransfer.reports.phrases import short_hash
from medtransfer.reports.subjects import ReportTask
from medtransfer.stats.corrections import holm
from medtransfer.stats.power import POWER
from medtransfer.stats.settling import settle
from medtransfer.stats.verdict import Source, Verdict, decide, describe_settling, describe_verdict
from medtransfer.store.records import Record

EVERYTHING = Selection()
"""Every row, by the primary metric of its task."""


@dataclass(frozen=True)
class _Levels:
    """Error rates of one comparison."""

    alpha: float
    power: float
    families: dict[Source, int]

    @property
    def family(self) -> int:
        """Largest number of tests corrected for."""
        return max([1, *self.families.values()])

    @property
    def rate(self) -> float:
        """Error rate of the first step of Holm's procedure, which detectable effects are stated at."""
        return self.alpha / self.family


def compare_models(
    evidence_a: Evidence,
    evidence_b: Evidence | None,
    name_a: str,
    name_b: str | None = None,
    selection: Selection = EVERYTHING,
    *,
    alpha: float = 0.05,
    power: float = POWER,
    places: tuple[str, str] = ("", ""),
    progress: Progress = no_progress,
) -> ModelComparison:
    """Compare two source models of one store, or of two.

    Args:
        evidence_a: What is known of A.
        evidence_b: What is known of B; None for the same store.
        name_a: Name or label of A.
        name_b: Name or label of B; None for the name of A, in another store.
        selection: Rows to compare.
        alpha: Error rate of the family, in (0, 0.5).
        power: Chance of finding a difference that is called detectable, in (alpha, 1).
        places: What to call the two stores; empty for one store.
        progress: Told the rows whose predictions were read.

    Returns:
        The comparison; differences are A - B.

    Raises:
        NotRegisteredError: If a model, task, protocol or metric is not there.
        UsageError: If A and B are the same model of one store, or nothing fits the selection.
        DataError: If a task has other data in the other store, or runs were scored on other cases.
        StoreError: If predictions are missing or damaged.
    """
    across = evidence_b is not None and evidence_b is not evidence_a
    a = read_cells(evidence_a, name_a)
    b = read_cells(evidence_b or evidence_a, name_b or name_a)
    if not across and a.model.key == b.model.key:
        raise UsageError(
            f"compare: expected two source models, got {a.model.label!r} twice. Name another one, or another "
            "store with --against."
        )
    a, b = select(selection, [a, b])
    pairs = pair_across(a, b) if across else pair_within(a, b)
    scored, missing = _score(pairs, selection.metric, (a, b), progress)
    rows, levels = _rows(scored, (a.model.label, b.model.label), alpha, power)
    warnings = [*_weights_warning(a, b)] if across else []
    return ModelComparison(
        a=_contender(a, places[0]),
        b=_contender(b, places[1]),
        rows=rows,
        missing=tuple(missing),
        warnings=(*warnings, *_differences(scored)),
        notes=general_notes(levels.families, correction=holm([]).method, alpha=alpha, power=power),
        alpha=alpha,
        power=power,
        families=levels.families,
        correction=holm([]).method,
    )


def _score(
    pairs: Sequence[CellPair],
    metric: str | None,
    sides: tuple[ModelCells, ModelCells],
    progress: Progress,
) -> tuple[list[PairScores], list[MissingRow]]:
    """Return the pairs with numbers, and the others with the reason why they have none."""
    readers = (sides[0].evidence.predictions, sides[1].evidence.predictions)
    scored, missing = [], []
    for number, pair in enumerate(pairs, start=1):
        name = metric or pair.task.primary.name
        reasons = [missing_reason(cell, pair.task, name) for cell in (pair.a, pair.b)]
        if reasons == [None, None]:
            scored.append(score_pair(pair, metrics.get(name), readers))
        else:
            missing.append(MissingRow(pair.place, reasons[0], reasons[1]))
        progress("rows", number, len(pairs))
    return scored, missing


def _rows(
    scored: Sequence[PairScores], names: tuple[str, str], alpha: float, power: float
) -> tuple[tuple[ComparedRow, ...], _Levels]:
    margins = [_margin(scores.pair.task, scores.metric) for scores in scored]
    pairs = list(zip(scored, margins, strict=True))
    families = family_sizes([row_tests(s, margin, alpha=alpha, rate=alpha) for s, margin in pairs])
    levels = _Levels(alpha, power, families)
    tests = corrected([row_tests(s, margin, alpha=alpha, rate=levels.rate) for s, margin in pairs])
    rows = (
        _row(number, scores, margin, found, names, levels)
        for number, ((scores, margin), found) in enumerate(zip(pairs, tests, strict=True), start=1)
    )
    return tuple(rows), levels


def _row(
    number: int,
    scores: PairScores,
    margin: float,
    tests: Tests,
    names: tuple[str, str],
    levels: _Levels,
) -> ComparedRow:
    verdict = decide(tests, margin, levels.alpha)
    settling = settle(spread(scores), margin, alpha=levels.rate, power=levels.power)
    exact = exact_floor(scores, levels.family, levels.alpha)

    identical = same_runs(scores)

    def sentence(name_a: str, name_b: str) -> str:
        text = describe_verdict(verdict, tests, name_a, name_b)
        if identical:
            return f"Every run has the same value in both. {text}"
        return f"{text} {describe_settling(settling, name_a, name_b)}" if _open(verdict) else text

    return ComparedRow(
        number=number,
        place=scores.pair.place,
        metric=scores.metric.name,
        metric_title=scores.metric.title,
        better="higher" if scores.metric.higher_is_better else "lower",
        margin=margin,
        a=scores.a.runs,
        b=scores.b.runs,
        patients=scores.patients,
        patients_known=bool(scores.pair.task.facts.get("patients_known", True)),
        draws=scores.draws,
        tests=tests,
        identical=identical,
        outperforms=outperforms(scores),
        exact=exact,
        verdict=verdict,
        settling=settling,
        sentence=sentence(*names),
        short_sentence=sentence("A", "B"),
        remarks=row_remarks(scores, exact, family=levels.family, alpha=levels.alpha),
    )


def _open(verdict: Verdict) -> bool:
    return verdict.outcome == "undecided"


def _margin(task: ReportTask, metric: Metric) -> float:
    """Return the margin a task declares for its primary metric; every other metric has its own."""
    return task.equivalence_margin if metric.name == task.primary.name else metric.equivalence_margin


def _contender(side: ModelCells, place: str) -> Contender:
    return Contender(side.model.label, side.model.weights_hash, side.evidence.study, place)


def _weights_warning(a: ModelCells, b: ModelCells) -> list[str]:
    """Return whether one name stands for other weights in the other store."""
    first, second = a.model.weights_hash, b.model.weights_hash
    if a.name == b.name and first != second:
        return [f"A and B have other weights: {short_hash(first)} (A), {short_hash(second)} (B)."]
    return []


def _differences(scored: Sequence[PairScores]) -> tuple[str, ...]:
    """Return what differs between the runs that were compared."""
    cells_a = [scores.pair.a for scores in scored if scores.pair.a is not None]
    cells_b = [scores.pair.b for scores in scored if scores.pair.b is not None]
    return arm_differences(_finished(cells_a), _finished(cells_b))


def _finished(cells: Sequence[Cell]) -> list[Record]:
    return [record for cell in cells for record in cell.finished]
