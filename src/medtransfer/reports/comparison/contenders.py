"""The two sides of a comparison: a model found by name, and its cells with everything that identifies them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from medtransfer.core.errors import NotRegisteredError, UsageError
from medtransfer.core.registry import nearest_names
from medtransfer.reports.cells import Cell, gather_cells
from medtransfer.reports.evidence import Evidence, model_key
from medtransfer.reports.phrases import listed
from medtransfer.reports.subjects import Block, ReportModel, ReportTask, read_blocks, read_models, read_tasks

SEE = "medtransfer report STORE"
"""Where the names of a store can be seen."""


@dataclass(frozen=True)
class CellKey:
    """What identifies a cell of one model."""

    task: str
    """Key of the task."""
    protocol: str
    """Registry name of the protocol."""
    settings: str
    """Digest of its settings."""
    fraction: float
    """Label fraction."""


@dataclass(frozen=True)
class ModelCells:
    """All trials of one model, by cell."""

    evidence: Evidence
    """Where they are from."""
    model: ReportModel
    """The model."""
    name: str
    """Its exact name, which several weights may share."""
    tasks: Mapping[str, ReportTask]
    """Tasks of the evidence by key."""
    blocks: tuple[Block, ...]
    """Protocols of the evidence with their settings."""
    cells: Mapping[CellKey, Cell]
    """Its cells, in the order of the evidence."""

    def task(self, key: CellKey) -> ReportTask:
        """Return the task of a cell."""
        return self.tasks[key.task]

    def label(self, key: CellKey) -> str:
        """Return the label of a cell's protocol."""
        return next(
            block.label
            for block in self.blocks
            if block.protocol == key.protocol and key.settings in block.hashes
        )

    def restricted(self, keys: Sequence[CellKey]) -> ModelCells:
        """Return a copy with some of the cells."""
        return replace(self, cells={key: self.cells[key] for key in keys})


def read_cells(evidence: Evidence, name: str) -> ModelCells:
    """Return the cells of the model a user names.

    Args:
        evidence: Where to look.
        name: Exact name of a model, or its label in a report.

    Raises:
        NotRegisteredError: If no trial has a model of that name; the message suggests near names.
        UsageError: If the name stands for several weights.
    """
    model, exact_name = find_model(evidence, name)
    blocks = read_blocks(evidence.records)
    cells = {
        CellKey(place.task, cell.records[0].description.protocol, cell.settings_hash, place.fraction): cell
        for place, cell in gather_cells(evidence.records, blocks).items()
        if place.model == model.key
    }
    tasks = {task.key: task for task in read_tasks(evidence.records)}
    return ModelCells(evidence, model, exact_name, tasks, blocks, cells)


def find_model(evidence: Evidence, name: str) -> tuple[ReportModel, str]:
    """Return the model of a name or label, and its exact name; see :func:`read_cells`.

    Raises:
        NotRegisteredError: If there is none.
        UsageError: If there are several.
    """
    models = read_models(evidence.records)
    named = dict(_names(evidence))
    found = [model for model in models if name == model.label]
    found = found or [model for model in models if name == named[model.key]]
    if not found:
        known = [*(model.label for model in models), *named.values()]
        raise NotRegisteredError(without_results("source model", name, dict.fromkeys(known)))
    if len(found) > 1:
        labels = [model.label for model in found]
        raise UsageError(
            f"source model {name!r}: expected one set of weights, got {len(found)} under this name. "
            f"Name one of {labels[:5]!r}."
        )
    return found[0], named[found[0].key]


def without_results(subject: str, name: str, known: Iterable[str]) -> str:
    """Return the message for a name of which a store has no results, with those it has, the nearest first.

    Args:
        subject: What is looked up, such as ``task``.
        name: The name that was given; it may well be registered.
        known: All names of which there are results.
    """
    names = list(known)
    near = nearest_names(name, names)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    there = listed([repr(one) for one in dict.fromkeys([*near, *names])], most=5) if names else "none"
    return (
        f"{subject} {name!r}: expected results of it in the store, got none; it has results of {there}.{hint} "
        f"See '{SEE}'."
    )


def _names(evidence: Evidence) -> Iterator[tuple[str, str]]:
    for record in evidence.records:
        yield model_key(record), record.description.model
