"""One job in a worker: open the task, set up the bench, fit every request, measure every split."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from medtransfer.core.errors import MedtransferError, StoreError, TrialError
from medtransfer.core.progress import no_progress
from medtransfer.core.provenance import code_revision, hardware, package_versions
from medtransfer.data.case_digests import case_digests
from medtransfer.data.case_table import CaseTable
from medtransfer.data.label_fractions import LabelOrder, label_subset
from medtransfer.data.shuffled_subset import divided_patients
from medtransfer.execution.memory_watch import MemoryWatch
from medtransfer.metrics.declared_metrics import compute_metrics
from medtransfer.metrics.predictions import Predictions
from medtransfer.models.source_model import SourceModel
from medtransfer.protocols.transfer_protocol import Bench, Transfer, TransferProtocol, TransferRequest
from medtransfer.store.records import Outcome
from medtransfer.study.preparation import Folders, TaskLocation
from medtransfer.tasks.target_task import TargetTask
from medtransfer.training.device_choice import claim_device
from medtransfer.training.device_faults import DEVICE_LOST, device_fault, release_device_memory

_OPENED: dict[tuple[str, Path, str], tuple[TargetTask, CaseTable]] = {}
"""The task this process opened last; jobs of one task come one after another."""


@dataclass(frozen=True)
class TrialJob:
    """Everything a worker needs for the trials of one job; picklable."""

    location: TaskLocation
    """The task, to be opened in the worker."""
    data_hash: str
    """What its cases must hash to."""
    model: SourceModel
    """The source model."""
    protocol: TransferProtocol
    """The protocol with its settings."""
    folders: Folders
    """Where to read and cache."""
    trials: tuple[tuple[str, float, int, int], ...]
    """Fingerprint, label fraction, repetition and seed of each trial."""
    command: str = ""
    """Command line of the run, for provenance."""
    device: str = "cpu"
    """Device for the network, or several of which each worker takes one."""
    workers: int = 0
    """Worker processes of the run; they share the memory of the devices."""
    label_order: LabelOrder = "patients"
    """Order in which label fractions are taken."""


@dataclass(frozen=True)
class TrialDone:
    """A trial that ended well."""

    fingerprint: str
    """Its key."""
    outcome: Outcome
    """What the store keeps."""
    predictions: pd.DataFrame
    """Per-case predictions of every checkpoint and split."""
    peak_bytes: int | None = None
    """Most memory the worker held meanwhile; None where it was not measured."""


@dataclass(frozen=True)
class TrialFailed:
    """A trial that ended without a valid result."""

    fingerprint: str
    """Its key."""
    reason: str
    """Code for the record."""
    message: str
    """What happened."""
    traceback: str
    """Where."""


def run_trials(job: TrialJob) -> Iterator[TrialDone | TrialFailed]:
    """Yield the result of every trial of a job, in order, each as soon as it is there; first those without cases.

    A trial that fails does not touch the others: they are fitted after it, and their numbers do
    not depend on it.

    Raises:
        StoreError: If features or images cannot be written, which is no trial's fault.
        UsageError: If this machine lacks the device.
    """
    task, cases = _opened(job.location)
    digests = case_digests(cases)
    if digests.of_table(cases) != job.data_hash:
        raise TrialError(
            "data_changed", f"task {task.name!r}: expected unchanged data since the plan, got other files."
        )
    job = replace(job, device=_device_of(job))
    watch = MemoryWatch(job.folders.cache) if job.workers else None  # else the process is not ours to measure
    bench = Bench(
        task=task.name,
        cases=cases,
        model=job.model,
        weights_folder=job.folders.weights,
        cache_folder=job.folders.cache,
        selection_metric=task.primary_metric,
        device=job.device,
        digests=digests,
        progress=watch or no_progress,
    )
    drawn = [_request(job, task.name, cases, trial) for trial in job.trials]
    yield from (failed for failed in drawn if isinstance(failed, TrialFailed))
    fitting = [
        (trial, found)
        for trial, found in zip(job.trials, drawn, strict=True)
        if isinstance(found, TransferRequest)
    ]
    job = replace(job, trials=tuple(trial for trial, _ in fitting))
    results = _run_all(job, task, bench, [request for _, request in fitting])
    yield from results if watch is None else _with_memory(results, watch)


def _run_all(
    job: TrialJob, task: TargetTask, bench: Bench, requests: Sequence[TransferRequest]
) -> Iterator[TrialDone | TrialFailed]:
    start = 0
    while start < len(requests):
        start = yield from _run_until_failure(job, task, bench, requests, start)


def _with_memory(
    results: Iterator[TrialDone | TrialFailed], watch: MemoryWatch
) -> Iterator[TrialDone | TrialFailed]:
    """Yield results, each done trial with the most memory this process held while it ran."""
    watch.begin()
    for result in results:
        yield replace(result, peak_bytes=watch.most_bytes()) if isinstance(result, TrialDone) else result
        watch.begin()


def _device_of(job: TrialJob) -> str:
    """Return the device this process works on.

    Raises:
        TrialError: If it is there and cannot be used, such as a full one.
        UsageError: If it is not there.
    """
    try:
        return claim_device(job.device, job.workers)
    except RuntimeError as error:
        fault = device_fault(error, job.device)
        if fault is None:
            raise
        raise TrialError(fault.reason, fault.message) from error


def _run_until_failure(
    job: TrialJob,
    task: TargetTask,
    bench: Bench,
    requests: Sequence[TransferRequest],
    start: int,
) -> Generator[TrialDone | TrialFailed, None, int]:
    """Fit requests from ``start``; return the number of the next one to fit."""
    transfers = job.protocol.fit(bench, requests[start:])
    for number in range(start, len(requests)):
        name = job.trials[number][0]
        wall, cpu = time.monotonic(), time.process_time()
        try:
            transfer = next(transfers)
        except StoreError:
            raise
        except (MedtransferError, MemoryError, RuntimeError) as error:
            failed = _failure(name, error, bench.device)
            if failed is None:
                raise
        else:
            failed = None
        if failed is not None:  # out here, where no traceback holds the trial's tensors any more
            release_device_memory()
            yield failed
            if failed.reason == DEVICE_LOST and job.workers:
                sys.exit(1)  # a new worker goes on, for this process can use its device no more
            return number + 1
        outcome = _outcome(job, task, transfer, _subset_facts(job, bench.cases, requests[number]))
        outcome = replace(outcome, duration_s=time.monotonic() - wall, cpu_s=time.process_time() - cpu)
        yield TrialDone(name, outcome, predictions_frame(transfer.predictions))
    return len(requests)


def _failure(fingerprint: str, error: Exception, device: str) -> TrialFailed | None:
    """Return how a trial failed; None for a defect of ours, which ends its job."""
    where = traceback.format_exc()
    if isinstance(error, TrialError):
        return TrialFailed(fingerprint, error.reason, str(error), where)
    if isinstance(error, MedtransferError):
        return _failed(fingerprint, error)
    fault = device_fault(error, device)
    return None if fault is None else TrialFailed(fingerprint, fault.reason, fault.message, where)


def _failed(fingerprint: str, error: MedtransferError) -> TrialFailed:
    """Return how a trial failed by an error of ours, with its kind as the reason."""
    return TrialFailed(fingerprint, _snake(type(error).__name__), str(error), traceback.format_exc())


def predictions_frame(predictions: Mapping[str, Mapping[str, Predictions]]) -> pd.DataFrame:
    """Return all predictions of a trial as one table with the columns ``checkpoint`` and ``split``."""
    parts = []
    for checkpoint, by_split in predictions.items():
        for split, found in by_split.items():
            frame = found.to_frame()
            frame.insert(0, "checkpoint", checkpoint)
            frame.insert(1, "split", split)
            parts.append(frame)
    return pd.concat(parts, ignore_index=True)


def _request(
    job: TrialJob, task: str, cases: CaseTable, trial: tuple[str, float, int, int]
) -> TransferRequest | TrialFailed:
    """Return what a trial is to fit, or how it failed where its label fraction cannot be drawn."""
    name, fraction, repetition, seed = trial
    try:
        train = label_subset(cases, fraction, task=task, repetition=repetition, order=job.label_order)
    except MedtransferError as error:
        return _failed(name, error)
    return TransferRequest(label_fraction=fraction, repetition=repetition, train=train, seed=seed)


def _subset_facts(job: TrialJob, cases: CaseTable, request: TransferRequest) -> dict[str, Any]:
    """Return what a record says of a subset that may divide patients; nothing for the usual order."""
    if job.label_order == "patients" or request.label_fraction == 1:
        return {}
    return {
        "label_order": job.label_order,
        "divided_patients": divided_patients(cases, request.train) if cases.patients_known else None,
    }


def compute_outcome_metrics(names: Sequence[str], transfer: Transfer) -> dict[str, dict[str, Any]]:
    """Return the metrics of every checkpoint and split as a record keeps them; see :class:`.Outcome`."""
    found: dict[str, dict[str, Any]] = {}
    for checkpoint, by_split in transfer.predictions.items():
        for split, predictions in by_split.items():
            key = split if checkpoint == "best" else f"{split}/{checkpoint}"
            values = compute_metrics(names, predictions)
            found[key] = {name: value.as_json() for name, value in values.items()}
    return found


def _outcome(job: TrialJob, task: TargetTask, transfer: Transfer, subset_facts: Mapping[str, Any]) -> Outcome:
    return Outcome(
        metrics=compute_outcome_metrics(task.metrics, transfer),
        train_cases=transfer.train_cases,
        choices=transfer.choices,
        curve=transfer.curve,
        details={**transfer.details, **subset_facts},
        provenance={
            "versions": package_versions(),
            "hardware": hardware(),
            "code": code_revision(),
            "command": job.command,
            "device": job.device,
        },
    )


def _opened(location: TaskLocation) -> tuple[TargetTask, CaseTable]:
    """Open a task once per worker; the plan's data hash is checked on every job."""
    key = (location.name, location.root, repr(location.own_data))
    if key not in _OPENED:
        _OPENED.clear()
        _OPENED[key] = location.open()
    return _OPENED[key]


def _snake(name: str) -> str:
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name).lstrip("_")
