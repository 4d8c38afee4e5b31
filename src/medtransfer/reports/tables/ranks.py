"""The ranks table: the models of one panel over all its tasks, without averaging unlike metrics."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from scipy import stats

from medtransfer.reports.phrases import NONE, count, listed, number
from medtransfer.reports.study_reading import Panel, StudyReading
from medtransfer.reports.tables.pairwise import p_text
from medtransfer.reports.tables.results import panel_id, panel_title
from medtransfer.reports.tables.scores_over_tasks import ScoresOverTasks, scores_over_tasks
from medtransfer.reports.tables.table import Column, Table, TableCell
from medtransfer.stats.corrections import holm
from medtransfer.stats.exact_tests import MOST_PAIRS, signed_rank
from medtransfer.stats.patients import FloatArray
from medtransfer.stats.ranks import FEWEST_TASKS, friedman, rank_intervals, rank_models
from medtransfer.stats.run_scores import interquartile_mean

_DECIMALS = 12
_ALPHA = 0.05
_COLUMNS = (
    Column("Source model"),
    Column("Mean rank", "1 is best; 95 % interval over tasks", numeric=True),
    Column("Win rate", "over the other models", numeric=True),
    Column("Outperforms", "chance over runs", numeric=True),
    Column("Interquartile mean", "of normalised runs", numeric=True),
)
NORMALISATION = (
    "Normalised: on every task 0 is the worst and 1 the best mean of the models in this table, so the numbers "
    "change with the models that take part."
)
"""What normalised scores of this report are."""


def ranks_table(reading: StudyReading, panel: Panel) -> Table | None:
    """Return the models of a panel by mean rank; None when no task has a value of two models.

    Only tasks with a value of every model count; the notes say which fell out.
    """
    scores = scores_over_tasks(reading, panel)
    if len(scores.models) < 2:
        return None
    notes = tuple(_notes(scores))
    rows = tuple(_rows(scores)) if scores.comparable else tuple(_rows_without_tasks(scores))
    return Table(
        id=panel_id(panel, "ranks"),
        caption=f"Source models over {count(len(scores.tasks), 'complete task')}, {panel_title(panel)}",
        columns=_COLUMNS,
        rows=rows,
        notes=notes,
    )


def why_no_critical_difference(scores: ScoresOverTasks) -> str:
    """Return why there is no critical-difference diagram; empty where there is one."""
    if len(scores.models) < 2:
        return "No critical-difference diagram: it needs two models with a value."
    if len(scores.tasks) >= FEWEST_TASKS:
        return ""
    return (
        f"No critical-difference diagram: it needs {FEWEST_TASKS} complete tasks, there "
        f"{'is' if len(scores.tasks) == 1 else 'are'} {len(scores.tasks)}. Compare the models task by task."
    )


def fell_out(scores: ScoresOverTasks) -> Iterator[str]:
    """Yield which tasks and models could not take part."""
    if scores.fell_out:
        told = [
            f"{task} (no value of {listed(list(models), most=3)})" for task, models in scores.fell_out.items()
        ]
        total = len(scores.fell_out) + len(scores.tasks)
        yield f"{len(told):,} of {count(total, 'task')} fell out: {listed(told, most=10)}."
    if scores.without_value:
        yield f"Without any value, not ranked: {listed(list(scores.without_value), most=10)}."


def _rows(scores: ScoresOverTasks) -> Iterator[tuple[TableCell, ...]]:
    ranks = rank_models(scores.values)
    means = ranks.mean(axis=0)
    ends = rank_intervals(scores.values, scores.seed)
    for place in np.argsort(means, kind="stable"):
        model = scores.models[place]
        interval = (f"[{number(ends[place, 0], 2)}, {number(ends[place, 1], 2)}]",) if len(ranks) > 1 else ()
        yield (
            TableCell(model.label),
            TableCell(number(float(means[place]), 2), interval, value=float(means[place])),
            _share(_win_rate(scores.values, int(place))),
            _share(_outperforms(scores, int(place))),
            _interquartile_mean(scores, int(place)),
        )


def _rows_without_tasks(scores: ScoresOverTasks) -> Iterator[tuple[TableCell, ...]]:
    for model in scores.models:
        yield (TableCell(model.label), *(TableCell(NONE, tone="absent") for _ in _COLUMNS[1:]))


def _share(value: float | None) -> TableCell:
    return TableCell(NONE, tone="absent") if value is None else TableCell(number(value, 2), value=value)


def _win_rate(values: FloatArray, place: int) -> float:
    """Return the share of (task, other model) whose mean is worse, ties counting half."""
    others = np.delete(values, place, axis=1)
    own = values[:, [place]]
    return float(((own > others) + 0.5 * (own == others)).mean())


def _outperforms(scores: ScoresOverTasks, place: int) -> float | None:
    """Return the chance that a run beats a run of another model, over other models and tasks alike."""
    label = scores.models[place].label
    chances = [
        chance
        for row in scores.rows
        if row.pairs
        for other in scores.models
        if (chance := row.pairs.pairwise.outperforms.get((label, other.label))) is not None
    ]
    return float(np.mean(chances)) if chances else None


def _interquartile_mean(scores: ScoresOverTasks, place: int) -> TableCell:
    runs = scores.normalised_runs(scores.models[place])
    if not runs:
        return TableCell(NONE, tone="absent")
    value = interquartile_mean(np.concatenate(runs))
    return TableCell(number(value, 2), (count(sum(map(len, runs)), "run"),), value=value)


def _notes(scores: ScoresOverTasks) -> Iterator[str]:
    yield from fell_out(scores)
    reason = why_no_critical_difference(scores)
    if reason:
        yield reason
    if not scores.comparable:
        return
    yield (
        "Ranks are of the primary metric of each task, ties share a rank; the interval is a bootstrap over "
        f"the {count(len(scores.tasks), 'task')}"
        f"{', descriptive with so few' if len(scores.tasks) < FEWEST_TASKS else ''}. "
        "Win rate: share of tasks and other models with a worse mean, ties count half. Outperforms: the same "
        "over single runs, for cells with two runs at least."
    )
    yield NORMALISATION
    if scores.alike:
        yield f"All models have the same mean, so it is not normalised: {listed(list(scores.alike))}."
    yield from _friedman(scores)
    if len(scores.tasks) >= FEWEST_TASKS:
        yield _decisions(scores)


def _friedman(scores: ScoresOverTasks) -> Iterator[str]:
    tasks, models = scores.values.shape
    if models < 3 or tasks < 2:
        yield f"Friedman's test needs 3 models and 2 tasks at least; here are {models} and {tasks}."
        return
    found = friedman(rank_models(scores.values))
    f = "" if found.f is None else f"; Iman and Davenport's F = {found.f:.3f}, {p_text(found.f_p)}"
    yield (
        f"Friedman's test over {tasks} tasks ({found.variant}): chi-square = {found.chi_square:.3f}, "
        f"{p_text(found.p)}{f}."
        + (" With so few tasks its p-value is approximate." if tasks < FEWEST_TASKS else "")
    )


def _decisions(scores: ScoresOverTasks) -> str:
    """Return which models differ over tasks, by signed ranks with Holm over all pairs."""
    pairs = list(combinations(range(len(scores.models)), 2))
    found = {pair: _signed_rank_p(scores.values[:, pair[0]] - scores.values[:, pair[1]]) for pair in pairs}
    adjusted = dict(zip(pairs, holm(list(found.values())).values, strict=True))
    head = (
        f"Pairs of models over the {len(scores.tasks)} tasks (Wilcoxon's signed ranks of the differences in "
        f"metric units, two-sided, Holm over {count(len(pairs), 'pair')})"
    )
    floor = 2.0 / 2 ** len(scores.tasks) * len(pairs)
    if floor >= _ALPHA:
        return (
            f"{head}: none can be significant with so few tasks (smallest adjusted p {min(1.0, floor):.3f})."
        )
    told = [
        f"{scores.models[best].label} above {scores.models[worse].label} ({p_text(p)})"
        for pair, p in adjusted.items()
        if p is not None and p < _ALPHA
        for best, worse in [_ordered(scores.values, *pair)]
    ]
    return f"{head}: {listed(told, most=10) if told else 'no pair is separated'}."


def _ordered(values: FloatArray, first: int, second: int) -> tuple[int, int]:
    ranks = stats.rankdata(np.abs(values[:, first] - values[:, second]))
    signs = np.sign(values[:, first] - values[:, second])
    return (first, second) if float((signs * ranks).sum()) > 0 else (second, first)


def _signed_rank_p(differences: FloatArray) -> float | None:
    """Return the p-value, exact up to 20 differences; null when all are zero."""
    moved = np.round(differences, _DECIMALS)
    moved = moved[moved != 0]
    if not len(moved):
        return None
    if len(moved) <= MOST_PAIRS:
        return signed_rank(moved.tolist(), _DECIMALS).p
    return float(stats.wilcoxon(moved, method="asymptotic").pvalue)
