"""A pool of warm local worker processes that outlives the death of any of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import wait
from typing import Any

from medtransfer.core.errors import MedtransferError, TrialError
from medtransfer.execution.job_queue import JobQueue
from medtransfer.execution.jobs import Event, Job, JobFailed, JobFinished, JobStarted, WorkerDied
from medtransfer.execution.performing import UNSENDABLE, failure
from medtransfer.execution.worker_main import WorkerReady
from medtransfer.execution.worker_process import WorkerProcess, dismiss_all

_MOST_FAILED_STARTS = 3

Admit = Callable[[Job], Job | None]
"""Asked just before a job is sent: the job to run, perhaps with another payload, or None to leave it out."""


class WorkerStartError(MedtransferError, RuntimeError):
    """Worker processes that cannot be started."""


class LocalProcesses:
    """Runs jobs in worker processes of this machine.

    Args:
        jobs: What to run.
        workers: Most processes at a time, at least 1.
        start: Starts a process.
        admit: Asked just before a job is sent.
    """

    def __init__(
        self, jobs: Sequence[Job], workers: int, start: Callable[[], WorkerProcess], admit: Admit
    ) -> None:
        self._queue = JobQueue(jobs)
        self._most = min(workers, len(jobs))
        self._start = start
        self._admit = admit
        self._workers: list[WorkerProcess] = []
        self._failed_starts = 0

    def run(self) -> Iterator[Event]:
        """Yield events until all jobs have ended; leaving early kills the workers."""
        try:
            while self._queue or self._busy():
                yield from self._assign()
                self._refill()
                if self._queue or self._busy():
                    yield from self._listen()
            idle = [worker for worker in self._workers if worker.is_idle]
            self._workers = [worker for worker in self._workers if not worker.is_idle]
            dismiss_all(idle)
        finally:
            for worker in self._workers:
                worker.kill()

    def _busy(self) -> list[WorkerProcess]:
        return [worker for worker in self._workers if worker.job is not None]

    def _refill(self) -> None:
        starting = sum(not worker.ready for worker in self._workers)
        while len(self._workers) < self._most and starting < len(self._queue):
            self._workers.append(self._start())
            starting += 1

    def _assign(self) -> Iterator[Event]:
        for worker in [worker for worker in self._workers if worker.is_idle]:
            while worker.is_idle and (taken := self._queue.pop(worker.warm)) is not None:
                worker.warm, job = taken
                admitted = self._admit(job)
                if admitted is not None:
                    yield from self._send(worker, admitted)

    def _send(self, worker: WorkerProcess, job: Job) -> Iterator[Event]:
        try:
            worker.assign(job)
        except UNSENDABLE as error:
            yield from (JobStarted(job.key), failure(job.key, error))
        else:
            yield JobStarted(job.key)

    def _listen(self) -> Iterator[Event]:
        by_handle: dict[Any, WorkerProcess] = {}
        for worker in self._workers:
            by_handle |= {worker.connection: worker, worker.sentinel: worker}
        remaining_s = min(worker.remaining_s() for worker in self._workers)
        ready = wait(list(by_handle), None if remaining_s == float("inf") else remaining_s)
        for worker in dict.fromkeys(by_handle[handle] for handle in ready):
            yield from self._hear(worker)
        for worker in [worker for worker in self._busy() if worker.remaining_s() == 0.0]:
            if not worker.connection.poll():  # else its end may wait to be read
                yield self._stop(worker)

    def _hear(self, worker: WorkerProcess) -> Iterator[Event]:
        message = worker.receive()
        if message is None:
            yield from self._bury(worker)
        elif worker.ready:
            if isinstance(message, JobFinished | JobFailed):
                worker.end_job()
            yield message
        elif isinstance(message, WorkerReady):
            worker.ready = True
            self._failed_starts = 0
        else:
            raise WorkerStartError(f"worker initialiser: expected to end well, got:\n{message.traceback}")

    def _bury(self, worker: WorkerProcess) -> Iterator[Event]:
        worker.await_end()
        code = self._remove(worker)
        if worker.job is not None:
            yield WorkerDied(worker.job.key, code)
        elif not worker.ready:
            self._failed_starts += 1
            if self._failed_starts >= _MOST_FAILED_STARTS:
                raise WorkerStartError(
                    f"worker processes: expected to start, got exit code {code} {self._failed_starts} times. "
                    "In a script of your own, put the call under 'if __name__ == \"__main__\":'."
                )

    def _stop(self, worker: WorkerProcess) -> Event:
        job = worker.job
        assert job is not None
        self._remove(worker)
        text = (
            f"job {job.key!r}: expected to end within {job.timeout_s:g} s, got no end; its worker was killed."
        )
        return JobFailed(job.key, "TrialError", text, "", TrialError("timeout", text))

    def _remove(self, worker: WorkerProcess) -> int | None:
        self._workers.remove(worker)
        self._queue.give_up(worker.warm)
        return worker.kill()
