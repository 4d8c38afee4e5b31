"""How a registered task is opened: its data, a split the user pinned, and the mark of a synthetic sample."""

from __future__ import annotations

from pathlib import Path

from medtransfer.core.errors import DataError
from medtransfer.data.case_table import CaseTable
from medtransfer.data.splits import read_split, with_split
from medtransfer.tasks.published_lists import FOLDER
from medtransfer.tasks.samples import as_sample, sample_family
from medtransfer.tasks.target_task import TargetTask


def open_target_task(task: TargetTask, root: Path) -> tuple[TargetTask, CaseTable]:
    """Return a task and its cases.

    A file ``splits/<task>.csv`` in the data set's folder, such as a store keeps next to its results,
    replaces the task's own split; with the digest recorded beside it, it must be unchanged.

    Args:
        task: Registered task.
        root: Folder or file of its data set.

    Returns:
        The task, marked as generated when the folder is a synthetic sample, and its case table.

    Raises:
        DataError: If the files are not what the task expects, or the pinned split names other cases.
    """
    cases = task.open(root)
    pinned = root / FOLDER / f"{task.name}.csv"
    if root.is_dir() and pinned.is_file():
        cases = with_split(cases, read_split(pinned), "user")
    sampled, family = sample_family(root), task.family or task.name
    if sampled is None:
        return task, cases
    if sampled != family:
        raise DataError(
            f"task {task.name!r}: expected data or a sample of {family!r} at {root}, got a synthetic sample of "
            f"{sampled!r}. Name the right folder."
        )
    return as_sample(task, cases)
