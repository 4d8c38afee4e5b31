"""The runner: claims trials, hands them to workers as jobs, writes what comes back; safe against kills."""

from __future__ import annotations

import contextlib
import errno
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from medtransfer.core.errors import LeaseLostError, StoreError, TrialError
from medtransfer.execution.jobs import Event, Job, JobFailed, JobYielded, WorkerDied
from medtransfer.execution.run_jobs import run_jobs
from medtransfer.store.leases import Claim, LeasesLostError
from medtransfer.store.owners import dead_owners, this_owner
from medtransfer.store.records import Counts, State
from medtransfer.store.store import Store
from medtransfer.study.paced_counts import PacedCounts
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

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
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
    """Device for the networks, or several, separated by commas."""
    command: str = ""
    """Command line, for provenance."""
    on_counts: Callable[[Counts], None] = field(default=lambda _: None)
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
        self._lost_workers: Counter[str] = Counter()
        self._counts = PacedCounts(store, study, options.on_counts)

    def run(self, trials: Sequence[Trial]) -> Counts:
        """Run what is not done and return the study's final counts.

        Returns when every trial is done or failed, also those other runners hold.

        Raises:
            StoreError: If the store cannot be written; finished records stay as they are.
        """
        by_name = {trial.fingerprint: trial for trial in trials}
        with _Heartbeat(self._beat):
            while waiting := self._waiting(by_name):
                self._counts.tell()
                free = [by_name[name] for name, state in waiting.items() if state is State.PENDING]
                if not (free and self._run_round(free)):
                    time.sleep(POLL_S)
        return self._counts.tell_now()

    def _waiting(self, by_name: Mapping[str, Trial]) -> dict[str, State]:
        """Return which trials have not ended: pending ones are free, running ones another runner holds."""
        for owner in dead_owners(self._store.owners()):
            self._store.expire_owner(owner)
        states = self._store.states(by_name)
        return {name: states[name] for name in by_name if states[name] in {State.PENDING, State.RUNNING}}

    def _run_round(self, trials: Sequence[Trial]) -> bool:
        """Run those of the free trials that can still be claimed; return whether there was one."""
        groups = {str(number): group for number, group in enumerate(group_trials(trials))}
        held: dict[str, list[Trial]] = {}
        jobs = [
            Job(key=key, function=_WORKER_FUNCTION, affinity=_affinity(group[0]))
            for key, group in groups.items()
        ]
        events = run_jobs(
            jobs,
            workers=self._options.workers,
            initialiser=_WORKER_SETUP,
            admit=lambda job: self._claim(job, groups[job.key], held),
        )
        try:
            for event in events:
                self._handle(event, held)
        finally:
            events.close()
            self._release_all()
        return bool(held)

    def _claim(self, job: Job, group: Sequence[Trial], held: dict[str, list[Trial]]) -> Job | None:
        """Claim a job's trials just before it starts; leave it out when others hold them all."""
        claims = {
            c.fingerprint: c for c in self._store.claim([t.fingerprint for t in group], self._owner, LEASE_S)
        }
        mine = [trial for trial in group if trial.fingerprint in claims]
        if not mine:
            return None
        with self._claims_lock:
            self._claims.update(claims)
        held[job.key] = mine
        self._counts.tell(at_once=True)
        return replace(job, payload=self._payload(mine))

    def _payload(self, trials: Sequence[Trial]) -> TrialJob:
        first = trials[0]
        return TrialJob(
            location=first.task.location,
            data_hash=first.task.data_hash,
            model=first.model.model,
            protocol=first.protocol,
            folders=self._options.folders,
            trials=tuple(
                (t.fingerprint, t.description.label_fraction, t.description.repetition, t.seed)
                for t in trials
            ),
            command=self._options.command,
            device=self._options.device,
            workers=self._options.workers,
            label_order=first.label_order,
        )

    def _handle(self, event: Event, held: Mapping[str, Sequence[Trial]]) -> None:
        if isinstance(event, JobYielded):
            self._write(event.value)
        elif isinstance(event, JobFailed):
            _stop_on_full_disk(event)
            reason = getattr(event.exception, "reason", "error")
            self._fail_first(held[event.key], reason, f"{event.error_type}: {event.message}", event.traceback)
        elif isinstance(event, WorkerDied):
            self._worker_died(held[event.key], event)
        self._counts.tell()

    def _write(self, result: TrialDone | TrialFailed) -> None:
        claim = self._pop(result.fingerprint)
        if claim is None:
            return
        if isinstance(result, TrialDone):
            self._finish(claim, result)
        else:
            self._fail(claim, result.reason, result.message, result.traceback)

    def _finish(self, claim: Claim, result: TrialDone) -> None:
        """Store a result, unless another runner has taken the trial over."""
        try:
            self._store.finish(claim, result.outcome, result.predictions, peak_bytes=result.peak_bytes)
        except LeaseLostError:
            return
        except TrialError as error:
            self._fail(claim, error.reason, str(error))

    def _fail_first(self, trials: Sequence[Trial], reason: str, message: str, traceback: str) -> None:
        """Fail the trial a job broke on; the job's other trials go back to pending."""
        open_claims = self._pop_all(trials)
        if open_claims:
            self._fail(open_claims[0], reason, message, traceback)
            self._store.release(open_claims[1:])

    def _worker_died(self, trials: Sequence[Trial], event: WorkerDied) -> None:
        """Give a dead worker's trials back, or fail the first one that keeps killing workers."""
        open_claims = self._pop_all(trials)
        if not open_claims:
            return
        first = open_claims[0].fingerprint
        self._lost_workers[first] += 1
        if self._lost_workers[first] >= MAX_ATTEMPTS:
            message = f"{event.sentence()} This was attempt {MAX_ATTEMPTS} of {MAX_ATTEMPTS}."
            self._fail(open_claims.pop(0), "worker_died", message)
        self._store.release(open_claims)

    def _fail(self, claim: Claim, reason: str, message: str, traceback: str = "") -> None:
        """Store a failure, unless another runner has taken the trial over."""
        with contextlib.suppress(LeaseLostError):
            self._store.fail(claim, reason, message, traceback)

    def _pop_all(self, trials: Sequence[Trial]) -> list[Claim]:
        return [claim for trial in trials if (claim := self._pop(trial.fingerprint))]

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
        if not claims:
            return
        try:
            self._store.heartbeat(claims, LEASE_S)
        except LeasesLostError as error:
            for claim in error.claims:
                self._pop(claim.fingerprint)
        except StoreError:
            return  # a store that is busy now is tried again at the next beat, long before a lease ends


def _affinity(trial: Trial) -> tuple[str, str]:
    """Return what jobs share, coarsest first: the opened task and its images, then the model's network."""
    return trial.description.task, trial.description.model


def _stop_on_full_disk(event: JobFailed) -> None:
    """Raise what would fail every trial after this one, so that the run ends and they stay pending."""
    error = event.exception
    if isinstance(error, StoreError) or (isinstance(error, OSError) and error.errno in _NO_SPACE):
        raise error


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
