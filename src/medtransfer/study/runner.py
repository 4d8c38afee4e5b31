"""The runner: claims trials, hands them to workers as jobs, writes what comes back; safe against kills."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from medtransfer.core.errors import LeaseLostError
from medtransfer.execution.jobs import Event, Job, JobFailed, JobFinished, JobYielded, WorkerDied, run_jobs
from medtransfer.store.records import Counts
from medtransfer.store.store import Claim, Store, dead_owners, this_owner
from medtransfer.study.plan import Trial, group_trials
from medtransfer.study.preparation import Folders
from medtransfer.study.trial import TrialDone, TrialFailed, TrialJob

LEASE_S = 60.0
"""Seconds a claim lives without a heartbeat."""
HEARTBEAT_S = 15.0
"""Seconds between heartbeats."""
POLL_S = 2.0
"""Seconds between looks at trials that another runner holds."""
MAX_ATTEMPTS = 3
"""How often a trial may lose its worker before it counts as failed."""

_WORKER_FUNCTION = "medtransfer.study.trial:run_trials"
_WORKER_SETUP = "medtransfer.study.worker_setup:use_one_thread"


@dataclass(frozen=True)
class RunOptions:
    """How a study is executed; none of it changes a number."""

    folders: Folders
    """Where to read and cache."""
    workers: int = 1
    """Worker processes; 0 runs everything in this process."""
    device: str = "cpu"
    """Device for the networks."""
    command: str = ""
    """Command line, for provenance."""
    on_counts: Callable[[Counts], None] = field(default=lambda counts: None)
    """Told the study's counts whenever a trial ends."""


class StudyRunner:
    """Brings every trial of one study to ``done`` or ``failed``.

    Several runners may share a store: a trial is claimed under a lease before it is computed,
    and only the holder of the newest lease can write its record.

    Args:
        store: Where records live.
        study: Name of the study in the store.
        options: How to execute.
    """

    def __init__(self, store: Store, study: str, options: RunOptions) -> None:
        self._store = store
        self._study = study
        self._options = options
        self._owner = this_owner()
        self._claims: dict[str, Claim] = {}
        self._claims_lock = threading.Lock()

    def run(self, trials: Sequence[Trial]) -> Counts:
        """Run what is not done and return the study's final counts.

        Returns when every trial is done or failed, also those other runners hold.

        Raises:
            StoreError: If the store cannot be written; finished records stay as they are.
        """
        by_name = {trial.fingerprint: trial for trial in trials}
        with _Heartbeat(self._beat):
            while waiting := self._waiting(by_name):
                claimed_any = self._run_round(waiting)
                if not claimed_any:
                    time.sleep(POLL_S)
        return self._store.counts(self._study)

    def _waiting(self, by_name: dict[str, Trial]) -> list[Trial]:
        for owner in dead_owners(self._store.owners()):
            self._store.expire_owner(owner)
        return [by_name[name] for name in self._store.unfinished(self._study) if name in by_name]

    def _run_round(self, trials: Sequence[Trial]) -> bool:
        """Run every job that can be claimed now; return whether there was one."""
        held: dict[str, list[Trial]] = {}
        events = run_jobs(self._jobs(trials, held), workers=self._options.workers, initialiser=_WORKER_SETUP)
        try:
            for event in events:
                self._handle(event, held)
        finally:
            self._release_all()
        return bool(held)

    def _jobs(self, trials: Sequence[Trial], held: dict[str, list[Trial]]) -> Iterator[Job]:
        """Claim and yield one job after another; asked only when a worker is free."""
        for number, group in enumerate(group_trials(trials)):
            claims = {c.fingerprint: c for c in self._store.claim([t.fingerprint for t in group], self._owner, LEASE_S)}
            mine = [trial for trial in group if trial.fingerprint in claims]
            if not mine:
                continue
            with self._claims_lock:
                self._claims.update(claims)
            key = f"{number}"
            held[key] = mine
            yield Job(key=key, function=_WORKER_FUNCTION, payload=self._payload(mine), affinity=mine[0].description.task)

    def _payload(self, trials: Sequence[Trial]) -> TrialJob:
        first = trials[0]
        return TrialJob(
            location=first.task.location,
            data_hash=first.task.data_hash,
            model=first.model.model,
            protocol=first.protocol,
            folders=self._options.folders,
            trials=tuple(
                (t.fingerprint, t.description.label_fraction, t.description.repetition, t.seed) for t in trials
            ),
            command=self._options.command,
            device=self._options.device,
        )

    def _handle(self, event: Event, held: dict[str, list[Trial]]) -> None:
        if isinstance(event, JobYielded):
            self._write(event.value)
        elif isinstance(event, JobFailed):
            self._fail_first(held[event.key], event.reason, event.message, event.traceback)
        elif isinstance(event, WorkerDied):
            self._worker_died(held[event.key], event)
        elif isinstance(event, JobFinished):
            return
        self._options.on_counts(self._store.counts(self._study))

    def _write(self, result: TrialDone | TrialFailed) -> None:
        claim = self._pop(result.fingerprint)
        if claim is None:
            return
        try:
            if isinstance(result, TrialDone):
                self._store.finish(claim, result.outcome, result.predictions)
            else:
                self._store.fail(claim, result.reason, result.message, result.traceback)
        except LeaseLostError:
            return

    def _fail_first(self, trials: Sequence[Trial], reason: str, message: str, traceback: str) -> None:
        """Fail the trial a job broke on; the job's other trials go back to pending."""
        open_claims = [claim for trial in trials if (claim := self._pop(trial.fingerprint))]
        if open_claims:
            self._store.fail(open_claims[0], reason, message, traceback)
            self._store.release(open_claims[1:])

    def _worker_died(self, trials: Sequence[Trial], event: WorkerDied) -> None:
        """Give a dead worker's trials back, or fail the first one that keeps killing workers."""
        open_claims = [claim for trial in trials if (claim := self._pop(trial.fingerprint))]
        if open_claims and open_claims[0].attempts >= MAX_ATTEMPTS:
            message = f"worker ended with {event.description} in {MAX_ATTEMPTS} attempts"
            self._store.fail(open_claims.pop(0), "worker_died", message, "")
        self._store.release(open_claims)

    def _pop(self, name: str) -> Claim | None:
        with self._claims_lock:
            return self._claims.pop(name, None)

    def _release_all(self) -> None:
        with self._claims_lock:
            left = list(self._claims.values())
            self._claims.clear()
        self._store.release(left)

    def _beat(self) -> None:
        with self._claims_lock:
            claims = list(self._claims.values())
        lost = self._store.heartbeat(claims, LEASE_S)
        with self._claims_lock:
            for claim in lost:
                self._claims.pop(claim.fingerprint, None)


class _Heartbeat:
    """Calls a function at a steady pace from a thread while the block runs."""

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat = beat
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="heartbeat", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _loop(self) -> None:
        while not self._stop.wait(HEARTBEAT_S):
            self._beat()
