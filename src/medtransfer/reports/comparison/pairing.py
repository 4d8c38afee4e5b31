"""Which cells of two models stand beside each other, and why others do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from medtransfer.core.errors import DataError
from medtransfer.reports.cells import Cell
from medtransfer.reports.comparison.contenders import CellKey, ModelCells
from medtransfer.reports.comparison.records import RowPlace
from medtransfer.reports.estimates import Slot, read_runs
from medtransfer.reports.phrases import count, listed, setting
from medtransfer.reports.subjects import ReportTask


@dataclass(frozen=True)
class CellPair:
    """The cells of both models in one place."""

    place: RowPlace
    """Where they stand."""
    task: ReportTask
    """Their task."""
    a: Cell | None
    """Cell of A; null where it has no trial."""
    b: Cell | None
    """Cell of B; null where it has no trial."""
    remarks: tuple[str, ...] = ()
    """What differs between the two cells besides the model."""


def pair_within(a: ModelCells, b: ModelCells) -> list[CellPair]:
    """Return the pairs of two models of one store: same task and data, same settings, same label fraction."""
    keys = dict.fromkeys([*a.cells, *b.cells])
    return [_pair(a, b, key, key) for key in keys]


def pair_across(a: ModelCells, b: ModelCells) -> list[CellPair]:
    """Return the pairs of two stores: same data by its hash, same protocol, same label fraction.

    Settings that differ are paired where each side has one set of them, and the pair says so.

    Raises:
        DataError: If a task has the same name on both sides and other data.
    """
    partners = _partner_tasks(a, b)
    pairs, used = [], set()
    for key in a.cells:
        other = _partner_cell(a, b, key, partners.get(key.task))
        used.add(other)
        pairs.append(_pair(a, b, key, other))
    return pairs + [_pair(a, b, None, key) for key in b.cells if key not in used]


def missing_reason(cell: Cell | None, task: ReportTask, metric: str) -> str | None:
    """Return why a cell has no number to compare; null when it has one."""
    if cell is None:
        return "no such trial"
    if not cell.applicable:
        return f"not applicable: {cell.overlap_reason or 'pretrained on the images of this task'}"
    if metric not in [known.name for known in task.metrics]:
        return f"metric {metric!r} is not computed for this task"
    if cell.finished:
        runs, undefined = read_runs(cell.finished, Slot(metric))
        if runs:
            return None
        return f"metric undefined in {count(undefined, 'run')}" if undefined else "metric not stored"
    reasons = listed(sorted({record.reason for record in cell.records if record.reason}))
    parts = [f"{cell.failed} failed ({reasons})"] if cell.failed else []
    parts += [f"{cell.waiting} not finished"] if cell.waiting else []
    return ", ".join(parts)


def _pair(a: ModelCells, b: ModelCells, key_a: CellKey | None, key_b: CellKey | None) -> CellPair:
    side, key = (a, key_a) if key_a is not None and key_a in a.cells else (b, key_b)
    assert key is not None
    task = side.task(key)
    place = RowPlace(task.label, side.label(key), key.settings, key.fraction)
    cell_a = None if key_a is None else a.cells.get(key_a)
    cell_b = None if key_b is None else b.cells.get(key_b)
    remarks = () if cell_a is None or cell_b is None else tuple(_settings_remark(cell_a, cell_b))
    return CellPair(place, task, cell_a, cell_b, remarks)


def _settings_remark(a: Cell, b: Cell) -> Iterator[str]:
    if a.settings_hash == b.settings_hash:
        return
    first, second = (dict(cell.records[0].description.settings) for cell in (a, b))
    told = [
        f"{name.replace('_', ' ')} {setting(first.get(name))} (A), {setting(second.get(name))} (B)"
        for name in sorted(first.keys() | second.keys())
        if first.get(name) != second.get(name) or (name in first) != (name in second)
    ]
    yield f"the settings differ: {listed(told)}"


def _partner_tasks(a: ModelCells, b: ModelCells) -> Mapping[str, str]:
    """Return the task of B for every task of A that has the same data."""
    tasks_a = {key.task: a.task(key) for key in a.cells}
    tasks_b = {key.task: b.task(key) for key in b.cells}
    partners: dict[str, str] = {}
    for key, task in tasks_a.items():
        same = [
            other for other, found in tasks_b.items() if task.data_hash and found.data_hash == task.data_hash
        ]
        same.sort(key=lambda other: (tasks_b[other].name != task.name, other != key))
        free = [other for other in same if other not in partners.values()]
        if free:
            partners[key] = free[0]
    left_b = {task.name: task for key, task in tasks_b.items() if key not in partners.values()}
    for key, task in tasks_a.items():
        if key not in partners and task.name in left_b:
            raise DataError(
                f"task {task.label!r}: expected the same data in both stores, got data hash "
                f"{task.data_hash[:12]!r} and {left_b[task.name].data_hash[:12]!r}. Results on other images, "
                "labels or splits cannot be compared; name another task with --task."
            )
    return partners


def _partner_cell(a: ModelCells, b: ModelCells, key: CellKey, task: str | None) -> CellKey | None:
    if task is None:
        return None
    wanted = replace(key, task=task)
    if wanted in b.cells:
        return wanted
    alike_a = [
        k for k in a.cells if (k.task, k.protocol, k.fraction) == (key.task, key.protocol, key.fraction)
    ]
    alike_b = [k for k in b.cells if (k.task, k.protocol, k.fraction) == (task, key.protocol, key.fraction)]
    return alike_b[0] if len(alike_a) == len(alike_b) == 1 else None
