"""From a study file to records and a report: what ``run``, ``--dry-run`` and the Python interface share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from medtransfer.core.errors import WeightsError
from medtransfer.core.locations import cache_folder
from medtransfer.core.problems import describe_problems
from medtransfer.core.progress import Progress, no_progress
from medtransfer.core.provenance import command_line
from medtransfer.data.splits import write_split
from medtransfer.store.records import Counts, State
from medtransfer.store.store import Store
from medtransfer.study.needed_sides import NeededSides
from medtransfer.study.plan import Trial, plan_trials
from medtransfer.study.plan_remarks import plan_remarks
from medtransfer.study.planner import Plan, estimate
from medtransfer.study.preparation import (
    Folders,
    PreparedTask,
    no_sides,
    prepare_models,
    prepare_tasks,
)
from medtransfer.study.runner import RunOptions, StudyRunner
from medtransfer.study.study import Study
from medtransfer.training.device_choice import parse_devices, refuse_missing_devices
from medtransfer.training.device_policy import policy_for


@dataclass(frozen=True)
class RunRequest:
    """Where a study reads and writes, and how it is executed."""

    store: str
    """Folder, database file or address."""
    data: Path | None = None
    """Folder of the data sets."""
    weights: Path | None = None
    """Folder of the weights files."""
    cache: Path | None = None
    """Folder of decoded images and features; None for the platform's."""
    workers: int = 1
    """Worker processes; 0 runs in this process."""
    device: str = "cpu"
    """Device of the networks, or several CUDA devices separated by commas, over which workers spread."""
    retry_failed: bool = False
    """Whether failed trials run again, and finished ones whose predictions are missing or damaged."""

    @property
    def folders(self) -> Folders:
        """The folders, absolute."""
        return Folders(
            data=self.data and self.data.absolute(),
            weights=self.weights and self.weights.absolute(),
            cache=(self.cache or cache_folder()).absolute(),
        )


@dataclass(frozen=True)
class StudySession:
    """A study whose tasks and models were found and checked; :meth:`run` declares its trials in the store."""

    study: Study
    """The study."""
    store: Store
    """Where its records live."""
    trials: tuple[Trial, ...]
    """Its trials."""
    request: RunRequest
    """How it was asked for."""
    damaged: frozenset[str] = frozenset()
    """Fingerprints of finished trials that run again because their predictions are missing or damaged."""
    remarks: tuple[str, ...] = ()
    """What the study file says without effect, a sentence or two each."""

    @classmethod
    def prepare(
        cls, study: Study, request: RunRequest, *, plan_only: bool = False, progress: Progress = no_progress
    ) -> StudySession:
        """Find and check everything; nothing is declared yet, so that a plan changes no study.

        The check decodes every image that was not seen before; unless only a plan is wanted, decoded images
        that trials still to run need are kept from the same pass, so that no worker decodes them again.

        Args:
            study: The study.
            request: Where it reads and writes.
            plan_only: Keep no decoded images, because nothing will run.
            progress: Told about the check.

        Raises:
            DataError: If a task's data is missing or not as declared.
            WeightsError: If weights are missing, unsafe or of another network.
            UsageError: If the study asks for something no protocol can do, or the store's place is wrong.
            StoreError: If the store or a cache cannot be written.
        """
        folders = request.folders
        folders.check()
        models = prepare_models(study, folders)
        store = Store.open(request.store)
        with ExitStack() as if_refused:
            if_refused.callback(store.close)
            sides = no_sides if plan_only else NeededSides(study, models, store, folders.cache)
            workers = max(request.workers, 1)
            tasks = prepare_tasks(study, folders, sides=sides, workers=workers, progress=progress)
            trials = plan_trials(study, tasks, models)
            remarks = tuple(plan_remarks(study, tasks))
            names = [trial.fingerprint for trial in trials]
            damaged = frozenset(store.damaged(names) if request.retry_failed else ())
            done = {name for name, state in store.states(names).items() if state is State.DONE} - damaged
            to_run = [trial for trial in trials if trial.fingerprint not in done]
            if to_run:
                _check_devices(request.device)
            _check_weights(to_run, folders, progress)
            if_refused.pop_all()
        return cls(study, store, tuple(trials), request, damaged, remarks)

    def estimate(self, *, progress: Progress = no_progress) -> Plan:
        """Return what would run, about how long it would take and how much memory."""
        request = self.request
        return estimate(
            self.trials,
            self.store,
            request.folders,
            request.workers,
            device=parse_devices(request.device)[0],
            damaged=self.damaged,
            progress=progress,
        )

    def run(self, on_counts: Callable[[Counts], None] = lambda _: None) -> Counts:
        """Declare the trials, bring every one to its end and return the study's counts."""
        self._declare()
        options = RunOptions(
            folders=self.request.folders,
            workers=self.request.workers,
            device=self.request.device,
            command=command_line(),
            on_counts=on_counts,
        )
        return StudyRunner(self.store, self.study.name, options).run(self.trials)

    def _declare(self) -> None:
        _write_splits(self.store.artifacts / "splits", {t.task.task.name: t.task for t in self.trials})
        descriptions = [trial.description for trial in self.trials]
        self.store.submit(self.study.name, descriptions, source=self.study.source)
        if self.request.retry_failed:
            self.store.retry_failed(self.study.name)
            self.store.retry_damaged(self.damaged)


def _check_devices(devices: str) -> None:
    """Refuse devices this machine lacks and a policy nobody can understand, before the first trial."""
    refuse_missing_devices(devices)
    for name in parse_devices(devices):
        policy_for(name.partition(":")[0])


def _check_weights(trials: list[Trial], folders: Folders, progress: Progress) -> None:
    """Load every checkpoint once before the first trial, so that a wrong one stops the study early.

    Without any, torch is not even imported: a study that is done is shown at once.
    """
    models = {
        trial.model.model.name: trial.model.model for trial in trials if not trial.model.model.is_random
    }
    if not models:
        return
    from medtransfer.models.check import check_model

    refused = []
    for number, (name, model) in enumerate(models.items(), 1):
        checked = check_model(model, folders.weights)
        if not checked.ok:
            refused.append(f"model {name!r}:\n{describe_problems(checked.problems)}")
        progress("checked weights", number, len(models))
    if refused:
        raise WeightsError("\n".join(refused))


def _write_splits(folder: Path, tasks: dict[str, PreparedTask]) -> None:
    """Keep every split that was drawn here beside the records, under the hash of its data."""
    for name, task in tasks.items():
        path = folder / f"{name}-{task.data_hash[:12]}.csv"
        if not path.exists():
            write_split(path, task.cases)
