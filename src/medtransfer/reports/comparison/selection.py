"""Which rows a user asks for, checked against what there is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from medtransfer.core.errors import NotRegisteredError, UsageError
from medtransfer.reports.comparison.contenders import CellKey, ModelCells, without_results
from medtransfer.reports.phrases import listed


@dataclass(frozen=True)
class Selection:
    """Rows of a comparison; what is left out selects nothing away."""

    task: str | None = None
    """Name or label of a task."""
    protocol: str | None = None
    """Name or label of a protocol."""
    label_fraction: float | None = None
    """Label fraction, in (0, 1]."""
    metric: str | None = None
    """Metric to compare; null for the primary metric of each task."""


def select(selection: Selection, sides: Sequence[ModelCells]) -> list[ModelCells]:
    """Return the sides with the cells that are asked for.

    Raises:
        NotRegisteredError: If a task, protocol or metric is not there; the message suggests near names.
        UsageError: If no side has the label fraction, or nothing fits all that is asked.
    """
    _check_names(selection, sides)
    chosen = [side.restricted([key for key in side.cells if _fits(selection, side, key)]) for side in sides]
    if not any(side.cells for side in chosen):
        raise UsageError(
            "compare: expected trials that fit everything asked for, got none. Leave out --task, --protocol or "
            "--label-fraction."
        )
    return chosen


def _fits(selection: Selection, side: ModelCells, key: CellKey) -> bool:
    task = side.task(key)
    return (
        selection.task in (None, task.name, task.label)
        and selection.protocol in (None, key.protocol, side.label(key))
        and (selection.label_fraction is None or math.isclose(key.fraction, selection.label_fraction))
    )


def _check_names(selection: Selection, sides: Sequence[ModelCells]) -> None:
    keys = [(side, key) for side in sides for key in side.cells]
    tasks = [side.task(key) for side, key in keys]
    _known("task", selection.task, [name for task in tasks for name in (task.name, task.label)])
    _known(
        "protocol",
        selection.protocol,
        [name for side, key in keys for name in (key.protocol, side.label(key))],
    )
    _known("metric", selection.metric, [metric.name for task in tasks for metric in task.metrics])
    fractions = sorted({key.fraction for _, key in keys})
    wanted = selection.label_fraction
    if wanted is not None and not any(math.isclose(wanted, fraction) for fraction in fractions):
        known = listed([f"{fraction:g}" for fraction in fractions], most=10)
        raise UsageError(f"label fraction: expected one of {known}, got {wanted:g}.")


def _known(subject: str, name: str | None, known: Iterable[str]) -> None:
    names = dict.fromkeys(known)
    if name is not None and name not in names:
        raise NotRegisteredError(without_results(subject, name, names))
