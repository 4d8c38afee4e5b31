"""How a task finds its folder below the data folder."""

from __future__ import annotations

from pathlib import Path

from medtransfer.core.errors import DataError
from medtransfer.tasks.target_task import TargetTask


def locate_task(task: TargetTask, data_folder: Path | None, folder: str | None = None) -> Path:
    """Return where the task's data set is.

    Args:
        task: The task; its ``folders`` are tried in order.
        data_folder: The data folder; None means the current folder.
        folder: Another place the user named, absolute or below the data folder.

    Raises:
        DataError: If nothing is there; the message lists every place that was tried.
    """
    if task.phantom:
        return data_folder or Path()
    base = data_folder or Path()
    candidates = [base / name for name in ((folder,) if folder else task.folders)]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    tried = ", ".join(str(candidate) for candidate in candidates)
    source = f" Get it from {task.url}." if task.url else ""
    raise DataError(
        f"task {task.name!r}: expected its data at one of {tried}, got none of them. "
        f"Name the data folder with --data, or the task's own with 'folder' in the study.{source}"
    )
