"""What is given to an execution backend, and what comes back from it."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Job:
    """One call of a function that is known by name."""

    key: str
    """Name of the job, unique among those run together; every event carries it."""
    function: str
    """``package.module:name`` of a function of one argument; it returns one value or yields several."""
    payload: Any = None
    """The argument; picklable."""
    affinity: tuple[str, ...] = ()
    """What the job shares with others, coarsest first, such as task and model: jobs that share more of it go to
    one worker, one after another, while no other would stand idle."""
    timeout_s: float | None = None
    """Wall-clock seconds after which the worker is killed; None for no limit."""


@dataclass(frozen=True)
class JobStarted:
    """A worker has got the job."""

    key: str
    """Which job."""


@dataclass(frozen=True)
class JobYielded:
    """The job has produced a value; delivered at once, while the job goes on."""

    key: str
    """Which job."""
    value: Any
    """What it yielded or returned."""


@dataclass(frozen=True)
class JobFinished:
    """The job has ended well; all its values have been delivered."""

    key: str
    """Which job."""


@dataclass(frozen=True)
class JobFailed:
    """The job has raised, or was stopped by its time limit."""

    key: str
    """Which job."""
    error_type: str
    """Class name of the exception."""
    message: str
    """Text of the exception."""
    traceback: str
    """Formatted traceback; empty where there is none."""
    exception: Exception | None = None
    """The exception itself when it can be sent between processes;
    :class:`~medtransfer.core.errors.TrialError` with reason ``timeout`` for a job over its time limit."""


@dataclass(frozen=True)
class WorkerDied:
    """The worker has ended in the middle of the job: killed, crashed or exited."""

    key: str
    """Which job."""
    exit_code: int | None
    """What the process ended with; negative for a signal; None when unknown."""

    @property
    def signal_name(self) -> str | None:
        """Name of the signal that ended it, such as ``SIGKILL``; None when it exited by itself."""
        if self.exit_code is None or self.exit_code >= 0:
            return None
        known = {number.value: number.name for number in signal.Signals}
        return known.get(-self.exit_code, f"signal {-self.exit_code}")

    def sentence(self) -> str:
        """Return what happened as one line of text."""
        how = f"killed by {self.signal_name}" if self.signal_name else f"exit code {self.exit_code}"
        hint = " The machine may be out of memory." if self.signal_name == "SIGKILL" else ""
        return f"worker process: expected the job to end, got {how}.{hint}"


Event = JobStarted | JobYielded | JobFinished | JobFailed | WorkerDied
"""In order, for every job that starts: JobStarted, any JobYielded, then one of the last three."""
