"""Small pictures of test cases for a report, from the study's own data; made only when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from medtransfer.core.atomic import write_atomically
from medtransfer.core.errors import DataError, UsageError
from medtransfer.core.fingerprints import hash_json
from medtransfer.core.locations import cache_folder
from medtransfer.data.case_table import CaseTable
from medtransfer.data.thumbnails import SIDE, case_thumbnail
from medtransfer.store.store import Store
from medtransfer.study.entries import Declarations, TaskEntry, named
from medtransfer.study.preparation import Folders, locate
from medtransfer.study.study_file import parse_yaml

_FOLDER = "thumbnails"
_REVISION = 1
"""Raised whenever the same case would give another picture."""


class ReportedTask(Protocol):
    """A task as a report knows it."""

    @property
    def label(self) -> str:
        """Name for people."""

    @property
    def data_hash(self) -> str:
        """Digest of its images, labels and splits."""


Thumbnails = Callable[[ReportedTask, Sequence[str]], Mapping[str, bytes]]
"""From a task and case ids to PNG bytes by case id; a case without a readable image is left out."""


def case_pictures(store: Store, study: str, data: Path | None, cache: Path | None = None) -> Thumbnails:
    """Return what makes pictures of a study's test cases.

    Images leave the data folder this way: call it only when a person asked for pictures. A task is
    opened when the first picture of it is wanted, and refused when its data is not what the trials
    were run on: a case id of other data would show another patient.

    Args:
        store: Where the study is.
        study: Its name.
        data: Folder of the data sets; None for the current folder.
        cache: Folder in which small pictures are kept; None for the platform's.

    Raises:
        UsageError: If the store has no such study, or its study file names tasks that are not known.
        DataError: If the data folder is not there.
    """
    folders = Folders(data and data.absolute(), None, (cache or cache_folder()).absolute())
    folders.check()
    entries = {entry.name: entry for entry in _task_entries(store.study_source(study), study)}
    names = {str(r.description.facts.get("data_hash", "")): r.description.task for r in store.records(study)}
    opened: dict[str, CaseTable] = {}

    def pictures(task: ReportedTask, case_ids: Sequence[str]) -> dict[str, bytes]:
        if task.data_hash not in opened:
            opened.clear()
            opened[task.data_hash] = _open(task, entries.get(names.get(task.data_hash, "")), folders)
        return dict(_pictures(opened[task.data_hash], case_ids, folders.cache / _FOLDER))

    return pictures


def _task_entries(source: str, study: str) -> Iterator[TaskEntry]:
    """Yield the tasks of a study file; its models and protocols are not needed, nor their files."""
    if not source.strip():
        raise UsageError(
            f"study {study!r}: expected its study file in the store, got none. Run the study again."
        )
    content = parse_yaml(source, f"file of study {study!r} in the store")
    entries = [entry for part in _parts(content) for entry in part.get("tasks") or ()]
    pairs = [named(entry, {}) for entry in entries]
    declared = {name: settings for name, settings in pairs if settings is not None}
    for entry in entries:
        yield Declarations(tasks=declared).task(entry)


def _parts(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [content, *(content.get("blocks") or ())]


def _open(task: ReportedTask, entry: TaskEntry | None, folders: Folders) -> CaseTable:
    """Open a task and check that its data is what the trials were run on."""
    if entry is None:
        raise UsageError(
            f"pictures of {task.label!r}: expected a task of the study file, got none with this data. "
            "Leave out --pictures, or name the study that ran it."
        )
    _, cases = locate(entry, folders.data).open()
    if cases.content_hash() != task.data_hash:
        raise DataError(
            f"pictures of {task.label!r}: expected the data its trials were run on, got other images, labels or "
            "splits. Name the right data folder with --data, or leave out --pictures."
        )
    return cases


def _pictures(cases: CaseTable, case_ids: Sequence[str], folder: Path) -> Iterator[tuple[str, bytes]]:
    places = {str(case_id): row for row, case_id in enumerate(cases.frame["case_id"])}
    for case_id in case_ids:
        if case_id not in places:
            continue
        path = folder / f"{_key(cases, places[case_id])}.png"
        if path.is_file():
            yield case_id, path.read_bytes()
            continue
        png = case_thumbnail(cases, places[case_id])
        if png is not None:
            write_atomically(path, png)
            yield case_id, png


def _key(cases: CaseTable, row: int) -> str:
    masks = cases.frame["mask"].iloc[row] if "mask" in cases.frame.columns else ()
    parts = [str(cases.frame["image"].iloc[row]), *(str(mask) for mask in masks)]
    return hash_json([[cases.source.content_hash(part) for part in parts], SIDE, _REVISION])
