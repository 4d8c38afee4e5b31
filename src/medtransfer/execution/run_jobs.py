"""The one narrow function in front of every backend: jobs in, an iterator of events out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial

from medtransfer.core.errors import UsageError
from medtransfer.execution.jobs import Event, Job, JobStarted
from medtransfer.execution.local_processes import Admit, LocalProcesses
from medtransfer.execution.performing import find_function, perform
from medtransfer.execution.worker_process import WorkerProcess


def run_jobs(
    jobs: Iterable[Job],
    *,
    workers: int,
    threads_per_worker: int = 1,
    initialiser: str | None = None,
    admit: Admit | None = None,
) -> Generator[Event, None, None]:
    """Run jobs and yield what happens, as it happens.

    Args:
        jobs: What to run; keys are unique.
        workers: Number of worker processes; 0 runs the jobs one by one in this process.
        threads_per_worker: Threads that numeric libraries may use in a worker; not applied with 0 workers.
        initialiser: ``package.module:name`` of a function without arguments, called once per process.
        admit: Asked just before a job starts: returns the job to run (perhaps with another payload), or None
            to leave it out without an event. This is the place to claim work that others may take too.

    Yields:
        For every job that starts: JobStarted, any number of JobYielded, then JobFinished, JobFailed or
        WorkerDied. Closing the iterator, or an exception where it is read, kills the workers.

    Raises:
        UsageError: If numbers are out of range, keys occur twice, or a time limit is set with 0 workers.
        WorkerStartError: If worker processes cannot be started.
    """
    listed = list(jobs)
    _check(listed, workers, threads_per_worker)
    if workers == 0:
        return _run_inline(listed, initialiser, admit or _admit_all)
    start = partial(WorkerProcess, threads_per_worker, initialiser)
    return _run_pool(LocalProcesses(listed, workers, start, admit or _admit_all))


def _run_pool(pool: LocalProcesses) -> Generator[Event, None, None]:
    yield from pool.run()


def _run_inline(jobs: Sequence[Job], initialiser: str | None, admit: Admit) -> Generator[Event, None, None]:
    if initialiser is not None:
        find_function(initialiser)()
    for job in jobs:
        admitted = admit(job)
        if admitted is not None:
            yield from _perform_here(admitted)


def _perform_here(job: Job) -> Iterator[Event]:
    yield JobStarted(job.key)
    with closing(perform(job.key, job.function, lambda: job.payload)) as events:
        yield from events


def _admit_all(job: Job) -> Job:
    return job


def _check(jobs: Sequence[Job], workers: int, threads: int) -> None:
    if workers < 0 or threads < 1:
        raise UsageError(
            f"workers: expected at least 0 with at least 1 thread, got {workers} with {threads}."
        )
    twice = [key for key, number in Counter(job.key for job in jobs).items() if number > 1]
    if twice:
        raise UsageError(f"jobs: expected keys that differ, got {twice[0]!r} more than once.")
    limited = [job.key for job in jobs if job.timeout_s is not None]
    if limited and workers == 0:
        raise UsageError(
            f"job {limited[0]!r}: expected no time limit without worker processes. Use 1 worker."
        )
