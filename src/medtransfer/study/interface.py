"""What Python programs call: the command line's study, run, task and model, with the same checks."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from medtransfer.core.errors import UsageError
from medtransfer.core.locations import STORE_VARIABLE, cache_folder, data_folder, weights_folder
from medtransfer.core.progress import Progress, no_progress
from medtransfer.core.registry import unknown_name
from medtransfer.data.problem_codes import PROBLEM_CODES
from medtransfer.store.records import Counts, Record
from medtransfer.store.store import Store
from medtransfer.study import study as declared
from medtransfer.study.entries import Declarations
from medtransfer.study.preparation import Folders, PreparedTask, prepare_tasks
from medtransfer.study.session import RunRequest, StudySession

if TYPE_CHECKING:
    from medtransfer.models.network import Encoder

DEFAULT_STORE = "medtransfer-store"
"""Store of a run that names none, as on the command line."""

Entry = str | Mapping[str, Any]
"""A name, or one ``{name: settings}`` pair, as in a study file."""


class Study(declared.Study):
    """A study declared in Python; the arguments are the keys of a study file.

    Args:
        name: Name in the store and in reports.
        tasks: Target tasks: registered names, ``{name: {"folder": ...}}``, or own data.
        models: Source models: names, or declared ones.
        protocols: Protocols: names, or ``{name: settings}``.
        label_fractions: Shares of the training split, each in (0, 1]; all labels if None.
        seeds: Repetitions of every trial that a seed can change; 5 if None.
        label_order: Order in which label fractions are taken, ``patients`` or ``shuffle99``; the first if None.
        accept: Task to the codes of the problems that must not stop it.
        blocks: Mappings with any of the keys from ``tasks`` to ``seeds``; what a block leaves out is
            taken from the arguments.

    Raises:
        UsageError: If anything is wrong; the message lists every fault.

    Example:
        >>> study = Study("tiny", tasks=["breastmnist"], models=["resnet20.random"], protocols=["knn"])
        >>> list(study.tasks), list(study.models)
        (['breastmnist'], ['resnet20.random'])
    """

    def __init__(
        self,
        name: str,
        *,
        tasks: Sequence[Entry] = (),
        models: Sequence[Entry] = (),
        protocols: Sequence[Entry] = (),
        label_fractions: Sequence[float] | None = None,
        seeds: int | None = None,
        label_order: str | None = None,
        accept: Mapping[str, Sequence[str]] | None = None,
        blocks: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        keys = {
            "name": name,
            "tasks": tasks or None,
            "models": models or None,
            "protocols": protocols or None,
            "label_fractions": label_fractions,
            "seeds": seeds,
            "label_order": label_order,
            "accept": accept,
            "blocks": blocks,
        }
        given = {key: _plain(value, key) for key, value in keys.items() if value is not None}
        parsed = declared.Study.parse(given)
        super().__init__(parsed.name, parsed.blocks, parsed.accept, parsed.source)


@dataclass(frozen=True)
class StudyRun:
    """What :func:`run` leaves behind: a study in a store."""

    study: str
    """Name of the study."""
    store: str
    """Where its records are."""
    counts: Counts
    """How its trials ended."""

    def records(self) -> list[Record]:
        """Return all records of the study."""
        with Store.open(self.store, create=False) as store:
            return store.records(self.study)

    def table(self) -> pd.DataFrame:
        """Return one row per trial.

        The columns are ``task``, ``model``, ``protocol``, ``label_fraction``, ``repetition``, ``state``,
        ``reason``, ``train_cases``, and every metric as ``<split>.<checkpoint>.<metric>``, empty where a
        trial has none.
        """
        return pd.DataFrame([_row(record) for record in self.records()])


def run(
    study: declared.Study | Mapping[str, Any] | str | Path,
    *,
    store: str | Path | None = None,
    data: str | Path | None = None,
    weights: str | Path | None = None,
    cache: str | Path | None = None,
    workers: int = 0,
    device: str = "cpu",
    retry_failed: bool = False,
    progress: Progress = no_progress,
) -> StudyRun:
    """Run every trial of a study that is not done yet, as ``medtransfer run`` does.

    Folders that are not named are taken from the environment variables of the command line.

    Args:
        study: A study, the mapping of a study file, or the path of one.
        store: Folder, database file or address; ``medtransfer-store`` if neither this nor the variable
            is set.
        data: Folder of the data sets.
        weights: Folder of the weights files.
        cache: Folder of decoded images and features.
        workers: Worker processes; 0 runs in this process. With more, a script needs the usual
            ``if __name__ == "__main__":`` guard, because workers import it.
        device: Device of the networks, such as ``cuda``, or several such as ``cuda:0,cuda:1``, over which
            workers spread.
        retry_failed: Whether failed trials run again, and finished ones whose predictions are missing or
            damaged.
        progress: Told about the preparation, and how many trials have ended.

    Returns:
        Where the results are. Failed trials do not raise: look at ``counts.failed``.

    Raises:
        UsageError: If the study or a place is wrong.
        DataError: If a task's data is missing or not as declared.
        WeightsError: If weights are missing, unsafe or of another network.
        StoreError: If the store cannot be read or written.
    """
    place = str(store or os.environ.get(STORE_VARIABLE) or DEFAULT_STORE)
    request = RunRequest(
        store=place,
        data=_folder(data, data_folder),
        weights=_folder(weights, weights_folder),
        cache=_folder(cache, cache_folder),
        workers=workers,
        device=device,
        retry_failed=retry_failed,
    )
    session = StudySession.prepare(_study(study), request, progress=progress)
    with session.store:
        counts = session.run(lambda now: progress("trials", now.done + now.failed, now.total))
    return StudyRun(session.study.name, place, counts)


def load_task(
    task: Entry,
    *,
    data: str | Path | None = None,
    cache: str | Path | None = None,
    accept: Sequence[str] = (),
    progress: Progress = no_progress,
) -> PreparedTask:
    """Find, open and check a target task, as a study does before its first trial.

    Args:
        task: A registered name, or one ``{name: settings}`` pair: own data, or another folder.
        data: Folder of the data sets; ``MEDTRANSFER_DATA`` if None.
        cache: Folder for what the check remembers; the platform's if None.
        accept: Codes of the problems that must not stop it.
        progress: Told about the check.

    Returns:
        The task's record, its case table and the problems that were accepted.

    Raises:
        UsageError: If the task or a code is unknown, or own data is wrongly declared.
        DataError: If the data is missing or not as declared; the message lists every problem.
    """
    unknown = [code for code in accept if code not in PROBLEM_CODES]
    if unknown:
        raise UsageError(unknown_name("problem", unknown[0], PROBLEM_CODES, "medtransfer tasks check"))
    entry = Declarations().task(_plain(task, "task"))
    folders = Folders(
        data=_folder(data, data_folder), weights=None, cache=_folder(cache, cache_folder) or cache_folder()
    )
    folders.check()
    block = declared.Block(tasks=(entry,), models=(), protocols=())
    alone = declared.Study(entry.name, (block,), accept={entry.name: tuple(accept)})
    return prepare_tasks(alone, folders, progress=progress)[entry.name]


def load_model(
    model: Entry,
    *,
    weights: str | Path | None = None,
    seed: int = 0,
    image_size: int | None = None,
) -> Encoder:
    """Build the network of a source model with its weights, every parameter accounted for.

    Args:
        model: A name such as ``squeezenet1_1.sup_in1k`` or ``timm/resnet18.a1_in1k``, or one
            ``{name: settings}`` pair that declares a checkpoint.
        weights: Folder of the weights files; ``MEDTRANSFER_WEIGHTS`` if None.
        seed: Seed of random weights; without influence on pretrained ones.
        image_size: Side in pixels of the images that will come; None for the model's own.

    Returns:
        A module in evaluation mode, from uint8 images (N, 1 or 3, H, W) to features (N, F).

    Raises:
        UsageError: If there is no such model, or it is wrongly declared.
        WeightsError: If weights are missing, unsafe, damaged or of another network.
    """
    folders = Folders(data=None, weights=_folder(weights, weights_folder), cache=cache_folder())
    folders.check()
    record = Declarations().model(_plain(model, "model"))
    from medtransfer.models.network import build_encoder

    return build_encoder(record, weights_folder=folders.weights, seed=seed, image_size=image_size)


def _study(study: declared.Study | Mapping[str, Any] | str | Path) -> declared.Study:
    if isinstance(study, declared.Study):
        return study
    if isinstance(study, str | Path):
        return declared.Study.read(Path(study))
    return declared.Study.parse(_plain(study, "study"))


def _folder(given: str | Path | None, otherwise: Callable[[], Path | None]) -> Path | None:
    folder = otherwise() if given is None else Path(given)
    return folder and folder.absolute()


def _plain(value: Any, where: str) -> Any:
    """Return a value as a study file would hold it: tuples as lists, paths as text.

    Raises:
        UsageError: If it is something no study file can hold.
    """
    if isinstance(value, Mapping):
        return {key: _plain(item, where) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, where) for item in value]
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise UsageError(
        f"{where}: expected text, numbers, lists and mappings, got {type(value).__name__} {value!r:.80}."
    )


def _row(record: Record) -> dict[str, Any]:
    trial = record.description
    row: dict[str, Any] = {
        "task": trial.task,
        "model": trial.model,
        "protocol": trial.protocol,
        "label_fraction": trial.label_fraction,
        "repetition": trial.repetition,
        "state": record.state.value,
        "reason": record.reason,
        "train_cases": record.outcome.train_cases if record.outcome else None,
    }
    for key, values in (record.outcome.metrics if record.outcome else {}).items():
        split, _, checkpoint = key.partition("/")
        for metric, found in values.items():
            row[f"{split}.{checkpoint or 'best'}.{metric}"] = found["value"]
    return row
