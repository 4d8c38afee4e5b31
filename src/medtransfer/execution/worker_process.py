"""The parent's side of one worker process."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.reduction import ForkingPickler
from typing import Any

import psutil

from medtransfer.execution.job_queue import Group
from medtransfer.execution.jobs import Job
from medtransfer.execution.worker_main import serve

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_GRACE_S = 5.0


class WorkerProcess:
    """A warm process that serves one job after another.

    Args:
        threads: Threads that numeric libraries may use in it.
        initialiser: Called first in it; see :func:`~medtransfer.execution.worker_main.serve`.
    """

    def __init__(self, threads: int, initialiser: str | None) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe(duplex=True)
        self._process = context.Process(target=serve, args=(theirs, initialiser), daemon=True)
        with _thread_variables(threads), _interrupts_held_back():
            self._process.start()
        theirs.close()
        self.ready = False
        self.job: Job | None = None
        self.warm: Group = ()
        self._deadline = float("inf")

    @property
    def sentinel(self) -> int:
        """Handle that becomes ready when the process has ended."""
        return self._process.sentinel

    @property
    def is_idle(self) -> bool:
        """Whether it can take a job now."""
        return self.ready and self.job is None

    def assign(self, job: Job) -> None:
        """Send a job; to a process that has just ended too, for :meth:`receive` will tell.

        Raises:
            TypeError, AttributeError, ValueError, PicklingError: If the payload cannot be pickled.
        """
        payload = ForkingPickler.dumps(job.payload)
        self.job = job
        self._deadline = time.monotonic() + job.timeout_s if job.timeout_s is not None else float("inf")
        with contextlib.suppress(OSError):
            self.connection.send((job.key, job.function))
            self.connection.send_bytes(payload)

    def receive(self) -> Any:
        """Return the next message, or None when the process has ended and all that it sent has been read.

        To be called when the pipe or the sentinel is ready.
        """
        try:
            return self.connection.recv() if self.connection.poll() else None
        except (EOFError, OSError):
            return None

    def end_job(self) -> None:
        """Note that the job has sent its last event."""
        self.job = None
        self._deadline = float("inf")

    def remaining_s(self) -> float:
        """Return seconds until the job is over its time limit, at least 0; infinite without a limit."""
        return max(0.0, self._deadline - time.monotonic())

    def kill(self) -> int | None:
        """End the process and all that it started, and return its exit code."""
        if self._process.is_alive():
            _kill_descendants(self._process.pid)
            self._process.kill()
        self._process.join()
        code = self._process.exitcode
        self.connection.close()
        self._process.close()
        return code

    def await_end(self) -> None:
        """Give a process that has closed its pipe a moment to end with an exit code of its own."""
        self._process.join(_GRACE_S)

    def dismiss(self) -> None:
        """Tell an idle worker that no more jobs come."""
        self.connection.close()

    def see_off(self, until: float) -> None:
        """Wait for a dismissed worker up to a time of the monotonic clock, then kill it."""
        self._process.join(max(0.0, until - time.monotonic()))
        self.kill()


def dismiss_all(workers: list[WorkerProcess]) -> None:
    """End idle workers in peace, all at the same time."""
    for worker in workers:
        worker.dismiss()
    until = time.monotonic() + _GRACE_S
    for worker in workers:
        worker.see_off(until)


def _kill_descendants(pid: int | None) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()


@contextmanager
def _thread_variables(threads: int) -> Iterator[None]:
    """Set what numeric libraries read when they are loaded, for processes started in the block."""
    before: dict[str, Any] = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Hold Ctrl-C back so that a starting process never sees it; it arrives here after the block."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # starting it inside the block would let Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
