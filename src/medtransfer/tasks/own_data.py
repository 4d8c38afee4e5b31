"""Own data: a task declared in a few lines over a folder per class, a CSV manifest, or images and masks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from medtransfer.core.errors import UsageError
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import CaseTable
from medtransfer.tasks.image_folders import open_image_folders
from medtransfer.tasks.manifest import open_manifest
from medtransfer.tasks.mask_folders import open_mask_folders
from medtransfer.tasks.own_data_declaration import OwnData, parse_own_data
from medtransfer.tasks.target_task import TargetTask

_METRICS = {
    TaskKind.BINARY: ("auc", "accuracy", "balanced-accuracy"),
    TaskKind.MULTI_CLASS: ("auc", "accuracy", "balanced-accuracy"),
    TaskKind.MULTI_LABEL: ("auc",),
    TaskKind.SEGMENTATION: ("dice", "dice-pooled"),
}


def open_own_data(name: str, declaration: Mapping[str, Any], root: Path) -> tuple[TargetTask, CaseTable]:
    """Return the target task a user declared, with its cases.

    Kind and classes come from the declaration or, where it leaves them open, from the files.

    Args:
        name: Name of the task in reports.
        declaration: The fields of :class:`~medtransfer.tasks.own_data_declaration.OwnData`.
        root: Folder of the data set, resolved.

    Raises:
        UsageError: If the declaration has unknown or contradicting keys; all faults in one message.
        DataError: If the files do not fit the declaration.
    """
    spec = parse_own_data(name, dict(declaration))
    cases = _open(root, name=name, spec=spec)
    task_metrics = tuple(spec.metrics or _default_metrics(cases))
    task = TargetTask(
        name=name,
        revision=1,
        title=spec.title or name,
        kind=cases.kind,
        classes=cases.classes,
        metrics=task_metrics,
        open=partial(_open, name=name, spec=spec),
        folders=(spec.root,),
        licence="own data",
        citation="own data",
        image_sets=(*spec.image_sets, f"own:{name}"),
        equivalence_margin=_margin(name, spec, task_metrics[0]),
    )
    return task, cases


def _default_metrics(cases: CaseTable) -> tuple[str, ...]:
    """Return the metrics of a kind; those of whole volumes first where masks are slices of volumes."""
    usual = _METRICS[cases.kind]
    if not cases.has_volumes:
        return usual
    if cases.kind is TaskKind.SEGMENTATION:
        return ("dice-volume", *usual)
    return (*usual, "auc-volume") if cases.kind is not TaskKind.MULTI_CLASS else usual


def _margin(name: str, spec: OwnData, primary: str) -> float | None:
    try:
        return spec.margin_of(primary)
    except ValueError as error:
        raise UsageError(f"task {name!r}: {error}. Declare a smaller one.") from error


def _open(root: Path, *, name: str, spec: OwnData) -> CaseTable:
    if spec.is_segmentation:
        return open_mask_folders(name, root, spec)
    if spec.manifest is not None:
        return open_manifest(name, root, spec)
    return open_image_folders(name, root, spec)
