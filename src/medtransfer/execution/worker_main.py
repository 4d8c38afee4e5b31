"""The inside of a worker process: take a job, send its events, take the next, end with the parent."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler

from medtransfer.execution.jobs import JobFailed, JobFinished, JobYielded
from medtransfer.execution.performing import UNSENDABLE, failure, find_function, perform

_ORPHAN_POLL_S = 1.0


@dataclass(frozen=True)
class WorkerReady:
    """First message of a worker that can take jobs."""


def serve(connection: Connection, initialiser: str | None) -> None:
    """Serve jobs until the parent closes the pipe.

    Args:
        connection: Pipe to the parent: key and function, then the payload, come in; events go out.
        initialiser: ``package.module:name`` of a function without arguments, called first.
    """
    _detach_from_terminal()
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    for event in perform("initialiser", f"{__name__}:_initialise", lambda: initialiser):
        if isinstance(event, JobFailed):
            connection.send(event)
            return
    connection.send(WorkerReady())
    while True:
        try:
            key, function = connection.recv()
        except (EOFError, OSError):
            return
        _send_all(connection, perform(key, function, connection.recv))


def _initialise(initialiser: str | None) -> None:
    if initialiser is not None:
        find_function(initialiser)()


def _send_all(connection: Connection, events: Iterator[JobYielded | JobFinished | JobFailed]) -> None:
    for event in events:
        try:
            message = ForkingPickler.dumps(event)
        except UNSENDABLE as error:
            message = ForkingPickler.dumps(failure(event.key, error))
            connection.send_bytes(message)
            return
        connection.send_bytes(message)


def _detach_from_terminal() -> None:
    """Leave Ctrl-C to the parent, and keep what jobs print away from its standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    sys.stdout.flush()
    os.dup2(2, 1)
    faulthandler.enable(file=2)


def _end_with_parent() -> None:
    """End this process as soon as the parent has gone, whatever the job is doing."""
    parent = parent_process()
    if parent is None or parent.pid is None:
        return
    while not wait([parent.sentinel], timeout=_ORPHAN_POLL_S):
        if os.getppid() != parent.pid:
            break
    os._exit(1)
