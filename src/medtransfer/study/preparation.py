"""Before anything runs: find, open, check and hash every task and every model of a study."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from medtransfer.core.errors import DataError, UsageError, WeightsError
from medtransfer.core.locations import DATA_VARIABLE, WEIGHTS_VARIABLE
from medtransfer.core.problems import Problem, describe_problems
from medtransfer.core.progress import Progress, no_progress
from medtransfer.data.audit import audit_facts
from medtransfer.data.case_digests import CaseDigests, case_digests
from medtransfer.data.case_table import CaseTable
from medtransfer.data.data_check import CheckOptions, DataCheck, check_data
from medtransfer.data.pixel_facts import facts_and_caches
from medtransfer.features.array_files import folder_limit_bytes
from medtransfer.models.source_model import SourceModel
from medtransfer.models.weights_files import weights_hash
from medtransfer.study.entries import TaskEntry
from medtransfer.study.metric_problems import metric_problems
from medtransfer.study.study import Study
from medtransfer.tasks.location import locate_task
from medtransfer.tasks.opening import open_target_task
from medtransfer.tasks.own_data import open_own_data
from medtransfer.tasks.registry import target_tasks
from medtransfer.tasks.target_task import TargetTask

NEVER_ACCEPTED: Final = ("unreadable-image", "unreadable-mask")
"""Codes of problems without whose correction no trial can be computed."""


@dataclass(frozen=True)
class Folders:
    """Where a run reads and caches."""

    data: Path | None
    """Folder of the data sets."""
    weights: Path | None
    """Folder of the weights files."""
    cache: Path
    """Folder of decoded images, features and hashes."""

    def check(self) -> None:
        """Check that the folders the user named are there, and that the room they may take is a number.

        Raises:
            DataError: If the data folder is not.
            WeightsError: If the weights folder is not.
            UsageError: If the limit of the features in the environment is no number.
        """
        folder_limit_bytes()
        if self.data is not None and not self.data.is_dir():
            raise DataError(_no_folder("data", self.data, DATA_VARIABLE))
        if self.weights is not None and not self.weights.is_dir():
            raise WeightsError(_no_folder("weights", self.weights, WEIGHTS_VARIABLE))


@dataclass(frozen=True)
class TaskLocation:
    """Enough to open a task again in another process."""

    name: str
    """Task name."""
    root: Path
    """Folder or file of the data set, absolute."""
    own_data: Mapping[str, Any] | None = None
    """Declaration of own data; None for a registered task."""

    def open(self) -> tuple[TargetTask, CaseTable]:
        """Return the task and its cases.

        Raises:
            DataError: If the files are not what the task expects.
        """
        if self.own_data is not None:
            return open_own_data(self.name, self.own_data, self.root)
        return open_target_task(target_tasks.get(self.name), self.root)


@dataclass(frozen=True)
class PreparedTask:
    """A task that was found, opened and checked."""

    task: TargetTask
    """Its record."""
    location: TaskLocation
    """Where it is."""
    cases: CaseTable
    """Its cases."""
    data_hash: str
    """Hash of everything in it that a result can depend on."""
    accepted: tuple[Problem, ...] = ()
    """Problems the study accepts by name."""


@dataclass(frozen=True)
class PreparedModel:
    """A source model whose weights were found."""

    model: SourceModel
    """Its record."""
    weights_hash: str
    """Digest of its weights, or ``random``."""


def locate(entry: TaskEntry, data: Path | None) -> TaskLocation:
    """Return where a study's task lies.

    Raises:
        DataError: If it is not there; the message lists the places tried.
    """
    if entry.own_data is None:
        return TaskLocation(
            entry.name, locate_task(target_tasks.get(entry.name), data, entry.folder).absolute()
        )
    root = (data or Path()) / str(entry.own_data["root"])
    if not root.is_dir():
        raise DataError(
            f"task {entry.name!r}: expected a folder at {root}, got none. Check 'root' in the study and --data."
        )
    return TaskLocation(entry.name, root.absolute(), entry.own_data)


Sides = Callable[[PreparedTask, CaseDigests], Collection[int]]
"""From an opened task and the hashes of its files to the sides at which its decoded images are to be kept."""


def no_sides(task: PreparedTask, digests: CaseDigests) -> Collection[int]:  # noqa: ARG001 (the interface)
    """Return none: nothing of what is decoded is kept."""
    return ()


def inspect_task(
    location: TaskLocation,
    cache: Path,
    *,
    sides: Sides = no_sides,
    workers: int = 1,
    progress: Progress = no_progress,
) -> tuple[PreparedTask, list[Problem]]:
    """Open a task and return it with every problem found, none of them accepted.

    Every image and mask is decoded once, for the check and for the caches together.

    Args:
        location: Where the task is.
        cache: Root of the caches.
        sides: Tells which decoded caches to build meanwhile.
        workers: Most processes to decode with.
        progress: Told about the cases decoded.

    Raises:
        DataError: If it cannot be opened at all, or its files change while they are read.
        StoreError: If a cache cannot be written.
    """
    task, cases = location.open()
    digests = case_digests(cases)
    prepared = PreparedTask(task, location, cases, digests.of_table(cases))
    kept = sides(prepared, digests)
    facts = facts_and_caches(cases, digests, kept, cache, workers=workers, progress=progress)
    return prepared, audit_facts(cases, facts, task.expected)


def check_task(
    location: TaskLocation,
    cache: Path,
    *,
    workers: int = 1,
    near_duplicates: bool = True,
    progress: Progress = no_progress,
) -> tuple[TargetTask, DataCheck]:
    """Open a task and return it with everything a person wants to know about its data.

    Raises:
        DataError: If it cannot be opened at all.
    """
    task, cases = location.open()
    options = CheckOptions(cache, workers, near_duplicates, progress)
    check = check_data(cases, task.expected, options)
    return task, replace(check, problems=(*check.problems, *metric_problems(task, cases)))


def prepare_tasks(
    study: Study,
    folders: Folders,
    *,
    sides: Sides = no_sides,
    workers: int = 1,
    progress: Progress = no_progress,
) -> dict[str, PreparedTask]:
    """Return every task of a study, checked.

    Args:
        study: The study.
        folders: Where to read and cache.
        sides: Tells which decoded caches of a task to build while it is checked.
        workers: Most processes to decode with.
        progress: Told about the cases decoded.

    Raises:
        DataError: If a task is missing or has problems the study does not accept; all tasks are
            looked at first, so that one message names everything.
        UsageError: If the study accepts a problem with which nothing can be computed.
        StoreError: If a cache cannot be written.
    """
    _refuse_vain_accepts(study)
    prepared: dict[str, PreparedTask] = {}
    refused: list[str] = []
    for name, entry in study.tasks.items():
        try:
            location = locate(entry, folders.data)
            found, problems = inspect_task(
                location, folders.cache, sides=sides, workers=workers, progress=progress
            )
        except DataError as error:
            refused.append(str(error))
            continue
        accepted = study.accept.get(name, ())
        open_problems = [problem for problem in problems if problem.what not in accepted]
        if open_problems:
            refused.append(_refusal(name, open_problems))
        prepared[name] = PreparedTask(
            found.task,
            found.location,
            found.cases,
            found.data_hash,
            tuple(problem for problem in problems if problem.what in accepted),
        )
    if refused:
        raise DataError("\n".join(refused))
    return prepared


def prepare_models(study: Study, folders: Folders) -> dict[str, PreparedModel]:
    """Return every source model of a study with the hash of its weights.

    Raises:
        WeightsError: If weights are missing or are not the declared file; one message names them all.
    """
    prepared: dict[str, PreparedModel] = {}
    refused: list[str] = []
    for name, model in study.models.items():
        try:
            prepared[name] = PreparedModel(model, weights_hash(model, folders.weights))
        except WeightsError as error:
            refused.append(str(error))
    if refused:
        raise WeightsError("\n".join(refused))
    return prepared


def _no_folder(name: str, path: Path, variable: str) -> str:
    return f"{name} folder: expected a folder at {path}, got none. Check --{name} or {variable}."


def _refuse_vain_accepts(study: Study) -> None:
    """Refuse to accept what no trial could be computed with, before hours of decoding.

    Raises:
        UsageError: If the study does.
    """
    faults = [
        f"accept.{name}: expected problems that a study can be computed with, got {code!r}. Take it out, and "
        "repair or remove the files that 'medtransfer tasks check' names."
        for name, codes in study.accept.items()
        for code in codes
        if code in NEVER_ACCEPTED
    ]
    if faults:
        raise UsageError("\n".join(f"study {study.name!r}: {fault}" for fault in faults))


def _refusal(name: str, problems: list[Problem]) -> str:
    codes = {problem.what for problem in problems}
    return (
        f"task {name!r}: expected data as declared, got {len(problems)} problem{'s' * (len(problems) > 1)}:\n"
        f"{describe_problems(problems)}\n"
        f"  {_next_step(name, sorted(codes.difference(NEVER_ACCEPTED)), sorted(codes.intersection(NEVER_ACCEPTED)))}"
    )


def _next_step(name: str, acceptable: list[str], never: list[str]) -> str:
    accept = f"accept {{}} in the study file with 'accept: {{{{{name}: [{', '.join(acceptable)}]}}}}'."
    if not never:
        return f"Correct the data, or {accept.format('them')}"
    corrected = f"Correct the data: with {' and '.join(never)}, nothing can be computed."
    return f"{corrected} You may {accept.format('the others')}" if acceptable else corrected
