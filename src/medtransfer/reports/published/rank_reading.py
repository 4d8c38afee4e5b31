"""Ranks of many published models over several tasks, and how far reading errors can move them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import ShapeError
from medtransfer.reports.phrases import number
from medtransfer.reports.published.level_tables import Heading, headings, initialization
from medtransfer.reports.published.quantities import p_text
from medtransfer.reports.published.records import PublishedResult
from medtransfer.reports.tables.table import Column, Table, TableCell
from medtransfer.stats.ranks import (
    FEWEST_TASKS,
    Friedman,
    complete_tasks,
    critical_difference,
    friedman,
    rank_models,
)

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RankReading:
    """Ranks of models over tasks; 1 is best, ties share their mean rank."""

    models: tuple[str, ...]
    """Row headings, k of them."""
    tasks: tuple[str, ...]
    """Tasks with a value of every model, N of them."""
    left_out: int
    """Tasks that lack a model and are not ranked."""
    ranks: FloatArray
    """Shape (N, k)."""
    best_ranks: FloatArray
    """Smallest ranks the reading errors allow, shape (N, k)."""
    worst_ranks: FloatArray
    """Largest ranks the reading errors allow, shape (N, k)."""
    friedman: Friedman
    """Test whether the mean ranks differ at all, corrected for ties."""
    critical_difference: float | None
    """Nemenyi's, at 0.05; null below six tasks."""

    @property
    def mean_ranks(self) -> FloatArray:
        """Mean rank of each model, shape (k,)."""
        return np.asarray(self.ranks.mean(axis=0))

    def spread(self) -> list[tuple[str, float, float, float]]:
        """Return model, mean rank, and the ends of its range within the reading errors."""
        ends = zip(self.mean_ranks, self.best_ranks.mean(axis=0), self.worst_ranks.mean(axis=0), strict=True)
        return [
            (name, float(mean), float(low), float(high))
            for name, (mean, low, high) in zip(self.models, ends, strict=True)
        ]

    def separated_pairs(self) -> int | None:
        """Return how many pairs of models lie further apart than the critical difference."""
        if self.critical_difference is None:
            return None
        gaps = np.abs(self.mean_ranks[:, None] - self.mean_ranks[None, :])
        return int((gaps > self.critical_difference).sum()) // 2


def read_ranks(results: Sequence[PublishedResult], row: Heading = initialization) -> RankReading:
    """Rank the models of one published table over its tasks.

    Args:
        results: Levels where higher is better; at least three models on two tasks.
        row: What makes a model.

    Raises:
        ShapeError: If fewer than three models or two complete tasks are there.
    """
    models, tasks = headings(results, row), headings(results, lambda result: result.task)
    found = {(result.task, row(result)): result for result in results}
    values = np.array([[_mean(found.get((task, model))) for model in models] for task in tasks])
    errors = np.array([[_error(found.get((task, model))) for model in models] for task in tasks])
    whole = np.isfinite(values).all(axis=1)
    if len(models) < 3 or whole.sum() < 2:
        raise ShapeError(
            f"published ranks: expected three models on two complete tasks at least, got {len(models)} on "
            f"{int(whole.sum())}. Show the levels instead."
        )
    ranks = rank_models(complete_tasks(values))
    best, worst = rank_range(values[whole], errors[whole])
    return RankReading(
        models=tuple(models),
        tasks=tuple(task for task, is_whole in zip(tasks, whole, strict=True) if is_whole),
        left_out=int((~whole).sum()),
        ranks=ranks,
        best_ranks=best,
        worst_ranks=worst,
        friedman=friedman(ranks),
        critical_difference=critical_difference(len(models), len(ranks))
        if len(ranks) >= FEWEST_TASKS
        else None,
    )


def rank_range(values: FloatArray, errors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the smallest and largest rank of every model if every value may be off by its error.

    Args:
        values: Shape (N, k), finite; higher is better.
        errors: Largest errors, shape (N, k), at least 0.

    Example:
        >>> low, high = rank_range(np.array([[3.0, 2.9, 1.0]]), np.array([[0.1, 0.1, 0.1]]))
        >>> low.tolist(), high.tolist()
        ([[1.0, 1.0, 3.0]], [[2.0, 2.0, 3.0]])
    """
    low, high = values - errors, values + errors
    surely_better = (low[:, None, :] > high[:, :, None]).sum(axis=2)
    surely_worse = (high[:, None, :] < low[:, :, None]).sum(axis=2)
    return (1.0 + surely_better).astype(np.float64), (values.shape[1] - surely_worse).astype(np.float64)


def ranks_table(name: str, caption: str, reading: RankReading, corner: str, notes: tuple[str, ...]) -> Table:
    """Return ranks per task and mean ranks, best first."""
    columns = (Column(corner), *(Column(task, "rank", numeric=True) for task in reading.tasks))
    order = sorted(range(len(reading.models)), key=lambda m: (reading.mean_ranks[m], reading.models[m]))
    ranges = reading.spread()
    rows = tuple(
        (
            TableCell(reading.models[m]),
            *(TableCell(f"{rank:g}", value=float(rank)) for rank in reading.ranks[:, m]),
            _mean_cell(*ranges[m][1:]),
        )
        for m in order
    )
    return Table(
        name,
        caption,
        (*columns, Column("Mean rank", "range within the reading error", numeric=True)),
        rows,
        (),
        notes,
    )


def rank_sentences(reading: RankReading) -> tuple[str, ...]:
    """Return what the ranks show, in sentences."""
    test = reading.friedman
    k, n = len(reading.models), len(reading.tasks)
    sentences = [
        f"Friedman's test over {n} tasks and {k} models, {test.variant}: chi-square {number(test.chi_square, 2)}, "
        f"p {_is(test.p)}"
        + (f"; Iman and Davenport's F {number(test.f, 2)}, p {_is(test.f_p)}." if test.f is not None else ".")
    ]
    if reading.critical_difference is None:
        sentences.append(
            f"No critical difference is given for {n} tasks: at least {FEWEST_TASKS} are needed, and with fewer "
            "a picture of it would mislead."
        )
    else:
        pairs = k * (k - 1) // 2
        sentences.append(
            f"Nemenyi's critical difference at 0.05 is {number(reading.critical_difference, 2)} ranks with {k} "
            f"models and {n} tasks: {reading.separated_pairs()} of {pairs} pairs lie further apart. It depends on "
            "which models are in the pool."
        )
    return tuple(sentences)


def _mean(result: PublishedResult | None) -> float:
    return float("nan") if result is None else result.mean


def _error(result: PublishedResult | None) -> float:
    return 0.0 if result is None else result.reading_error or 0.0


def _mean_cell(mean: float, low: float, high: float) -> TableCell:
    return TableCell(number(mean, 2), (f"{number(low, 2)} to {number(high, 2)}",), value=mean)


def _is(p: float | None) -> str:
    return p_text(p) if p is not None and p < 1e-4 else f"= {p_text(p)}"
